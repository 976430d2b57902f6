'use strict';
/*
 * The baseline: the same chat service in the usual way. One Node.js process, the connections in a
 * Map, one INSERT per message on a pool of 10, an ack when it is committed. Beyond that chatd has a
 * second host, resume, and order. PG*, JWT_SECRET and BCRYPT_COST come from the environment; it prints
 * "ready PORT".
 */
const crypto = require('node:crypto');
const http = require('node:http');
const bcrypt = require('bcrypt');
const pg = require('pg');
const { WebSocketServer } = require('ws');
const { Refusal } = require('./refusal');

const SECRET = process.env.JWT_SECRET;
const COST = Number(process.env.BCRYPT_COST || 10);
const LIFETIME = 86400;
const [MAX_BODY, MAX_CONTENT] = [65536, 16384];

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const pool = new pg.Pool({ max: 10 });
const conversations = require('./conversations')(pool, (id) => online.has(id));

// --- tokens: HS256, as a library for it would do it ---

const sign = (text) => crypto.createHmac('sha256', SECRET).update(text).digest('base64url');
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function makeToken(user) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({
    sub: String(user.id), name: user.username, iat: now, exp: now + LIFETIME,
  })}`;
  return `${text}.${sign(text)}`;
}

/* The user that a request acts for, or null. */
function verify(request) {
  const [, head, body, mark] = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(request.headers.authorization || '') || [];
  if (!mark) return null;
  const expected = Buffer.from(sign(`${head}.${body}`));
  const given = Buffer.from(mark);
  if (given.length !== expected.length || !crypto.timingSafeEqual(given, expected)) return null;
  if (JSON.parse(Buffer.from(head, 'base64url')).alg !== 'HS256') return null;
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  return claims.exp > Date.now() / 1000 ? { id: Number(claims.sub), username: claims.name } : null;
}

// --- the hub: who is connected to this process, and that is everybody ---

const online = new Map(); // user id -> Set of sockets

function sendTo(id, text, except) {
  for (const socket of online.get(id) || []) if (socket !== except) socket.send(text);
}

function announce(id, isOnline) {
  const text = JSON.stringify({ type: 'user_status', data: { user_id: id, online: isOnline } });
  for (const [other, sockets] of online) if (other !== id) for (const socket of sockets) socket.send(text);
}

function arrive(user, socket) {
  if (online.has(user.id)) return online.get(user.id).add(socket);
  online.set(user.id, new Set([socket]));
  return announce(user.id, true);
}

function leave(user, socket) {
  const sockets = online.get(user.id);
  if (!sockets || !sockets.delete(socket) || sockets.size > 0) return;
  online.delete(user.id);
  announce(user.id, false);
  pool.query('update users set last_seen = now() where id = $1', [user.id]).catch(console.error);
}

// --- messages ---

/* What the client is told about anything that went wrong. */
function refusal(e) {
  if (e instanceof Refusal) return e;
  if (e instanceof SyntaxError) return new Refusal(400, 'bad_json', e.message);
  console.error(e);
  return new Refusal(500, 'internal', 'Internal error');
}

function check({ content, id, data }) {
  const isText = (value, most) => typeof value === 'string' && value && Buffer.byteLength(value) <= most;
  const ids = data ? [data.receiver_id, data.conversation_id].filter((i) => i !== undefined) : [];
  if (ids.length !== 1 || !Number.isSafeInteger(ids[0])) {
    throw new Refusal(400, 'bad_frame', 'one of "receiver_id" and "conversation_id" must be an id');
  }
  if (!isText(content, MAX_CONTENT)) throw new Refusal(400, 'bad_frame', '"content" must be a text');
  if (id !== undefined && !isText(id, 64)) throw new Refusal(400, 'bad_frame', '"id" must be a text of 1 to 64 bytes');
}

/* One row, committed; or the row that the same id has already. */
async function store(sender, conversation, content, id = crypto.randomUUID()) {
  const put = await pool.query(
    `insert into messages (conversation_id, sender_id, client_id, content) values ($1, $2, $3, $4)
     on conflict (sender_id, client_id) do nothing returning id, created_at`,
    [conversation, sender, id, content]);
  if (put.rowCount) return { ...put.rows[0], duplicate: false };
  const { rows: [old] } = await pool.query('select * from messages where sender_id = $1 and client_id = $2', [sender, id]);
  if (old.conversation_id === conversation && old.content === content) return { ...old, duplicate: true };
  throw new Refusal(409, 'conflict', 'This id was used before, for another message');
}

async function message(user, socket, frame) {
  check(frame);
  const { content, id, data: { receiver_id: receiver, conversation_id: group } } = frame;
  const talk = await (group ? conversations.withId(group, user.id) : conversations.between(user.id, receiver));
  const stored = await store(user.id, talk.id, content, id);
  const cursor = String(stored.id);
  if (!stored.duplicate) {
    const text = JSON.stringify({ type: 'message', content, data: {
      message_id: stored.id, conversation_id: talk.id, sender_id: user.id, sender: user.username,
      receiver_id: talk.direct ? conversations.peerOf(talk, user.id) : undefined,
      created_at: stored.created_at, cursor } });
    for (const member of talk.members) sendTo(member, text, socket);
  }
  const data = { message_id: stored.id, cursor, duplicate: stored.duplicate };
  if (id !== undefined) socket.send(JSON.stringify({ type: 'ack', id, data }));
}

async function receive(user, socket, bytes) {
  let frame;
  try {
    frame = JSON.parse(bytes);
    if (frame.type === 'message') await message(user, socket, frame);
    else if (frame.type === 'ping') socket.send('{"type":"pong"}');
    else throw new Refusal(400, 'bad_frame', 'unknown "type"');
  } catch (e) {
    const { message: error, code, status } = refusal(e);
    socket.send(JSON.stringify({ type: 'error', id: frame && frame.id, error, data: { code, temporary: status >= 500 } }));
  }
}

// --- HTTP ---

const login = (user, status) => [status, { token: makeToken(user), token_type: 'Bearer', expires_in: LIFETIME,
  user: { id: user.id, username: user.username, email: user.email } }];

async function bodyOf(request) {
  let body = '';
  for await (const part of request.setEncoding('utf8')) {
    body += part;
    if (body.length > MAX_BODY) throw new Refusal(413, 'too_large', 'The body is too large');
  }
  return JSON.parse(body) || {};
}

function text(value, name) {
  if (typeof value === 'string' && value && value.length <= 254) return value;
  throw new Refusal(400, 'bad_field', `"${name}" is missing`);
}

async function register(request) {
  const { username, password, email } = await bodyOf(request);
  const hash = await bcrypt.hash(text(password, 'password'), COST);
  try {
    const { rows: [user] } = await pool.query(
      'insert into users (username, email, password_hash) values ($1, $2, $3) returning id, username, email',
      [text(username, 'username'), text(email, 'email'), hash]);
    return login(user, 201);
  } catch (e) {
    if (e.code === '23505') throw new Refusal(409, 'taken', 'This username or email is taken');
    throw e;
  }
}

async function logIn(request) {
  const { username, password } = await bodyOf(request);
  const { rows: [user] } = await pool.query('select * from users where username = $1', [text(username, 'username')]);
  if (user && await bcrypt.compare(text(password, 'password'), user.password_hash)) return login(user, 200);
  throw new Refusal(401, 'unauthorized', 'Wrong username or password');
}

async function listUsers() {
  const { rows } = await pool.query('select id, username, last_seen from users order by id');
  return [200, rows.map((u) => ({ id: u.id, username: u.username, online: online.has(u.id),
    last_seen: online.has(u.id) ? new Date() : u.last_seen }))];
}

async function route(request) {
  const what = `${request.method} ${request.url.split('?')[0]}`;
  if (what === 'POST /register') return register(request);
  if (what === 'POST /login') return logIn(request);
  const user = verify(request);
  if (!user) throw new Refusal(401, 'unauthorized', 'The token is invalid or has expired; log in again');
  if (what === 'GET /users') return listUsers();
  if (what === 'GET /conversations') return conversations.list(user, Number(/[?&]before=(\d+)/.exec(request.url)?.[1]));
  if (what === 'POST /conversations') return conversations.make(user, await bodyOf(request));
  const [, kind, id, part] = /^([A-Z]+ \/\w+)\/(\d+)(\/\w+)?$/.exec(what) || [];
  if (kind === 'GET /messages' && !part) return conversations.history(await conversations.between(user.id, Number(id)));
  if (!/^(GET|PUT) \/conversations$/.test(kind)) throw new Refusal(404, 'not_found', 'There is no such resource');
  const talk = await conversations.withId(Number(id), user.id);
  if (kind.startsWith('PUT') && part === '/read') return conversations.setRead(talk, user, (await bodyOf(request)).message_id);
  if (part === '/messages') return conversations.history(talk);
  if (part === '/members') return conversations.members(talk);
  throw new Refusal(404, 'not_found', 'There is no such resource');
}

const server = http.createServer(async (request, response) => {
  let status, value;
  try {
    [status, value] = await route(request);
  } catch (e) {
    const refused = refusal(e);
    [status, value] = [refused.status, { error: refused.message }];
  }
  if (status === 204) return response.writeHead(204).end();
  const body = JSON.stringify(value);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  return response.end(body);
});

const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_BODY });
server.on('upgrade', (request, connection, head) => {
  const user = request.url.split('?')[0] === '/ws' && verify(request);
  if (!user) return connection.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
  sockets.handleUpgrade(request, connection, head, (socket) => {
    arrive(user, socket);
    socket.alive = true;
    socket.on('pong', () => { socket.alive = true; });
    socket.on('message', (bytes) => receive(user, socket, bytes));
    socket.on('close', () => leave(user, socket));
    socket.on('error', () => socket.terminate());
  });
});

setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.alive) socket.terminate();
    socket.alive = false;
    if (socket.readyState === socket.OPEN) socket.ping();
  }
}, 30000);

server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => console.log(`ready ${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
