'use strict';
/*
 * Conversations of the baseline: who is in them, kept in Maps for this one process; their list, with
 * what is unread; groups; and how far somebody has read.
 */
const { Refusal } = require('./refusal');

const PAGE = 50;
const strangers = () => new Refusal(404, 'unknown_conversation', 'You are in no conversation with this id');

module.exports = (pool, isOnline) => {
  const byId = new Map(); // id -> { id, direct, members }; a group's members do not change here
  const directs = new Map(); // "low:high" -> the same

  async function read(id) {
    const { rows } = await pool.query(
      `select kind, user_id from members join conversations c on c.id = conversation_id
        where conversation_id = $1 order by user_id`, [id]);
    if (!rows.length) throw strangers();
    const found = { id, direct: rows[0].kind === 'direct', members: rows.map((r) => r.user_id) };
    byId.set(id, found);
    return found;
  }

  /* For one of its members. */
  async function withId(id, caller) {
    const found = byId.get(id) || await read(id);
    if (!found.members.includes(caller)) throw strangers();
    return found;
  }

  /* That of two users, made if there is none yet. */
  async function between(caller, other) {
    const key = caller < other ? `${caller}:${other}` : `${other}:${caller}`;
    if (directs.has(key)) return directs.get(key);
    try {
      const { rows } = await pool.query('select direct($1, $2) as id', [caller, other]);
      const found = await read(rows[0].id);
      directs.set(key, found);
      return found;
    } catch (e) {
      if (e.code === '23503') throw new Refusal(404, 'unknown_receiver', 'There is no user with this receiver_id');
      throw e;
    }
  }

  const peerOf = (found, id) => found.members.find((m) => m !== id) ?? id;

  async function history(found) {
    const { rows } = await pool.query(
      `select id, conversation_id, sender_id, content, created_at from messages
        where conversation_id = $1 order by id desc limit 50`, [found.id]);
    if (found.direct) for (const m of rows) m.receiver_id = peerOf(found, m.sender_id);
    return [200, rows.reverse()];
  }

  async function list(user, before) {
    const { rows } = await pool.query('select * from conversation_list($1, $2, $3)',
      [user.id, before || Number.MAX_SAFE_INTEGER, PAGE]);
    const conversations = rows.map((c) => ({
      id: c.id, kind: c.kind, name: c.name, created_at: c.created_at, role: c.role,
      peer: c.peer_id === null ? undefined : { id: c.peer_id, username: c.peer, online: isOnline(c.peer_id) },
      unread: c.unread, read_upto: c.read_upto,
      last_message: { id: c.last_id, conversation_id: c.id, sender_id: c.sender_id, content: c.content,
        created_at: c.sent_at },
    }));
    return [200, { conversations, next: rows.length < PAGE ? null : String(rows.at(-1).last_id) }];
  }

  /* A group; the caller is its owner. */
  async function make(user, { name, members }) {
    if (typeof name !== 'string' || !name || !Array.isArray(members)) {
      throw new Refusal(400, 'bad_field', '"name" or "members" is missing');
    }
    try {
      const { rows: [made] } = await pool.query(
        `with c as (insert into conversations (kind, name) values ('group', $1) returning id),
              m as (insert into members (conversation_id, user_id, role)
                    select distinct c.id, u, case when u = $2 then 'owner' else 'member' end
                      from c, unnest($3::bigint[] || $2::bigint) u returning conversation_id)
         select max(conversation_id) as id, count(*) as count from m`, [name, user.id, members]);
      return [201, { id: made.id, kind: 'group', name, role: 'owner', member_count: made.count, unread: 0,
        read_upto: 0, last_message: null }];
    } catch (e) {
      if (e.code === '23503') throw new Refusal(404, 'unknown_user', 'There is no user with one of these ids');
      throw e;
    }
  }

  async function members(found) {
    const { rows } = await pool.query(
      `select user_id, username, role, read_upto from members join users on id = user_id
        where conversation_id = $1 order by user_id`, [found.id]);
    return [200, rows.map((m) => ({ ...m, online: isOnline(m.user_id) }))];
  }

  /* Never back. */
  async function setRead(found, user, message) {
    if (!Number.isSafeInteger(message)) throw new Refusal(400, 'bad_field', '"message_id" must be an id');
    await pool.query(
      'update members set read_upto = $3 where conversation_id = $1 and user_id = $2 and read_upto < $3',
      [found.id, user.id, message]);
    return [204];
  }

  return { withId, between, peerOf, history, list, make, members, setRead };
};
