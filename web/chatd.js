/*
 * chatd.js: a client of chatd for pages and for Node.js; see chatd-js(7).
 *
 * A Chatd keeps one WebSocket to the server. When that ends it comes back by itself, names the
 * cursor of the last frame that was handled, and so gets what it missed, in order, once. What is to
 * be stored (messages, edits, deletions, reactions) waits in an outbox until the server has
 * acknowledged it, and is sent again under the same id after an interruption: the server stores a
 * message with one id once. There is one in flight at a time, so their order stays.
 *
 * It makes no more than one connection, one timer for the next attempt and one for silence. Nothing
 * is tried again after a close code that says that it would be in vain.
 */

/* What went wrong. status: of HTTP, or 0; code: of an error frame or of a WebSocket's end, or "";
 * temporary: the same may succeed later; retryAfter: in seconds, if the server said so. */
export class ChatdError extends Error {
  constructor(message, { status = 0, code = "", temporary = false, retryAfter = 0, cause } = {}) {
    super(message, { cause });
    Object.assign(this, { name: "ChatdError", status, code, temporary, retryAfter });
  }
}

/* Close codes after which another attempt with the same token would end in the same way. */
const ENDS = new Map([[4401, "unauthorized"], [4403, "forbidden"]]);
/* Those after which the server wants to be left alone for a while, at least so many milliseconds. */
const RESTS = new Map([[1011, 3000], [1013, 5000], [4429, 30000]]);
/* Milliseconds. */
const TIMES = {
  first: 1000,     // the first wait is at most that long; each one may be twice the one before
  most: 30000,     // but no longer than that
  steady: 10000,   // a connection that lasted so long begins the waits anew
  silence: 45000,  // without a frame for so long the server is asked whether it is there
  patience: 10000, // and that is how long an answer, or a new connection, may take
};
const MARKS_MOST = 100;    // conversations whose watermarks are said again after an interruption
const BUFFER_MOST = 65536; // bytes that wait to be sent: what matters only now is dropped then
const OUTBOX_MOST = 1000;  // what may wait in the outbox
const TRIES = 3;           // of a request that changes nothing if it comes twice

/* A Storage for those who have none: it lasts as long as the program. */
class Memory extends Map {
  getItem(key) { return this.get(key) ?? null; }
  setItem(key, value) { this.set(key, value); }
  removeItem(key) { this.delete(key); }
  key(n) { return [...this.keys()][n] ?? null; }
  get length() { return this.size; }
}

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });
/* JSON cannot carry half of a surrogate pair, which a cut string may end with, nor may it carry NUL. */
const clean = (text) => text.replace(/\p{Surrogate}/gu, "\ufffd").replaceAll("\0", "\ufffd");

const random = () => Math.random().toString(36).slice(2, 12);
/* Ids are unique, not secret: nobody can do anything with one of another user. */
const newId = () => `${Date.now().toString(36)}-${random()}-${random()}`;

export class Chatd {
  #base; #token; #cursor; #storage; #prefix; #times; #WebSocket; #fetch;
  #socket = null; #shown = null;        // the token that the socket was opened with
  #listeners = new Map();
  #timer; #watchdog; #attempts = 0; #since = 0; #notBefore = 0;
  #flying = null; #pause; #refusals = 0; #order = 0; #waiting = new Map();
  #marks = new Map(); #drafts = new Map(); // those that the storage did not take

  state = "stopped";
  outbox = [];

  constructor({ url = globalThis.location?.href, token = "", storage = new Memory(), prefix = "chatd.", times,
    WebSocket = globalThis.WebSocket, fetch = globalThis.fetch } = {}) {
    this.#base = new URL(".", url);
    this.#token = token;
    this.#storage = storage;
    this.#prefix = prefix;
    this.#times = { ...TIMES, ...times };
    this.#WebSocket = WebSocket;
    this.#fetch = (...request) => fetch(...request);
    this.#cursor = storage.getItem(`${prefix}cursor`) ?? "";
    for (const [id, text] of this.#kept("out.")) this.#restore(id, text);
    this.outbox.sort((a, b) => a.order - b.order);
    this.#order = this.outbox.at(-1)?.order ?? 0;
  }

  /* What somebody has damaged in the storage would stop all that waits behind it. */
  #restore(id, text) {
    try {
      const item = JSON.parse(text), whole = item.id === id && item.data && item.order > 0;
      if (!whole || item.type === "message" && !item.content) throw new TypeError("damaged");
      this.outbox.push(item);
    } catch { this.#keep(`out.${id}`, ""); }
  }

  // --- events ---

  /* Calls f(what) for each event of this type; what it returns takes that back. */
  on(type, f) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(f);
    return () => this.#listeners.get(type).delete(f);
  }

  /* A listener that fails stops nobody else; it is reported as any error that nobody catches. */
  #emit(type, what) {
    for (const f of this.#listeners.get(type) ?? []) {
      try { f(what); } catch (error) { queueMicrotask(() => { throw error; }); }
    }
  }

  #become(state, more = {}) {
    this.state = state;
    this.#emit("state", { state, ...more });
  }

  // --- what is kept ---

  #kept(kind) {
    const prefix = this.#prefix + kind, all = [];
    for (let n = 0; n < this.#storage.length; n++) {
      const key = this.#storage.key(n);
      if (key?.startsWith(prefix)) all.push([key.slice(prefix.length), this.#storage.getItem(key)]);
    }
    return all;
  }

  /* A storage that is full, or forbidden, keeps nothing: then what it should have kept lasts as long
   * as this object. Says whether it is kept. */
  #keep(key, value) {
    try {
      if (value) this.#storage.setItem(this.#prefix + key, value);
      else this.#storage.removeItem(this.#prefix + key);
      return true;
    } catch (error) { this.#emit("unkept", { key, error }); }
  }

  /* Each object's own: another page, with the same storage, is elsewhere in the sequence. */
  get cursor() { return this.#cursor; }
  set cursor(value) { this.#cursor = value; this.#keep("cursor", value); }
  draft(key) { return this.#drafts.get(String(key)) ?? this.#storage.getItem(`${this.#prefix}draft.${key}`) ?? ""; }
  setDraft(key, text) {
    if (this.#keep(`draft.${key}`, text)) this.#drafts.delete(String(key));
    else this.#drafts.set(String(key), text);
  }

  /* Forgets cursor, drafts and outbox, as when somebody logs out. */
  forget() {
    for (const item of [...this.outbox].reverse()) this.cancel(item.id); // the one under way last: none follows it
    this.cursor = "";
    this.#drafts.clear();
    for (const [key] of this.#kept("")) this.#keep(key, "");
  }

  // --- the connection ---

  get token() { return this.#token; }

  /* Connects, and stays so. With a token, that one counts from now on. */
  start(token = this.#token) {
    const renewed = token !== this.#token;
    this.#token = token;
    if (renewed && this.#socket) this.#put({ type: "auth", data: { token } });
    else if (!this.#socket) this.#connect();
    return this;
  }

  stop() { this.#leave(); this.#become("stopped"); }

  /* The network may have changed: try now, or look whether the server is still there. An attempt
   * under way may have begun on the network before, and says nothing of this one. */
  check() {
    this.#attempts = 0;
    if (this.state === "waiting" && Date.now() >= this.#notBefore) this.#connect();
    else if (this.state === "online") this.#ping();
  }

  #connect() {
    clearTimeout(this.#timer);
    const url = new URL("ws", this.#base);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("cursor", this.cursor);
    this.#become("connecting");
    let socket;
    try {
      socket = new this.#WebSocket(url.href, ["chatd.v1", `bearer.${this.#token}`]);
    } catch (error) { // what is no token of HTTP is none of chatd's
      return this.#become("ended", { reason: "unauthorized", text: error.message });
    }
    this.#socket = socket;
    this.#shown = this.#token;
    this.#since = 0;
    const current = (f) => (event) => { if (this.#socket === socket) f(event); };
    socket.onopen = current(() => {
      this.#become("resuming");
      if (this.#shown !== this.#token) this.#put({ type: "auth", data: { token: this.#token } });
    });
    socket.onmessage = current((event) => this.#hear(JSON.parse(event.data)));
    socket.onclose = current((event) => this.#ended(event.code, event.reason));
    socket.onerror = () => {}; // onclose follows
    this.#expect();
  }

  #watch(ms, then) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(then, ms);
  }

  #ping() {
    this.#put({ type: "ping" });
    this.#expect();
  }

  /* The end of a connection that does not answer would be waited for in vain. */
  #expect() { this.#watch(this.#times.patience, () => this.#ended(1006, "the server does not answer")); }

  #leave() {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#land();
    socket?.close(1000);
  }

  #ended(code, text) {
    const flying = this.#flying;
    this.#leave();
    if (code === 1009 && flying) this.#settle(flying.id, new ChatdError("This is too long", { code: "too_large" }));
    // A token that was renewed meanwhile, as with a new password, deserves another attempt.
    const end = this.#shown === this.#token && ENDS.get(code);
    if (end) return this.#become("ended", { reason: end, code, text });
    if (this.#since && Date.now() - this.#since > this.#times.steady) this.#attempts = 0;
    const rest = RESTS.get(code) ?? 0;
    const wait = rest + Math.random() * Math.min(this.#times.most, this.#times.first * 2 ** this.#attempts++);
    this.#notBefore = Date.now() + rest;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#become("waiting", { code, text, wait: Math.round(wait) });
  }

  #put(frame) { if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame)); }

  // --- frames of the server ---

  #hear(frame) {
    this.#watch(this.#times.silence, () => this.#ping());
    if (frame.type === "message") this.#recognize(frame);
    this.#emit(frame.type, frame);
    this.#emit("frame", frame);
    // After the listeners: what they have not handled comes again.
    if (frame.data?.cursor) this.cursor = frame.data.cursor;
    if (frame.type === "ack") this.#settle(frame.id, null, frame.data);
    else if (frame.type === "error") this.#refused(frame);
    else if (frame.type === "resumed") this.#resumed();
  }

  /* The cursor may be followed by a message that was sent over an earlier connection, and whose
   * acknowledgement was lost: it is in the outbox, too, until it is acknowledged again. */
  #recognize({ content, data }) {
    const item = this.outbox[0], to = item?.data;
    if (this.state === "resuming" && item?.sent && item.type === "message" && item.content === content &&
      String(data.sender_id) === this.#self() && to.reply_to === data.reply_to &&
      (to.conversation_id ? to.conversation_id === data.conversation_id : to.receiver_id === data.receiver_id))
      item.message_id ??= data.message_id;
  }

  /* Whom the token is for. Only to recognize one's own; the server has looked at the signature. */
  #self() {
    try {
      return String(JSON.parse(atob(this.#token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub);
    } catch { return ""; }
  }

  #resumed() {
    if (this.state === "online") return; // unasked: the database has lost changes
    this.#since = Date.now();
    this.#become("online");
    for (const mark of this.#marks.values()) this.#put(mark);
    this.#fly();
  }

  #refused({ id, error, data: { code, temporary } }) {
    // A frame that the server could not read has no id that it could name.
    const target = id ?? (["bad_json", "too_large"].includes(code) ? this.#flying?.id : undefined);
    if (temporary && target === this.#flying?.id) this.#flyLater();
    else if (!temporary) this.#settle(target, new ChatdError(error, { code }));
  }

  // --- what is to be stored ---

  /* to: {receiver_id} or {conversation_id}. */
  send(to, content, { reply_to, id } = {}) {
    return this.#queue({ type: "message", content: clean(content), data: { ...to, reply_to } }, id);
  }
  edit(conversation_id, message_id, content) {
    return this.#queue({ type: "edit", content: clean(content), data: { conversation_id, message_id } });
  }
  delete(conversation_id, message_id) {
    return this.#queue({ type: "delete", data: { conversation_id, message_id } });
  }
  react(conversation_id, message_id, emoji, remove = false) {
    return this.#queue({ type: "react", data: { conversation_id, message_id, emoji, remove } });
  }

  #queue(frame, id = newId()) {
    if (this.outbox.length >= OUTBOX_MOST)
      return Promise.reject(new ChatdError("Too much waits to be sent", { code: "outbox_full", temporary: true }));
    this.#order = Math.max(this.#order + 1, Date.now());
    const item = { id, order: this.#order, ...frame };
    this.outbox.push(item);
    this.#keep(`out.${id}`, JSON.stringify(item));
    const stored = new Promise((resolve, reject) => { this.#waiting.set(id, { resolve, reject }); });
    stored.catch(() => {}); // who does not wait for it hears of it by "refused"
    this.#emit("outbox", this.outbox);
    this.#fly();
    return stored;
  }

  /* Takes back what is not under way yet, and forgets what is: that may be stored nevertheless. */
  cancel(id) { this.#settle(id, new ChatdError("It was cancelled", { code: "cancelled" })); }

  #fly() {
    const item = this.outbox[0];
    if (!item || this.#flying || !this.#socket || this.state !== "online") return;
    const { id, type, content, data } = item;
    this.#flying = item;
    item.sent = true;
    this.#put({ type, id, content, data });
    this.#emit("outbox", this.outbox);
  }

  #flyLater() {
    const wait = Math.random() * Math.min(this.#times.most, this.#times.first * 2 ** this.#refusals++);
    this.#pause = setTimeout(() => { this.#flying = null; this.#fly(); }, wait);
  }

  #land() { clearTimeout(this.#pause); this.#flying = null; }

  /* Acknowledged, or refused for good. Of the answers to one id only the first has an effect. */
  #settle(id, error, data) {
    const item = this.outbox.find((i) => i.id === id);
    if (!item) return;
    this.outbox.splice(this.outbox.indexOf(item), 1);
    this.#keep(`out.${id}`, "");
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(error); else waiting?.resolve(data);
    if (item === this.#flying) { this.#land(); this.#refusals = 0; }
    this.#emit(error ? "refused" : "stored", { item, error, ...data });
    this.#emit("outbox", this.outbox);
    this.#fly();
  }

  // --- what is not stored ---

  typing(to) {
    if (this.state === "online" && this.#socket.bufferedAmount < BUFFER_MOST) this.#put({ type: "typing", data: to });
  }
  delivered(conversation_id, message_id) { this.#mark("delivered", conversation_id, message_id); }
  read(conversation_id, message_id) { this.#mark("read", conversation_id, message_id); }

  /* Said again after an interruption, since nobody acknowledges it; watermarks never go back. */
  #mark(type, conversation_id, message_id) {
    const key = `${type} ${conversation_id}`, frame = { type, data: { conversation_id, message_id } };
    if (this.#marks.get(key)?.data.message_id >= message_id) return;
    this.#marks.delete(key);
    this.#marks.set(key, frame);
    if (this.#marks.size > MARKS_MOST) this.#marks.delete(this.#marks.keys().next().value);
    if (this.state === "online") this.#put(frame);
  }

  // --- HTTP ---

  /* What the server answers, parsed; null without a body. A request that may come twice is tried
   * again when the server is away or overloaded. Throws a ChatdError. */
  async request(method, path, body, options) {
    return (await this.#call(method, path, body, options)).answer;
  }

  async #call(method, path, body, { signal, headers } = {}) {
    for (let tried = 1; ; tried++) {
      try {
        return await this.#once(method, path, body, { signal, headers });
      } catch (error) {
        const wait = Math.max(error.retryAfter * 1000, Math.random() * this.#times.first * 2 ** tried);
        const again = method !== "POST" && method !== "PATCH" || headers?.["Idempotency-Key"];
        if (!error.temporary || !again || tried >= TRIES || wait > this.#times.most) throw error;
        await sleep(wait);
      }
    }
  }

  async #once(method, path, body, { signal, headers }) {
    const token = this.#token, url = new URL(String(path).replace(/^\//, ""), this.#base);
    const fields = { ...headers, ...token && { Authorization: `Bearer ${token}` },
      ...body !== undefined && { "Content-Type": "application/json" } };
    let response, text;
    try {
      response = await this.#fetch(url, { method, signal, headers: fields, body: body && JSON.stringify(body) });
      text = await response.text();
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new ChatdError("The server cannot be reached", { temporary: true, cause });
    }
    if (!response.ok) throw this.#failure(response, text, token);
    const next = /<([^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
    return { answer: text ? JSON.parse(text) : null, status: response.status, next: next && new URL(next, url).href };
  }

  #failure(response, text, token) {
    const { status, headers } = response, void_ = /invalid_token/.test(headers.get("WWW-Authenticate") ?? "");
    let message = `The server answers with status ${status}`;
    try { message = JSON.parse(text).error ?? message; } catch { /* a proxy has answered */ }
    if (status === 401 && void_ && token === this.#token && this.state !== "ended") {
      this.#leave();
      this.#become("ended", { reason: "unauthorized", text: message });
    }
    return new ChatdError(message, { status, code: void_ ? "unauthorized" : "",
      temporary: [429, 502, 503, 504].includes(status), retryAfter: Number(headers.get("Retry-After")) || 0 });
  }

  /* A list that comes in pages: {items, next}; next goes into page(), and is null at the end. */
  async page(path, query = {}) {
    const fields = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const { answer, next } = await this.#call("GET", fields.length ? `${path}?${new URLSearchParams(fields)}` : path);
    return { items: answer, next: next ?? null };
  }

  /* The answers of these three bring a token, which counts from then on. */
  async #enter(path, body) {
    const was = this.state, answer = await this.request("POST", path, body);
    if (was === "stopped") this.#token = answer.token; else this.start(answer.token);
    return answer;
  }
  register(username, password, email) { return this.#enter("register", { username, password, email }); }
  login(username, password) { return this.#enter("login", { username, password }); }
  changePassword(password, new_password) { return this.#enter("password", { password, new_password }); }
  async logout() {
    this.stop();
    await this.request("POST", "logout");
    this.#token = "";
  }

  me() { return this.request("GET", "me"); }
  changeMe(change) { return this.request("PATCH", "me", change); }
  users({ q, after, limit = 100 } = {}) { return this.page("users", { q, after, limit }); }
  blocks() { return this.page("me/blocks"); }
  block(user_id) { return this.request("PUT", `users/${user_id}/block`); }
  unblock(user_id) { return this.request("DELETE", `users/${user_id}/block`); }

  conversations({ before, limit = 50 } = {}) {
    return this.request("GET", `conversations?${new URLSearchParams({ limit, ...before && { before } })}`);
  }
  conversation(id) { return this.request("GET", `conversations/${id}`); }
  openConversation(user_id) { return this.request("POST", "conversations", { user_id }); }
  createGroup(name, members = [], history = "joined") { return this.request("POST", "conversations", { name, members, history }); }
  changeGroup(id, change) { return this.request("PATCH", `conversations/${id}`, change); }
  messages(id, { before, after, limit = 50 } = {}) {
    return this.page(`conversations/${id}/messages`, { before, after, limit });
  }
  members(id, { after, limit } = {}) { return this.page(`conversations/${id}/members`, { after, limit }); }
  addMember(id, user_id, role = "member") { return this.request("POST", `conversations/${id}/members`, { user_id, role }); }
  changeMember(id, user_id, role) { return this.request("PATCH", `conversations/${id}/members/${user_id}`, { role }); }
  removeMember(id, user_id) { return this.request("DELETE", `conversations/${id}/members/${user_id}`); }
}
