/* The open conversation: its messages, what can be done with one, and the field to write in. */
import { $, clock, day, el, face, fill, icon, say, toast } from "./dom.js";
import { S, changed, loadMessages, loadOlder, look, nameOf, orTell, sight, sorted, titleOf, typists } from "./store.js";

const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🎉"];
const AGAIN = 3000;     // between two words of writing
const SAME_TURN = 3e5;  // messages so close stand together
const NEAR_END = 60;    // pixels

let about = null; // {kind: "reply" or "edit", m}
let drawn = null, said = 0, pinned = true;
const field = $("text"), log = () => $("log");
sight.atEnd = () => !log().hidden && log().scrollHeight - log().scrollTop - log().clientHeight < NEAR_END;

// --- a message ---

/* Names and addresses in it become elements of their own. */
function words(m) {
  const named = new Set((m.mentions ?? []).map((id) => S.users.get(id)?.username.toLowerCase()));
  const parts = m.content.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?')\]]|@[\w.-]+)/);
  return el("div.words", { dir: "auto" }, ...parts.map((part) => {
    if (/^https?:/.test(part)) return el("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part);
    const name = part[0] === "@" && part.slice(1).toLowerCase().replace(/[._-]+$/, "");
    if (!name || !named.has(name)) return part;
    return el(`span.mention${name === S.me.username.toLowerCase() ? ".me" : ""}`, {}, part);
  }));
}

/* As far as the server has said, and no further. */
function stateOf(c, m) {
  if (m.error) return ["close", "failed", `Not sent: ${m.error}`];
  if (m.pending) return m.sent && S.chat.state === "online" ? ["wait", "waiting", "Sending"] : ["wait", "waiting", "Waiting for the connection"];
  if (S.chat.outbox.some((i) => i.data.message_id === m.id)) return ["wait", "", "Saving the change"];
  if (m.sender_id !== S.me.id || m.deleted) return null;
  const others = c.kind === "direct" ? [c.peer] : [...(c.members?.values() ?? [])].filter((o) => o.user_id !== S.me.id);
  const count = (mark) => others.filter((o) => o[mark] >= m.id).length;
  const read = count("read_upto"), got = count("delivered_upto"), all = others.length;
  const of = (n) => (c.kind === "direct" ? "" : n === all ? " by all" : ` by ${n} of ${all}`);
  if (read) return ["two", "read", `Read${of(read)}`];
  return got ? ["two", "", c.kind === "direct" ? "Delivered" : `Received${of(got)}`] : ["one", "", "Stored"];
}

function quote(c, id) {
  const m = c.messages.get(id), text = !m ? "An earlier message" : m.deleted ? "Deleted message" : `${nameOf(m.sender_id)}: ${m.content}`;
  return el("button.quote", { dir: "auto", tabIndex: -1, onclick: () => focusOn($(`m${id}`)) }, text);
}
function reactions(c, m) {
  return m.reactions?.length ? el("div.reactions", {}, ...m.reactions.map((r) => el("button", {
    tabIndex: -1, ariaPressed: String(Boolean(r.mine)), ariaLabel: `${r.emoji}, ${r.count}`, onclick: () => S.chat.react(c.id, m.id, r.emoji, Boolean(r.mine)),
  }, `${r.emoji} ${r.count}`))) : null;
}

function drawMessage(li, m) {
  const c = S.open, mine = m.sender_id === S.me.id, state = stateOf(c, m);
  li.className = ["message", mine && "mine", m.first && "first", m.deleted && "gone", state?.[1]].filter(Boolean).join(" ");
  const open = el("button.more.round", { tabIndex: -1, ariaLabel: "What can be done with this message", ariaHasPopup: "menu", ariaExpanded: "false", onclick: () => openMenu(li, m) }, icon("more"));
  li.replaceChildren(
    ...[m.newDay && el("div.day", {}, day(m.created_at)), m.newHere && el("div.day.new", {}, "New"),
      el(`div.sender${m.first && c.kind === "group" && !mine ? "" : ".unseen"}`, { dir: "auto" }, nameOf(m.sender_id)),
      el("div.line", {}, el("div.bubble", {}, m.reply_to && !m.deleted && quote(c, m.reply_to), m.deleted ? el("div.words", {}, "This message was deleted") : words(m),
        el("div.meta", {}, m.edited_at && !m.deleted && "edited", el("time", { dateTime: m.created_at }, clock(m.created_at)),
          state && el(`span.state.${state[1] || "kept"}`, { title: state[2] }, icon(state[0]), el(m.tell ? "span" : "span.unseen", {}, state[2])))), !m.deleted && open),
      reactions(c, m)].filter(Boolean));
}

/* Stored ones, those that wait, those that were refused; with what stands between them. */
function entries(c) {
  const pending = S.chat.outbox.filter((i) => i.type === "message" && i.data.conversation_id === c.id && !c.messages.has(i.message_id));
  const waiting = [...c.failed, ...pending].map((i) => ({ ...i, pending: !i.error, id: i.id, reply_to: i.data.reply_to, sender_id: S.me.id, created_at: new Date(i.order).toISOString() }));
  const all = [...sorted(c), ...waiting];
  const tell = all.findLast((m) => m.sender_id === S.me.id);
  let last = null;
  return all.map((m) => {
    const newDay = !last || day(last.created_at) !== day(m.created_at);
    const newHere = m.id > c.newAfter && m.sender_id !== S.me.id && !(last?.id > c.newAfter);
    const first = newDay || newHere || last.sender_id !== m.sender_id || new Date(m.created_at) - new Date(last.created_at) > SAME_TURN;
    last = m;
    return { ...m, newDay, newHere, first, tell: m === tell || Boolean(m.error) };
  });
}

export function drawThread() {
  const c = S.open, list = $("messages");
  $("app").classList.toggle("reading", Boolean(c));
  for (const id of ["log", "compose", "title-face"]) $(id).hidden = !c;
  $("nothing").hidden = Boolean(c);
  $("details").hidden = c?.kind !== "group";
  if (!c) { drawn = null; $("title").textContent = "chatd"; $("under-title").textContent = ""; list.replaceChildren(); return; }
  drawTitle(c);
  const box = log(), stay = c !== drawn || sight.atEnd() || pinned, fromEnd = box.scrollHeight - box.scrollTop, top = box.scrollTop;
  if (c !== drawn) { drawn = c; list.replaceChildren(); takeUp(c); }
  const all = entries(c), firstBefore = list.firstElementChild?.dataset.key;
  fill(list, all, (m) => m.id, (m) => el("li.message", { id: `m${m.id}`, tabIndex: -1 }), (m) => JSON.stringify([m, stateOf(c, m), S.users.get(m.sender_id), Boolean(m.reply_to && c.messages.get(m.reply_to)?.content)]), drawMessage);
  $("older").hidden = !c.older;
  if (stay) box.scrollTop = box.scrollHeight;
  else if (firstBefore !== list.firstElementChild?.dataset.key) box.scrollTop = box.scrollHeight - fromEnd;
  else box.scrollTop = top;
  drawDown(c);
}
function drawDown(c) {
  $("down").hidden = sight.atEnd();
  $("down").textContent = c.unread ? `${c.unread} new ↓` : "To the latest ↓";
}
function drawTitle(c) {
  const user = c.kind === "direct" && S.users.get(c.peer.id);
  face($("title-face"), titleOf(c), c.peer?.id ?? c.id, user ? (user.online ? "online" : "") : "group");
  $("title").textContent = titleOf(c);
  const state = user ? (user.online ? "Online" : "Offline") : `${c.member_count} members`;
  $("under-title").textContent = typists(c) || state;
  log().setAttribute("aria-label", `Messages with ${titleOf(c)}`);
}

// --- from message to message, and what can be done with one ---

function focusOn(li) {
  if (!li) { say("That message is further up"); toast("That message is further up"); return; }
  li.focus();
  li.scrollIntoView({ block: "nearest" });
}
function onKey(event) {
  const li = document.activeElement.closest?.(".message"), all = [...$("messages").children], at = all.indexOf(li);
  const to = { ArrowUp: at < 0 ? all.length - 1 : at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined && all.length) focusOn(all[Math.min(Math.max(to, 0), all.length - 1)]);
  else if (event.key === "Enter" && event.target === li) li.querySelector(".more")?.click();
  else return;
  event.preventDefault();
}

let menuOf = null;
function closeMenu() {
  if (!menuOf) return;
  const li = menuOf;
  menuOf = null;
  $("menu").hidden = true;
  li.querySelector(".more")?.setAttribute("aria-expanded", "false");
  if ($("menu").contains(document.activeElement) || document.activeElement === document.body) li.focus();
}
function openMenu(li, { id }) {
  const c = S.open, m = c.messages.get(id), mine = m?.sender_id === S.me.id, menu = $("menu");
  const item = (text, act, kind = "button.wide") => el(kind, { role: "menuitem", tabIndex: -1, onclick: () => { closeMenu(); act(); } }, text);
  const items = m ? [
    ...EMOJIS.map((e) => item(e, () => S.chat.react(c.id, id, e, Boolean(m.reactions?.find((r) => r.emoji === e)?.mine)), "button")),
    item("Reply", () => setAbout("reply", m)),
    mine && item("Edit", () => setAbout("edit", m)),
    (mine || ["owner", "admin"].includes(c.role)) && item("Delete for everybody", () => S.chat.delete(c.id, id), "button.wide.danger"),
  ] : waitingItems(c, id, item);
  menu.replaceChildren(...items.filter(Boolean));
  menu.hidden = false;
  menuOf = li;
  const from = li.querySelector(".more"), box = from.getBoundingClientRect();
  from.setAttribute("aria-expanded", "true");
  menu.style.left = `${Math.max(8, Math.min(box.left, innerWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${box.bottom + menu.offsetHeight > innerHeight ? Math.max(8, box.top - menu.offsetHeight) : box.bottom}px`;
  menu.firstChild.focus();
}
function waitingItems(c, id, item) {
  const failed = c.failed.find((f) => f.id === id), drop = () => { c.failed = c.failed.filter((f) => f.id !== id); changed(); };
  if (!failed) return [item("Do not send", () => S.chat.cancel(id))];
  return [item("Try again", () => { drop(); S.chat.send({ conversation_id: c.id }, failed.content, { reply_to: failed.data.reply_to }); }),
    item("Discard", drop)];
}
function onMenuKey(event) {
  const items = [...$("menu").children], at = items.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (step) items[(at + step + items.length) % items.length].focus();
  else if (["Escape", "Tab"].includes(event.key)) closeMenu();
  else return;
  event.preventDefault();
}

// --- writing ---

function grow() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}
function takeUp(c) {
  setAbout(null);
  field.value = S.chat.draft(c.id);
  pinned = true;
  grow();
}
function setAbout(kind, m) {
  const was = about;
  about = kind ? { kind, m } : null;
  if (kind === "edit") field.value = m.content;
  else if (was?.kind === "edit") field.value = S.chat.draft(S.open.id);
  $("about").hidden = !kind;
  $("about-text").textContent = kind === "edit" ? "Editing your message" : kind ? `Reply to ${nameOf(m.sender_id)}: ${m.content}` : "";
  grow();
  if (kind) field.focus();
}
/* Whether it waits to be sent now; if too much does, that is told. */
function queue(act) {
  const { outbox } = S.chat, last = outbox.at(-1), done = act();
  if (outbox.at(-1) !== last) return true;
  orTell(done);
  return false;
}
function submit() {
  const text = field.value.trim(), c = S.open, { kind, m } = about ?? {};
  if (!text) return;
  if (kind === "edit") { if (text !== m.content && !queue(() => S.chat.edit(c.id, m.id, text))) return; }
  else if (queue(() => S.chat.send({ conversation_id: c.id }, text, { reply_to: m?.id }))) S.chat.setDraft(c.id, "");
  else return;
  field.value = "";
  pinned = true;
  suggest();
  setAbout(null);
  if (kind !== "edit") c.newAfter = Infinity;
  said = Date.now(); // no word of writing overtakes it
  drawThread();
}
function onInput() {
  grow();
  suggest();
  if (about?.kind !== "edit") S.chat.setDraft(S.open.id, field.value);
  if (!field.value || Date.now() - said < AGAIN) return;
  said = Date.now();
  S.chat.typing({ conversation_id: S.open.id });
}
function onWriteKey(event) {
  if (event.isComposing) return;
  const name = $("names").firstChild;
  if (event.key === "Enter" && !event.shiftKey) submit();
  else if (event.key === "Tab" && name) name.click();
  else if (event.key === "Escape" && about) setAbout(null);
  else if (event.key === "ArrowUp" && !field.value) {
    const m = sorted(S.open).findLast((o) => o.sender_id === S.me.id && !o.deleted);
    if (!m) return;
    setAbout("edit", m);
  } else return;
  event.preventDefault();
}

/* Members whose name begins like the word behind the @ before the cursor; Tab takes the first. */
const begun = () => /(^|[^\w.-])@([\w.-]*)$/.exec(field.value.slice(0, field.selectionStart))?.[2];
function suggest() {
  const start = begun()?.toLowerCase(), all = start === undefined ? [] : [...S.open.members?.values() ?? []];
  const names = all.map((o) => o.username).filter((n) => n.toLowerCase().startsWith(start) && n !== S.me.username).slice(0, 5);
  $("names").replaceChildren(...names.map((n) => el("button.plain", { type: "button", tabIndex: -1, onclick: () => complete(n) }, `@${n}`)));
  if (names.length) say(`Tab writes ${names[0]}`);
}
function complete(name) {
  const at = field.selectionStart;
  field.setRangeText(`${name} `, at - begun().length, at, "end");
  field.focus();
  onInput();
}

export function setUpThread() {
  const box = log();
  field.oninput = onInput;
  field.onkeydown = onWriteKey;
  $("compose").onsubmit = (event) => { event.preventDefault(); submit(); field.focus(); };
  $("about-end").onclick = () => { setAbout(null); field.focus(); };
  box.onkeydown = onKey;
  box.onscroll = () => {
    if (!S.open) return;
    pinned = sight.atEnd();
    if (box.scrollTop < 80) orTell(loadOlder(S.open));
    drawDown(S.open);
    look();
  };
  new ResizeObserver(() => { if (pinned) box.scrollTop = box.scrollHeight; }).observe(box);
  $("older").onclick = () => orTell(loadOlder(S.open));
  $("down").onclick = () => { box.scrollTop = box.scrollHeight; field.focus(); };
  $("menu").onkeydown = onMenuKey;
  document.addEventListener("pointerdown", (event) => { if (!$("menu").contains(event.target)) closeMenu(); });
}
