/* Scenarios of chatd.js against real servers, each by its name: node library.mjs NAME; see library.bats. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { PASSWORD, Chatd, Network, WebSocket, account, becomes, clientOf, eventually, next, packages, sql, startServer, within } from "./servers.mjs";

const { WebSocketServer } = packages("ws");
const range = (n) => Array.from({ length: n }, (_, i) => i);

/* A Storage, as of a page. */
function memory() {
  const map = new Map();
  return { getItem: (k) => map.get(k) ?? null, setItem: (k, v) => map.set(k, String(v)), removeItem: (k) => map.delete(k),
    key: (n) => [...map.keys()][n] ?? null, get length() { return map.size; } };
}
/* The contents that a client gets, in order, with their ids. */
function collect(chat) {
  const got = [];
  chat.on("message", ({ content, data }) => got.push([data.message_id, content]));
  return got;
}
const stored = (u) => sql(`select string_agg(content, ',' order by id) from messages where sender_id = ${u.id}`);
/* Counts how often a client tries. */
function counted() {
  return class Counted extends WebSocket {
    static tries = 0;
    constructor(...args) { super(...args); Counted.tries++; }
  };
}
async function pair(options) {
  const server = await startServer(options), way = await Network.before(server);
  const [a, b] = [await account(way.url), await account(way.url)];
  return { server, way, a, b };
}
/* A server of our own, which answers as the test likes: answer(frame, say, socket, connection). */
async function puppet(answer) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "chatd.v1" });
  let connections = 0;
  server.on("connection", (socket) => {
    const n = ++connections, say = (frame) => socket.send(JSON.stringify(frame));
    say({ type: "resumed", data: { cursor: `c-${n}`, recovered: true } });
    socket.on("message", (text) => answer(JSON.parse(text), say, socket, n));
  });
  await new Promise((done) => { server.on("listening", done); });
  return { url: `http://127.0.0.1:${server.address().port}/`, count: () => connections, close: () => { server.close(); for (const c of server.clients) c.terminate(); } };
}
const quick = { first: 5, most: 10 };

const scenarios = {
  async talk() {
    const { way, a, b } = await pair();
    a.chat.start(); b.chat.start();
    await Promise.all([becomes(a.chat, "online"), becomes(b.chat, "online")]);
    const heard = next(b.chat, "message");
    const ack = await a.chat.send({ receiver_id: b.id }, "Hello!");
    assert.equal(ack.duplicate, false);
    const { data, content } = await heard;
    assert.deepEqual([content, data.message_id, data.sender], ["Hello!", ack.message_id, a.name]);
    const c = data.conversation_id, m = data.message_id;
    const reply = next(a.chat, "message");
    await b.chat.send({ conversation_id: c }, "Hi", { reply_to: m });
    assert.equal((await reply).data.reply_to, m);
    const changes = [];
    b.chat.on("message_changed", (f) => changes.push([f.content, f.data.deleted, f.data.reactions]));
    await b.chat.react(c, m, "👍");
    await a.chat.edit(c, m, "Hello, you!");
    await b.chat.react(c, m, "👍", true);
    const last = next(b.chat, "message_changed", (f) => f.data.deleted);
    await a.chat.delete(c, m);
    await last;
    assert.deepEqual(changes, [["Hello!", false, [{ emoji: "👍", count: 1 }]], ["Hello, you!", false, [{ emoji: "👍", count: 1 }]],
      ["Hello, you!", false, undefined], ["", true, undefined]]);
    const typing = next(b.chat, "typing"), receipt = next(a.chat, "receipt", (f) => f.data.read_upto === m);
    a.chat.typing({ conversation_id: c });
    b.chat.delivered(c, m);
    b.chat.read(c, m);
    assert.equal((await typing).data.user_id, a.id);
    assert.equal((await receipt).data.user_id, b.id);
    await assert.rejects(b.chat.edit(c, m, "not mine"), { code: "not_sender", name: "ChatdError" });
    await assert.rejects(a.chat.send({ receiver_id: 2 ** 40 }, "x"), { code: "unknown_receiver" });
    const refused = next(a.chat, "refused");
    a.chat.send({ conversation_id: c }, "x".repeat(20000));
    const { code } = (await refused).error;
    assert.equal(code, "too_large");
    // What no JSON of chatd's can carry, and what is far too long, stops nothing.
    await a.chat.send({ conversation_id: c }, "half \ud83d, \0 and whole 😀");
    assert.equal(stored(a).split(",").slice(1).join(","), "half \ufffd, \ufffd and whole 😀");
    await assert.rejects(a.chat.send({ conversation_id: c }, "x".repeat(100000)), { code: "too_large" });
    await assert.rejects(a.chat.send({ conversation_id: c }, "x".repeat(2000000)), { code: "too_large" });
    await a.chat.send({ conversation_id: c }, "still here");
    assert.equal(a.chat.outbox.length, 0);
    a.chat.stop(); b.chat.stop(); way.close();
  },

  async restart() {
    const { server, way, a, b } = await pair();
    const got = collect(b.chat);
    a.chat.start(); b.chat.start();
    await Promise.all([becomes(a.chat, "online"), becomes(b.chat, "online")]);
    await a.chat.send({ receiver_id: b.id }, "0");
    const closed = next(a.chat, "state", (s) => s.state === "waiting");
    await server.stop();
    assert.equal((await closed).code, 1012);
    const sent = range(20).map((i) => a.chat.send({ receiver_id: b.id }, String(i + 1)));
    way.to(await startServer());
    const acks = await within("all are stored", Promise.all(sent));
    assert.deepEqual(acks.map((x) => x.duplicate), range(20).map(() => false));
    await eventually("all have come", () => got.length >= 21);
    assert.deepEqual(got.map(([, content]) => content), range(21).map(String));
    a.chat.stop(); b.chat.stop(); way.close();
  },

  async cuts() {
    const seed = Number(process.env.SEED) || Math.floor(Math.random() * 1e9);
    console.log(`SEED=${seed}`);
    let state = seed;
    const dice = (n) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return Math.floor((state / 2 ** 32) * n); };
    const { way, a, b } = await pair();
    const most = 150;
    let frames = 0, breaks = dice(30);
    // Some breaks come at once, some after a while in which the server hears and is not heard.
    const count = () => {
      if (++frames < breaks) return;
      breaks = frames + 5 + dice(40);
      if (dice(3)) { way.cut(true); return; }
      way.hold();
      setTimeout(() => way.cut(true), dice(50));
    };
    const got = [], clients = [a, b].map((u) => {
      const chat = clientOf(u, { url: way.url, times: { first: 5, most: 20 } });
      got.push(collect(chat));
      chat.on("frame", count);
      chat.on("outbox", count);
      return chat.start();
    });
    // Who has no cursor yet has missed nothing: what comes before that is not promised.
    await Promise.all(clients.map((chat) => becomes(chat, "online")));
    const sent = clients.flatMap((chat, i) => range(most).map((n) => chat.send({ receiver_id: [b, a][i].id }, String(n))));
    await within("all are stored", Promise.all(sent), 90000);
    assert.deepEqual([stored(a), stored(b)], [range(most).join(), range(most).join()]);
    for (const [i, g] of got.entries()) {
      const others = new Set(sql(`select id from messages where sender_id = ${[b, a][i].id}`).split("\n").map(Number));
      await eventually("all have come", () => g.filter(([id]) => others.has(id)).length >= most, 60000);
      // The own ones come, too, where their acknowledgement was lost.
      assert.equal(new Set(g.map(([id]) => id)).size, g.length, "none twice");
      assert.deepEqual(g.map(([id]) => id), g.map(([id]) => id).sort((x, y) => x - y), "in order");
    }
    for (const chat of clients) chat.stop();
    way.close();
  },

  async lost_ack() {
    const { way, a, b } = await pair();
    a.chat.start();
    await becomes(a.chat, "online");
    await a.chat.send({ receiver_id: b.id }, "before");
    way.hold();
    const ack = a.chat.send({ receiver_id: b.id }, "once");
    await eventually("it is stored", () => stored(a) === "before,once");
    const own = next(a.chat, "message"), known = next(a.chat, "stored");
    way.cut(true);
    const { data } = await own;
    assert.equal((await known).item.message_id, data.message_id, "the frame is recognized as what waits");
    assert.deepEqual((({ message_id, duplicate }) => [message_id, duplicate])(await ack), [data.message_id, true]);
    assert.equal(stored(a), "before,once");
    a.chat.stop(); way.close();
  },

  async acks_twice() {
    const { way, a, b } = await pair();
    class Twice extends WebSocket {
      set onmessage(f) { super.onmessage = (e) => { f(e); if (JSON.parse(e.data).type === "ack") f(e); }; }
    }
    const chat = clientOf(a, { url: way.url, WebSocket: Twice }).start(), acked = [];
    chat.on("stored", ({ item }) => acked.push(item.content));
    await Promise.all(range(10).map((i) => chat.send({ receiver_id: b.id }, String(i))));
    assert.deepEqual(acked, range(10).map(String));
    assert.equal(stored(a), range(10).join());
    const id = "mine";
    const first = await chat.send({ receiver_id: b.id }, "x", { id }), again = await chat.send({ receiver_id: b.id }, "x", { id });
    assert.deepEqual([again.message_id, again.duplicate], [first.message_id, true]);
    await assert.rejects(chat.send({ receiver_id: b.id }, "y", { id }), { code: "conflict" });
    chat.stop(); way.close();
  },

  async overflow() {
    const { way, a, b } = await pair({ session_queue: "16k", write_timeout: "120s" });
    const got = collect(b.chat), most = 1500;
    b.chat.start();
    await becomes(b.chat, "online");
    way.hold();
    sql(`insert into messages (sender_id, receiver_id, content) select ${a.id}, ${b.id}, i || ' ' || repeat('x', 16000) from generate_series(1, ${most}) i`);
    sql(`insert into messages (sender_id, receiver_id, content) values (${a.id}, ${b.id}, '0 end')`);
    way.flow();
    await eventually("the last has come", () => got.at(-1)?.[1] === "0 end", 60000);
    assert.deepEqual(got.slice(0, -1).map(([, content]) => parseInt(content, 10)), range(most).map((i) => i + 1));
    b.chat.stop(); way.close();
  },

  async void_token() {
    const { way, a, b } = await pair();
    const Counted = counted(), storage = memory();
    const chat = clientOf(a, { url: way.url, WebSocket: Counted, storage, times: { first: 1, most: 1 } }).start();
    await becomes(chat, "online");
    const end = next(chat, "state", (s) => s.state === "ended");
    await a.chat.logout();
    const { reason, code } = await end;
    assert.deepEqual([reason, code, Counted.tries], ["unauthorized", 4401, 1]);
    // Nothing is left that could try again, and being asked to look does not.
    const timers = () => process.getActiveResourcesInfo().filter((r) => r === "Timeout").length;
    assert.equal(timers(), 0);
    chat.check();
    const kept = chat.send({ receiver_id: b.id }, "kept");
    assert.deepEqual([chat.state, Counted.tries, timers(), chat.outbox.length], ["ended", 1, 0, 1]);
    for (const token of ["nonsense", a.chat.token, "no token"]) {
      const other = new Chatd({ url: way.url, token, WebSocket: Counted, times: { first: 1 } });
      const ended = next(other, "state", (s) => s.state === "ended");
      other.start();
      assert.equal((await ended).reason, "unauthorized");
      await assert.rejects(other.me(), (e) => e.status === 401);
    }
    // What a route says of a token ends the connection, too.
    const half = clientOf({ chat }, { url: way.url, WebSocket: Counted, times: { first: 1 } });
    await assert.rejects(half.me(), { status: 401, code: "unauthorized", temporary: false });
    assert.equal(half.state, "ended");
    // The user logs in again.
    await chat.login(a.name, PASSWORD);
    assert.equal((await kept).duplicate, false);
    // A wrong password is not a void token.
    await assert.rejects(chat.changePassword("wrong", "battery staple"), { status: 401, code: "" });
    assert.equal(chat.state, "online");
    // A new password voids the old token, and this client goes on with the new one.
    await chat.changePassword(PASSWORD, `${PASSWORD}x`);
    await chat.send({ receiver_id: b.id }, "after");
    await becomes(chat, "online");
    const gone = next(chat, "state", (s) => s.state === "ended");
    sql(`select user_disable('${a.name}')`);
    assert.equal((await gone).reason, "forbidden");
    way.close();
  },

  async renewal() {
    const { way, a, b } = await pair();
    a.chat.start();
    await becomes(a.chat, "online");
    const other = new Chatd({ url: way.url }), { token } = await other.login(a.name, PASSWORD);
    const renewed = next(a.chat, "authenticated");
    a.chat.start(token);
    assert.equal((await renewed).data.user_id, a.id);
    assert.equal(a.chat.token, token);
    const refused = next(a.chat, "error");
    a.chat.start(b.chat.token);
    assert.equal((await refused).data.code, "other_user");
    // While it connects; and by logging in while it is online.
    const { token: third } = await new Chatd({ url: way.url }).login(a.name, PASSWORD);
    const early = clientOf(a, { url: way.url, token }).start(), known = next(early, "authenticated");
    early.start(third);
    assert.equal((await known).data.user_id, a.id);
    await becomes(early, "online");
    const anew = next(early, "authenticated");
    await early.login(a.name, PASSWORD);
    assert.equal((await anew).data.user_id, a.id);
    early.stop();
    a.chat.stop(); way.close();
  },

  async later() {
    const { way, a } = await pair({ max_connections_per_user: 1, frame_rate: 100 });
    const Counted = counted();
    a.chat.start();
    await becomes(a.chat, "online");
    const second = clientOf(a, { url: way.url, WebSocket: Counted });
    const waits = next(second, "state", (s) => s.state === "waiting");
    second.start();
    const { code, wait } = await waits;
    assert.equal(code, 1013);
    assert.ok(wait >= 5000, `it waits for ${wait} ms`);
    second.check();
    assert.deepEqual([second.state, Counted.tries], ["waiting", 1]);
    second.stop();
    const flooding = next(a.chat, "state", (s) => s.state === "waiting");
    for (const i of range(300)) a.chat.read(i + 1, 1);
    const end = await flooding;
    assert.equal(end.code, 4429);
    assert.ok(end.wait >= 30000, `it waits for ${end.wait} ms`);
    a.chat.stop(); way.close();
  },

  async waits() {
    // The bound doubles up to its limit, and chance decides below it. A network that is back while an attempt
    // is under way begins it anew: the attempt may fail for what was before.
    const closed = [], chat = new Chatd({ url: "http://127.0.0.1:1/", token: "t", WebSocket, times: { first: 4, most: 16 } });
    const random = Math.random;
    Math.random = () => 0.999;
    chat.on("state", (s) => {
      if (s.state === "waiting") closed.push(s.wait);
      if (s.state === "connecting" && closed.length === 6) queueMicrotask(() => chat.check());
    });
    chat.start();
    await eventually("eight attempts", () => closed.length >= 8);
    Math.random = random;
    chat.stop();
    assert.deepEqual(closed.slice(0, 8), [4, 8, 16, 16, 16, 16, 4, 8]);
  },

  async temporary() {
    // An error that passes: the same again under the same id, and nothing overtakes it.
    const seen = [];
    const p = await puppet((frame, say) => {
      if (frame.type !== "message") return;
      seen.push([frame.id, frame.content]);
      const error = seen.length <= 3;
      say(error ? { type: "error", id: frame.id, error: "away", data: { code: "unavailable", temporary: true } }
        : { type: "ack", id: frame.id, data: { message_id: seen.length, cursor: "x" } });
    });
    const chat = new Chatd({ url: p.url, token: "t", WebSocket, times: quick }).start();
    await becomes(chat, "online");
    await Promise.all([chat.send({ receiver_id: 1 }, "first"), chat.send({ receiver_id: 1 }, "second")]);
    assert.deepEqual(seen.map(([, content]) => content), ["first", "first", "first", "first", "second"]);
    assert.equal(new Set(seen.map(([id]) => id)).size, 2);
    await Promise.all(range(3).map((i) => chat.send({ receiver_id: 1 }, String(i))));
    assert.deepEqual(seen.slice(5).map(([, content]) => content), ["0", "1", "2"]);
    chat.stop(); p.close();
  },

  async silence() {
    // A server that is there and says nothing: left, and asked anew; marks are said again.
    const marks = [];
    const p = await puppet((frame, say, socket, n) => {
      if (frame.type === "read") marks.push([n, frame.data.message_id]);
      if (frame.type === "ping" && n > 1) say({ type: "pong" });
    });
    const chat = new Chatd({ url: p.url, token: "t", WebSocket, times: { ...quick, silence: 30, patience: 2000 } }).start();
    await becomes(chat, "online");
    chat.read(7, 5); chat.read(7, 4);
    const { code } = await next(chat, "state", (s) => s.state === "waiting");
    assert.equal(code, 1006);
    await next(chat, "pong");
    assert.equal(p.count(), 2);
    assert.deepEqual(marks, [[1, 5], [2, 5]]);
    // A handshake that nobody answers ends, too.
    const deaf = await import("node:net").then(({ createServer }) => createServer(() => {}));
    await new Promise((done) => { deaf.listen(0, "127.0.0.1", done); });
    const lost = new Chatd({ url: `http://127.0.0.1:${deaf.address().port}/`, token: "t", WebSocket, times: { ...quick, patience: 30 } });
    const waits = next(lost, "state", (s) => s.state === "waiting");
    lost.start();
    await waits;
    lost.stop(); chat.stop(); p.close(); deaf.close();
  },

  async listeners() {
    // One that fails is reported, and the others go on; what one has not handled, the cursor does not pass.
    const p = await puppet((frame, say) => {
      if (frame.type === "message") say({ type: "ack", id: frame.id, data: { message_id: 1, cursor: "after" } });
    });
    const reported = new Promise((done) => { process.once("uncaughtException", done); });
    const chat = new Chatd({ url: p.url, token: "t", WebSocket, times: quick });
    let cursor = null;
    chat.on("ack", () => { throw new Error("of the listener"); });
    const off = chat.on("ack", () => { cursor = chat.cursor; });
    chat.start();
    await chat.send({ receiver_id: 1 }, "x");
    assert.deepEqual([(await reported).message, cursor, chat.cursor], ["of the listener", "c-1", "after"]);
    off();
    process.once("uncaughtException", () => {});
    cursor = null;
    await chat.send({ receiver_id: 1 }, "y");
    assert.equal(cursor, null);
    chat.stop(); p.close();
  },

  async storage() {
    const { way, a, b } = await pair();
    const storage = memory(), options = { url: way.url, storage, prefix: "a." };
    way.cut();
    const before = clientOf(a, options).start();
    for (const i of range(5)) before.send({ receiver_id: b.id }, String(i));
    before.setDraft("b", "begun");
    before.stop(); // as if the page was closed
    way.up = true;
    // Two pages of one browser: each sends all, and the server stores it once.
    const pages = [clientOf(a, options), clientOf(a, options)];
    assert.deepEqual(pages.map((p) => [p.outbox.length, p.draft("b")]), [[5, "begun"], [5, "begun"]]);
    for (const p of pages) p.start();
    await eventually("both have sent all", () => pages.every((p) => p.outbox.length === 0));
    assert.equal(stored(a), "0,1,2,3,4");
    assert.notEqual(pages[0].cursor, "");
    const cancelled = pages[0].send({ receiver_id: 2 ** 40 }, "x");
    pages[0].stop();
    pages[0].forget();
    await assert.rejects(cancelled, { code: /cancelled|unknown_receiver/ });
    pages[1].stop();
    assert.equal(storage.length, 0);
    // One that keeps nothing: said, and all goes on.
    const full = { ...memory(), length: 0, setItem() { throw new Error("full"); } };
    const poor = clientOf(a, { ...options, storage: full }), unkept = next(poor, "unkept");
    poor.start();
    await poor.send({ receiver_id: b.id }, "5");
    assert.match((await unkept).error.message, /full/);
    poor.setDraft(7, "begun");
    assert.equal(poor.draft("7"), "begun");
    poor.setDraft(7, "");
    assert.equal(poor.draft(7), "");
    poor.setDraft(8, "to forget");
    poor.forget();
    assert.equal(poor.draft(8), "");
    poor.stop();
    // Its end.
    const many = new Chatd({ url: way.url });
    for (const i of range(1000)) many.send({ receiver_id: 1 }, String(i));
    await assert.rejects(many.send({ receiver_id: 1 }, "one more"), { code: "outbox_full" });
    way.close();
  },

  async pages() {
    // Two pages of one browser, and a third that opens: each comes back where it was.
    const { server, way, a, b } = await pair(), other = await Network.before(server), storage = memory();
    const pages = [way, other].map(({ url }) => clientOf(a, { url, storage })), got = pages.map(collect);
    for (const page of pages) page.start();
    const sender = clientOf(b, { url: server.url }).start();
    await Promise.all([...pages, sender].map((chat) => becomes(chat, "online")));
    const heard = pages.map((page) => next(page, "message"));
    await sender.send({ receiver_id: a.id }, "0");
    await Promise.all(heard);
    for (const [page, network, elsewhere] of [[pages[0], way, pages[1]], [pages[1], other, pages[0]]]) {
      network.cut();
      await becomes(page, "waiting");
      const heard = next(elsewhere, "message");
      await sender.send({ receiver_id: a.id }, network === way ? "1" : "2");
      await heard;
      const cursor = page.cursor;
      clientOf(a, { url: network.url, storage }).cursor = "";
      assert.equal(page.cursor, cursor);
      network.up = true;
      await becomes(page, "online");
    }
    await eventually("all have come", () => got.every((g) => g.length >= 3));
    for (const g of got) assert.deepEqual(g.map(([, content]) => content), ["0", "1", "2"]);
    for (const chat of [...pages, sender]) chat.stop();
    way.close(); other.close();
  },

  async too_large() {
    const p = await puppet(({ type, id, content }, say, socket) => {
      if (content === "large") socket.close(1009);
      else if (type === "message") say({ type: "ack", id, data: { message_id: 1, cursor: "x" } });
    });
    const chat = new Chatd({ url: p.url, token: "t", WebSocket, times: quick }).start();
    const large = chat.send({ receiver_id: 1 }, "large"), small = chat.send({ receiver_id: 1 }, "small");
    await assert.rejects(large, { code: "too_large" });
    await within("the next one is stored", small);
    chat.stop(); p.close();
  },

  async forgotten() {
    const heard = [], p = await puppet(({ type, content }, say) => {
      if (type === "ping") say({ type: "pong" });
      else heard.push(content);
    });
    const storage = memory(), chat = new Chatd({ url: p.url, token: "t", storage, WebSocket, times: quick }).start();
    await becomes(chat, "online");
    const all = range(3).map((i) => chat.send({ receiver_id: 1 }, String(i)));
    chat.forget();
    for (const one of all) await assert.rejects(one, { code: "cancelled" });
    const pong = next(chat, "pong");
    chat.check();
    await pong;
    assert.deepEqual([heard, chat.cursor, storage.length], [["0"], "", 0]);
    chat.stop(); p.close();
  },

  async damaged() {
    const { way, a, b } = await pair(), storage = memory(), good = { id: "g", order: 5, type: "message", content: "whole", data: { receiver_id: b.id } };
    const texts = { h: "{", n: "null", o: JSON.stringify(good), d: '{"id":"d","order":1}', c: '{"id":"c","order":1,"type":"message","data":{}}', g: JSON.stringify(good) };
    for (const [key, text] of Object.entries(texts)) storage.setItem(`chatd.out.${key}`, text);
    const chat = clientOf(a, { url: way.url, storage });
    assert.deepEqual([chat.outbox, storage.length], [[good], 1]);
    chat.start();
    await eventually("it is stored", () => stored(a) === "whole");
    chat.stop(); way.close();
  },

  /* Ended by a signal, as a test run is by Ctrl-C: see ended(). */
  async waiting() {
    console.log((await startServer()).url);
    await new Promise(() => {});
  },
  async ended() {
    const child = spawn(process.execPath, [process.argv[1], "waiting"], { stdio: ["ignore", "pipe", "inherit"] });
    const url = String(await within("its server", new Promise((done) => { child.stdout.once("data", done); }))).trim();
    await fetch(url);
    const exit = new Promise((done) => { child.once("exit", done); });
    child.kill("SIGTERM");
    assert.equal(await within("its end", exit), 143);
    await eventually("no server stays", () => fetch(url).then(() => false, () => true));
  },

  async routes() {
    const { server, way, a, b } = await pair();
    const { chat } = a;
    assert.equal((await chat.me()).username, a.name);
    assert.equal((await chat.changeMe({ display_name: "A" })).display_name, "A");
    await assert.rejects(chat.register(a.name, PASSWORD, "x@example.com"), { status: 409 });
    await assert.rejects(chat.login(a.name, "wrong"), { status: 401 });
    const first = await chat.users({ limit: 1 }), all = [...first.items];
    for (let page = first; page.next;) { page = await chat.page(page.next); all.push(...page.items); }
    assert.deepEqual(all.map((u) => u.id), sql("select id from users order by id").split("\n").map(Number));
    assert.equal((await chat.users({ q: b.name })).items[0].id, b.id);
    const direct = await chat.openConversation(b.id);
    assert.equal((await chat.conversation(direct.id)).peer.id, b.id);
    const group = await chat.createGroup("Team", [b.id]);
    assert.equal((await chat.changeGroup(group.id, { name: "Crew" })).name, "Crew");
    assert.equal((await chat.changeMember(group.id, b.id, "admin")).role, "admin");
    const c = await account(way.url);
    assert.equal((await b.chat.addMember(group.id, c.id)).role, "member");
    assert.deepEqual((await chat.members(group.id)).items.map((m) => m.role), ["owner", "admin", "member"]);
    assert.equal(await chat.removeMember(group.id, c.id), null);
    chat.start();
    for (const i of range(5)) await chat.send({ conversation_id: group.id }, String(i));
    const late = await chat.messages(group.id, { limit: 2 });
    assert.deepEqual(late.items.map((m) => m.content), ["3", "4"]);
    assert.deepEqual((await chat.page(late.next)).items.map((m) => m.content), ["1", "2"]);
    assert.equal((await chat.conversations({ limit: 1 })).conversations[0].id, group.id);
    assert.equal(await chat.block(c.id), null);
    assert.deepEqual((await chat.blocks()).items.map((u) => u.id), [c.id]);
    assert.equal(await chat.unblock(c.id), null);
    assert.equal((await chat.request("POST", "/messages", { receiver_id: b.id, content: "x" }, { headers: { "Idempotency-Key": "k" } })).duplicate, false);
    await assert.rejects(chat.request("GET", "/nothing"), { status: 404, temporary: false });
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(chat.request("GET", "me", undefined, { signal: controller.signal }), { name: "AbortError" });
    // Nobody is there: what may come twice is tried again, the rest is not.
    let asked = 0;
    const poor = clientOf(a, { url: way.url, times: { first: 1 }, fetch: (...args) => { asked++; return fetch(...args); } });
    way.cut();
    await assert.rejects(poor.me(), { temporary: true, status: 0 });
    await assert.rejects(poor.login(a.name, PASSWORD), { temporary: true });
    assert.equal(asked, 4);
    // Overloaded, as a proxy says it, and then not any more; and too long a pause is left to the caller.
    const answers = [new Response("<h1>no</h1>", { status: 503 }), new Response("{}"), new Response("", { status: 429, headers: { "Retry-After": "3600" } })];
    const fed = new Chatd({ url: "http://h/", times: { first: 1 }, fetch: async () => answers.shift() });
    assert.deepEqual(await fed.me(), {});
    await assert.rejects(fed.me(), { status: 429, retryAfter: 3600, temporary: true, message: "The server answers with status 429" });
    chat.stop(); way.close(); await server.stop();
  },

  /* Every name of the class is one of the types and of the manual, and the other way round. */
  async names() {
    const { readFileSync } = await import("node:fs"), { ROOT } = process.env;
    const own = Object.getOwnPropertyNames(Chatd.prototype).filter((n) => n !== "constructor").concat(Object.keys(new Chatd({ url: "http://h/" }))).sort();
    const types = readFileSync(`${ROOT}/web/chatd.d.ts`, "utf8").split("export class Chatd {")[1];
    assert.deepEqual([...new Set([...types.matchAll(/^ {2}(?:readonly )?(\w+)[<(:]/gm)].map((m) => m[1]))].filter((n) => n !== "constructor").sort(), own);
    const page = readFileSync(`${ROOT}/man/chatd-js.7`, "utf8");
    const named = [...page.matchAll(/^\.(?:It )?Li (\w+) Ns Pq/gm)].map((m) => m[1]);
    const listed = /^\.It Li (state , .*)$/m.exec(page)[1].split(" , ");
    assert.deepEqual([...new Set([...named, ...listed])].sort(), own);
  },
};

const name = process.argv[2];
assert.ok(Object.hasOwn(scenarios, name), `no scenario ${name}; there are: ${Object.keys(scenarios).join(" ")}`);
await scenarios[name]();
process.exit(0);
