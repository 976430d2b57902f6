/*
 * For the tests of web/: real servers, the network before them, and clients that wait for events.
 *
 *   const server = await startServer({ frame_rate: 100 });   // ready when this returns
 *   const way = await Network.before(server);                // way.url, for clients
 *   way.cut(); way.hold(); way.flow(); way.to(otherServer);
 *   const u = await account(way.url);
 */
import { execFileSync, spawn } from "node:child_process";
import { openSync, closeSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";

export const { T, BUILD, ROOT, DB } = process.env;
/* What tests/tools/web has installed. */
export const packages = createRequire(`${ROOT}/build/web-tests/`);
export const { WebSocket } = packages("ws");
const { Chatd } = await import(`${ROOT}/web/chatd.js`);

const WAIT = 20000;
let number = 0;
const running = new Set();
process.on("exit", () => { for (const child of running) child.kill("SIGKILL"); });
process.on("SIGTERM", () => process.exit(143)); // which, by itself, would leave them running

/* The value of a promise, or an error that says what was waited for. */
export function within(what, promise, ms = WAIT) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* The next event of this type for which the test holds. */
export function next(chat, type, test = () => true) {
  let off;
  const heard = new Promise((resolve) => { off = chat.on(type, (what) => { if (test(what)) resolve(what); }); });
  return within(`${type} ${test}`, heard).finally(() => off());
}
export const becomes = (chat, state) => (chat.state === state ? Promise.resolve() : next(chat, "state", (s) => s.state === state));

/* For what no event tells of: asks again until it is so. */
export async function eventually(what, test, ms = WAIT) {
  for (const end = Date.now() + ms; ;) {
    const got = await test();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((done) => { setTimeout(done, 20); });
  }
}

export const sql = (text) => execFileSync("psql", ["-qXAt", "-c", `set search_path = chatd; ${text}`], { encoding: "utf8" }).trim();

export async function startServer(options = {}, port = 0) {
  const name = `w${process.pid}-${++number}`, all = { mode: "development", port, db_host: process.env.PGHOST, db_name: DB, db_user: DB,
    db_password_file: `${T}/db_password`, jwt_secret_file: `${T}/jwt_secret`, run_dir: `${T}/${name}.run`, bcrypt_cost: 4, log_level: "debug",
    presence_debounce: 0, register_rate: 0, user: "daemon", session_user: "nobody", drain_time: "2s", web_client: "on", admin_listen: "", ready_fd: 3, ...options };
  const log = openSync(`${T}/${name}.log`, "a");
  const child = spawn(`${BUILD}/chatd`, Object.entries(all).flatMap(([k, v]) => ["-o", `${k}=${v}`]),
    { cwd: T, detached: true, stdio: ["ignore", log, log, "pipe"] });
  closeSync(log);
  running.add(child);
  const ended = new Promise((done) => { child.on("exit", () => { running.delete(child); done(); }); });
  const line = await within(`${name} is ready`, Promise.race([new Promise((done) => { child.stdio[3].once("data", (d) => done(String(d))); }),
    ended.then(() => { throw new Error(readFileSync(`${T}/${name}.log`, "utf8")); })]));
  const address = line.split(/[\s,]+/)[1];
  const server = { name, port: Number(address.split(":").pop()), async stop() { child.kill("SIGTERM"); await within(`${name} ends`, ended); } };
  server.url = `http://127.0.0.1:${server.port}/`;
  return server;
}

/* A network between clients and a server. */
export class Network {
  #server; #clients = new Set(); #listener; #held = false;
  up = true;
  connections = 0;

  static async before(server, port = 0) {
    const way = new Network();
    way.to(server);
    way.#listener = net.createServer((socket) => way.#accept(socket));
    await new Promise((done) => { way.#listener.listen(port, "127.0.0.1", done); });
    way.port = way.#listener.address().port;
    way.url = `http://127.0.0.1:${way.port}/`;
    return way;
  }
  to(server) { this.#server = server; }
  #accept(client) {
    if (!this.up) { client.resetAndDestroy(); return; }
    this.connections++;
    const server = net.connect(this.#server.port, "127.0.0.1"), pair = { client, server };
    this.#clients.add(pair);
    client.on("data", (data) => server.write(data));
    server.on("data", (data) => client.write(data));
    if (this.#held) server.pause();
    for (const [one, other] of [[client, server], [server, client]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => { this.#clients.delete(pair); other.end(); });
    }
  }
  /* Nothing comes from the server any more, though it hears what is sent. */
  hold() { this.#held = true; for (const { server } of this.#clients) server.pause(); }
  flow() { this.#held = false; for (const { server } of this.#clients) server.resume(); }
  /* Every connection breaks, and none is made until it is up again. */
  cut(up = false) {
    this.up = up;
    this.#held = false;
    for (const { client, server } of this.#clients) { client.resetAndDestroy(); server.destroy(); }
    this.#clients.clear();
  }
  close() { this.cut(); this.#listener.close(); }
}

/* Somebody who has an account, and a client of it that comes back quickly. */
export async function account(url, options = {}) {
  const name = `u${process.pid.toString(36)}${(++number).toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const chat = new Chatd({ url, WebSocket, times: { first: 50, most: 200 }, ...options });
  const { user } = await chat.register(name, PASSWORD, `${name}@example.com`);
  return { chat, name, id: user.id };
}
export const PASSWORD = `${Math.random()}${Math.random()}`;
export const clientOf = (u, options = {}) => new Chatd({ url: options.url, token: u.chat.token, WebSocket, times: { first: 50, most: 200 }, ...options });
export { Chatd };
