/* The side: the line to the server, the chats, and the people. */
import { $, el, face, fill, brief, say } from "./dom.js";
import { S, latest, learn, loadConversations, nameOf, orTell, take, titleOf, typists } from "./store.js";

const PEOPLE = 50; // asked for at one time

let found = [], next = null, asked = 0, chosen = () => {};

const row = (onclick) => {
  const button = el("button.row", { onclick }, el("span.face", { ariaHidden: "true" }), el("span"));
  return el("li", {}, button);
};

function preview(c) {
  const draft = S.chat.draft(c.id), m = c.last_message, writing = typists(c);
  if (writing) return writing;
  if (draft && c !== S.open) return `Draft: ${draft}`;
  if (!m) return c.kind === "group" ? `${c.member_count} members` : "No messages yet";
  if (m.deleted) return "Message deleted";
  return m.sender_id === S.me.id ? `You: ${m.content}` : c.kind === "group" ? `${nameOf(m.sender_id)}: ${m.content}` : m.content;
}
const isOnline = (c) => c.kind === "direct" && S.users.get(c.peer.id)?.online;

function drawChat(li, c) {
  const [button] = li.children, unread = c.unread > 99 ? "99+" : c.unread, online = isOnline(c);
  const kind = c.kind === "group" ? "group" : online ? "online" : "";
  face(button.firstChild, titleOf(c), c.peer?.id ?? c.id, kind);
  button.children[1].replaceChildren(el("b", { dir: "auto" }, titleOf(c)), el("span.unseen", {}, online ? "online" : ""), el("small", { dir: "auto" }, preview(c)));
  while (button.children.length > 2) button.lastChild.remove();
  if (c.last_message) button.append(el("time", {}, brief(c.last_message.created_at)));
  if (unread) button.append(el("span.count", {}, c.mentioned ? `@ ${unread}` : String(unread), el("span.unseen", {}, " unread")));
  button.setAttribute("aria-current", String(c === S.open));
}
function drawPerson(li, { id }) {
  const [button] = li.children, user = S.users.get(id), name = id === S.me.id ? `${user.username} (you)` : user.display_name || user.username;
  face(button.firstChild, name, id, user.online ? "online" : "");
  button.children[1].replaceChildren(el("b", { dir: "auto" }, name), el("small", { dir: "auto" }, `${user.online ? "Online" : "Offline"}${user.display_name ? ` · ${user.username}` : ""}`));
}

export function drawSide() {
  if (!S.me) return;
  const chats = latest(), unread = chats.reduce((n, c) => n + (c.unread ? 1 : 0), 0);
  document.title = unread ? `(${unread}) chatd` : "chatd";
  fill($("chats"), chats, (c) => c.id, (c) => row(() => chosen(c)),
    (c) => JSON.stringify([titleOf(c), preview(c), c.unread, c.mentioned, c.last_message?.created_at, c === S.open, isOnline(c)]), drawChat);
  fill($("people"), found, (u) => u.id, (u) => row(async () => orTell(S.chat.openConversation(u.id).then((c) => chosen(take(c))))),
    ({ id }) => JSON.stringify(S.users.get(id)), drawPerson);
  $("no-chats").hidden = chats.length > 0;
  $("more-chats").hidden = !S.next;
  $("more-people").hidden = !next;
}

export async function findPeople(more) {
  const mine = ++asked, page = await (more ? S.chat.page(next) : S.chat.users({ q: $("find").value.trim(), limit: PEOPLE }));
  if (mine !== asked) return; // a later question is on its way
  page.items.forEach(learn);
  found = more ? [...found, ...page.items] : page.items;
  next = page.next;
  drawSide();
}

/* Says how the connection is, and what a reconnect has brought. */
export function watchLine() {
  let missed = 0, beginning = true;
  const tell = (text, away) => {
    $("line-text").textContent = text;
    $("line").classList.toggle("away", away);
    $("line-now").hidden = S.chat.state !== "waiting";
  };
  S.chat.on("message", ({ data }) => { if (S.chat.state === "resuming" && data.sender_id !== S.me.id) missed++; });
  S.chat.on("state", ({ state, wait }) => {
    if (state === "waiting") tell(`No connection; next try in ${Math.ceil(wait / 1000)} s`, true);
    if (state === "connecting" && beginning) tell("Connecting…", true);
    if (state === "resuming" && !beginning) { missed = 0; tell("Catching up…", true); }
    if (state === "online") {
      const brought = missed === 1 ? "1 message" : `${missed || "no"} messages`;
      tell(beginning ? "Connected" : `Connected again; missed ${brought}, now here`, false);
      beginning = false;
    }
  });
}

function select(tab) {
  for (const name of ["chats", "people"]) {
    const on = name === tab;
    $(`tab-${name}`).setAttribute("aria-selected", String(on));
    $(`tab-${name}`).tabIndex = on ? 0 : -1;
    $(`pane-${name}`).hidden = !on;
  }
  if (tab === "people") orTell(findPeople());
}
export function setUpSide(choose) {
  chosen = choose;
  for (const name of ["chats", "people"]) $(`tab-${name}`).onclick = () => select(name);
  $("tabs").onkeydown = ({ key }) => {
    if (!["ArrowLeft", "ArrowRight"].includes(key)) return;
    const other = $("pane-chats").hidden ? "chats" : "people";
    select(other);
    $(`tab-${other}`).focus();
  };
  $("find").oninput = () => orTell(findPeople());
  $("more-people").onclick = () => orTell(findPeople(true));
  $("more-chats").onclick = () => orTell(loadConversations(true));
  $("line-now").onclick = () => S.chat.check();
}
export function resetSide() {
  found = [];
  next = null;
  $("find").value = "";
  select("chats");
}
