/* What the page knows: users, conversations and the messages of the one that is open; and how the
 * frames of the server change that. Whoever draws is called after a change. */
import { Chatd } from "../chatd.js";
import { say, toast } from "./dom.js";

const PAGE = 50;      // messages asked for at one time
const SHOWN_MOST = 600; // messages that stay while new ones come
const TYPING_LASTS = 6000;

export const S = { me: null, chat: null, users: new Map(), conversations: new Map(), open: null, next: null };

const drawers = [];
let due = false;
export const whenChanged = (draw) => drawers.push(draw);
export function changed() {
  if (due) return;
  due = true;
  setTimeout(() => { due = false; for (const draw of drawers) draw(); });
}

/* Shows why something did not work; for promises that nobody else looks at. */
export const orTell = (promise) => promise.catch((error) => { toast(error.message); });

// --- users and conversations ---

export function learn(user) {
  const id = user.id ?? user.user_id, known = S.users.get(id);
  const { username, display_name, online } = { ...known, ...user };
  S.users.set(id, { id, username, display_name, online });
  return S.users.get(id);
}
export function nameOf(id) {
  const user = S.users.get(id);
  return id === S.me.id ? "You" : user?.display_name || user?.username || "somebody";
}
export function titleOf(c) {
  if (c.kind === "group") return c.name;
  return c.peer.id === S.me.id ? "Notes to yourself" : nameOf(c.peer.id);
}
/* "bob is writing…", or nothing. */
export function typists(c) {
  const names = [...c.typing.keys()].map(nameOf);
  return names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} writing…` : "";
}
export const latest = () => [...S.conversations.values()].filter((c) => c.last_message || c.kind === "group" || c === S.open)
  .sort((a, b) => (b.last_message?.id ?? 0) - (a.last_message?.id ?? 0) || b.id - a.id);

/* Receipts and answers may come in any order: no watermark goes back. */
function forward(to, by) { for (const m of ["read_upto", "delivered_upto"]) to[m] = Math.max(to[m], by[m]); }

/* Takes a conversation as the server shows it, and keeps what this page has beside it. */
export function take(given) {
  const known = S.conversations.get(given.id);
  if (known) forward(given, known);
  if (known?.peer) forward(given.peer, known.peer);
  const c = Object.assign(known ?? { messages: new Map(), failed: [], typing: new Map(), members: null }, given);
  if (known && given.last_message && known.last_message?.id > given.last_message.id) c.last_message = known.last_message;
  S.conversations.set(c.id, c);
  if (c.peer) learn(c.peer);
  if (c.last_message?.id > c.delivered_upto) S.chat.delivered(c.id, c.last_message.id);
  if (c === S.open) look();
  changed();
  return c;
}
export async function fetchConversation(id) { return take(await S.chat.conversation(id)); }

export async function loadConversations(more) {
  const { conversations, next } = await S.chat.conversations({ before: more ? S.next : undefined });
  S.next = next;
  for (const c of conversations) take(c);
}
export async function loadMembers(c) {
  const members = new Map();
  let page = await S.chat.members(c.id);
  for (;;) {
    for (const m of page.items) {
      const known = c.members?.get(m.user_id);
      if (known) forward(m, known);
      learn(m);
      members.set(m.user_id, m);
    }
    if (!page.next || members.size >= 2000) break;
    page = await S.chat.page(page.next);
  }
  c.members = members;
  changed();
}

// --- the open conversation ---

export const sorted = (c) => [...c.messages.values()].sort((a, b) => a.id - b.id);

/* The latest messages. What frames said while they were on their way is newer. */
export async function loadMessages(c) {
  const frames = c.meanwhile = [];
  try {
    const { items, next } = await S.chat.messages(c.id, { limit: PAGE });
    c.older = Boolean(next);
    c.messages = new Map(items.map((m) => [m.id, m]));
    for (const frame of frames) apply(c, frame);
  } finally { if (c.meanwhile === frames) c.meanwhile = null; }
  look();
  changed();
}
export async function loadOlder(c) {
  if (c.loading || !c.older) return;
  c.loading = true;
  try {
    const { items, next } = await S.chat.messages(c.id, { before: sorted(c)[0]?.id, limit: PAGE });
    for (const m of items) c.messages.set(m.id, m);
    c.older = Boolean(next);
  } finally { c.loading = false; }
  changed();
}

export async function open(c) {
  if (S.open && S.open !== c) S.open.messages = new Map();
  S.open = c;
  c.newAfter = c.unread ? c.read_upto : Infinity;
  changed();
  await Promise.all([loadMessages(c), c.kind === "group" && loadMembers(c)]);
}
export function close() { S.open = null; changed(); }

/* Is the end of the open conversation before somebody's eyes? Set by whoever draws it. */
export const sight = { atEnd: () => true };
export function look() {
  const c = S.open, last = c?.last_message;
  if (!last || document.visibilityState !== "visible" || !document.hasFocus() || !sight.atEnd() || c.meanwhile) return;
  c.unread = 0;
  if (last.id > c.read_upto) { c.read_upto = last.id; S.chat.read(c.id, last.id); }
  changed();
}

// --- frames ---

function apply(c, { type, content, data }) {
  const m = c.messages.get(data.message_id);
  if (type === "message") {
    c.messages.set(data.message_id, { ...m, ...data, id: data.message_id, content });
    return;
  }
  if (!m) return;
  const mine = new Set((m.reactions ?? []).filter((r) => r.mine).map((r) => r.emoji));
  const reactions = data.reactions?.map((r) => ({ ...r, mine: mine.has(r.emoji) }));
  Object.assign(m, { content, edited_at: data.edited_at, deleted: data.deleted, mentions: data.mentions, reactions });
}

const mentionsMe = (data) => data.mentions?.includes(S.me.id);

async function onMessage(frame) {
  const { data, content } = frame, message = { ...data, id: data.message_id, content };
  learn({ id: data.sender_id, username: data.sender });
  const known = S.conversations.get(data.conversation_id), c = known ?? await fetchConversation(data.conversation_id);
  const isNew = !known || message.id > (c.last_message?.id ?? 0);
  if (known && isNew) c.last_message = message;
  c.typing.delete(data.sender_id);
  if (c === S.open) show(c, frame);
  if (data.sender_id === S.me.id) c.unread = 0;
  else if (isNew) {
    if (known) c.unread = Math.min(c.unread + 1, 100);
    c.mentioned = c.mentioned || mentionsMe(data);
    S.chat.delivered(c.id, message.id);
    const where = c.kind === "group" ? ` in ${c.name}` : "";
    say(`${nameOf(data.sender_id)}${where}${mentionsMe(data) ? ", to you" : ""}: ${content}`);
  }
  changed();
  setTimeout(look); // once it is drawn
}
function show(c, frame) {
  apply(c, frame);
  c.meanwhile?.push(frame);
  if (c.messages.size <= SHOWN_MOST || !sight.atEnd()) return;
  for (const m of sorted(c).slice(0, PAGE)) c.messages.delete(m.id);
  c.older = true;
}
function onChanged(frame) {
  const { data, content } = frame, c = S.conversations.get(data.conversation_id);
  if (!c) return;
  if (c === S.open) show(c, frame);
  if (c.last_message?.id === data.message_id) Object.assign(c.last_message, { content, deleted: data.deleted });
  changed();
}
/* The server has stored what waited; frames about one's own come to the other connections only. */
function onStored({ item, message_id }) {
  const { conversation_id, reply_to, emoji, remove } = item.data, c = S.conversations.get(conversation_id);
  if (!c) return;
  if (item.type === "message" && !c.messages.has(message_id)) {
    const data = { message_id, conversation_id, sender_id: S.me.id, sender: S.me.username, reply_to, created_at: new Date(item.order).toISOString() };
    onMessage({ type: "message", content: item.content, data });
  }
  const reaction = item.type === "react" && c.messages.get(message_id)?.reactions?.find((r) => r.emoji === emoji);
  if (reaction) reaction.mine = !remove;
  changed();
}
function onRefused({ item, error }) {
  const c = S.conversations.get(item.data.conversation_id);
  if (error.code === "cancelled") return;
  if (item.type === "message" && c) c.failed.push({ ...item, error: error.message });
  else toast(error.message);
  say(`Not sent: ${error.message}`);
  changed();
}
function onReceipt({ data }) {
  const c = S.conversations.get(data.conversation_id);
  if (!c) return;
  const who = [data.user_id === S.me.id && c, data.user_id === c.peer?.id && c.peer, c.members?.get(data.user_id)];
  for (const w of who) if (w) forward(w, data);
  if (data.user_id === S.me.id && c.read_upto >= (c.last_message?.id ?? 0)) c.unread = 0;
  changed();
}
export function forgetConversation(c) {
  S.conversations.delete(c.id);
  if (S.open === c) S.open = null;
  changed();
}
/* Of others the frame says all: nobody makes this page ask for lists by adding many. */
async function onMember({ data }) {
  const c = S.conversations.get(data.conversation_id), { user_id, role } = data, { members } = c ?? {};
  learn(data);
  if (members && role) members.set(user_id, { read_upto: 0, delivered_upto: 0, ...members.get(user_id), ...data });
  else members?.delete(user_id);
  if (members) c.member_count = members.size;
  if (user_id !== S.me.id) changed();
  else if (role) await fetchConversation(data.conversation_id);
  else if (c) { toast(`You are no longer in ${c.name}`); forgetConversation(c); }
}
async function onConversation({ data }) {
  const c = S.conversations.get(data.conversation_id);
  if (!c) await fetchConversation(data.conversation_id);
  else { Object.assign(c, { name: data.name, member_count: data.member_count }); changed(); }
}
function onTyping({ data }) {
  const c = S.conversations.get(data.conversation_id);
  if (!c) return;
  learn(data);
  clearTimeout(c.typing.get(data.user_id));
  c.typing.set(data.user_id, setTimeout(() => { c.typing.delete(data.user_id); changed(); }, TYPING_LASTS));
  changed();
}
async function onResumed({ data }) {
  // What frames cannot bring: presence, watermarks and, after a loss or at the beginning, all.
  await loadConversations();
  if (S.open && (!data.recovered || !S.open.messages.size)) await loadMessages(S.open);
  if (S.open?.members) await loadMembers(S.open);
}

/* Connects for this account. What somebody else left in the storage stays theirs. */
export function begin(account, token, storage) {
  S.me = learn({ ...account, online: true });
  S.chat = new Chatd({ token, storage, prefix: `chatd.${account.id}.` });
  S.chat.cursor = ""; // a new page asks for all it shows
  const heard = { message: onMessage, message_changed: onChanged, stored: onStored, refused: onRefused, receipt: onReceipt,
    member: onMember, typing: onTyping, resumed: onResumed, outbox: changed, state: changed,
    conversation: onConversation,
    user_status: ({ data }) => { learn(data); changed(); } };
  for (const [type, f] of Object.entries(heard)) S.chat.on(type, async (what) => { try { await f(what); } catch (error) { toast(error.message); } });
  return S.chat;
}
export function end() {
  S.chat?.stop();
  Object.assign(S, { me: null, chat: null, users: new Map(), conversations: new Map(), open: null, next: null });
}
