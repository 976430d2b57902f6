/*
 * All SQL of this program, one row per statement: name, the connections that prepare it, text.
 *
 * The functions are the database's API (schema chatd_api); chatd's role may call nothing else.
 */
#ifndef STATEMENTS_H
#define STATEMENTS_H

/* The connections that a statement runs on, as a set. */
#define DB_LISTENER 1u
#define DB_WRITER   2u
#define DB_POOL     4u

#define STATEMENTS(S)                                                                              \
    S(HOST_ATTACH, DB_LISTENER,                                                                    \
      "select * from chatd_api.host_attach($1::text, $2::bigint, $3::int)")                        \
    S(HOST_BEAT, DB_LISTENER, "select * from chatd_api.host_beat($1::bigint)")                     \
    S(HOST_SWEEP, DB_LISTENER,                                                                     \
      "select * from chatd_api.host_sweep($1::bigint[], $2::bigint[], $3::int)")                   \
    S(EVENT_READ, DB_LISTENER,                                                                     \
      "select * from chatd_api.event_read($1::bigint, $2::bigint, $3::int)")                       \
    S(EVENT_READ_CAREFUL, DB_LISTENER,                                                             \
      "select * from chatd_api.event_read($1::bigint, $2::bigint, $3::int, true)")                 \
    S(PRESENCE_READ, DB_LISTENER,                                                                  \
      "select * from chatd_api.presence_read($1::bigint, $2::bigint, $3::int, $4::text)")          \
    S(PRESENCE_ONLINE, DB_LISTENER,                                                                \
      "select * from chatd_api.presence_online($1::bigint, $2::bigint, $3::bigint, $4::int)")      \
    S(PRESENCE_READ_USER, DB_POOL,                                                                 \
      "select * from chatd_api.presence_read_user($1::bigint, $2::bigint, $3::int, $4::text)")     \
    S(SESSION_OPEN, DB_WRITER,                                                                     \
      "select * from chatd_api.session_open($1::bigint, $2::bigint[], $3::bigint[], $4::bigint[]," \
      " $5::bigint[])")                                                                            \
    S(SESSION_CLOSE, DB_WRITER, "select chatd_api.session_close($1::bigint, $2::bigint[])")        \
    S(PRESENCE_CHECK, DB_WRITER, "select chatd_api.presence_check($1::bigint[])")                  \
    S(MESSAGE_SEND, DB_WRITER,                                                                     \
      "select * from chatd_api.message_send($1::bigint, $2::bigint[], $3::bigint[], $4::text[],"   \
      " $5::bigint[], $6::text[], $7::boolean[], $8::bigint, $9::bigint, $10::bigint[],"           \
      " $11::bigint[])")                                                                           \
    S(MESSAGE_CHANGE, DB_WRITER,                                                                   \
      "select * from chatd_api.message_change($1::bigint, $2::bigint[], $3::bigint[],"             \
      " $4::bigint[], $5::text[], $6::bigint, $7::bigint, $8::boolean, $9::bigint, $10::text[])")  \
    S(MESSAGE_SHOW, DB_POOL, "select chatd_api.message_show($1::bigint, $2::bigint, $3::bigint)")  \
    S(CURSOR_HONOURED, DB_POOL,                                                                    \
      "select chatd_api.cursor_honoured($1::bigint, $2::int, $3::bigint)")                         \
    S(GROUP_LIST, DB_POOL, "select * from chatd_api.group_list($1::bigint[], $2::bigint)")         \
    S(EVENT_READ_USER, DB_POOL,                                                                    \
      "select * from chatd_api.event_read_user($1::bigint, $2::bigint, $3::bigint, $4::int)")      \
    S(EVENT_READ_USER_CAREFUL, DB_POOL,                                                            \
      "select * from chatd_api.event_read_user($1::bigint, $2::bigint, $3::bigint, $4::int, "      \
      "true)")                                                                                     \
    S(USER_AVAILABLE, DB_POOL, "select chatd_api.user_available($1::text, $2::text)")              \
    S(USER_REGISTER, DB_POOL,                                                                      \
      "select * from chatd_api.user_register($1::text, $2::text, $3::text)")                       \
    S(USER_CREDENTIALS, DB_POOL, "select * from chatd_api.user_credentials($1::text, $2::int)")    \
    S(USER_CREDENTIALS_BY_ID, DB_POOL, "select * from chatd_api.user_credentials($1::bigint)")     \
    S(USER_STANDING, DB_POOL, "select * from chatd_api.user_standing($1::bigint)")                 \
    S(USER_PASSWORD, DB_POOL,                                                                      \
      "select * from chatd_api.user_password($1::bigint, $2::bigint, $3::text)")                   \
    S(USER_REHASH, DB_POOL, "select chatd_api.user_rehash($1::bigint, $2::text, $3::text)")        \
    S(USER_ME, DB_POOL, "select chatd_api.user_me($1::bigint)")                                    \
    S(USER_CHANGE, DB_POOL,                                                                        \
      "select * from chatd_api.user_change($1::bigint, $2::text, $3::text, $4::bigint)")           \
    S(USER_BLOCK, DB_POOL, "select chatd_api.user_block($1::bigint, $2::bigint, $3::boolean)")     \
    S(USER_BLOCKS, DB_POOL,                                                                        \
      "select * from chatd_api.user_blocks($1::bigint, $2::bigint, $3::int)")                      \
    S(USER_LOGOUT, DB_POOL, "select * from chatd_api.user_logout($1::bigint)")                     \
    S(REVOCATION_READ, DB_LISTENER,                                                                \
      "select * from chatd_api.revocation_read($1::bigint, $2::int)")                              \
    S(CLOCK, DB_POOL, "select (extract(epoch from clock_timestamp()) * 1000)::bigint")             \
    S(TYPING_TELL, DB_POOL,                                                                        \
      "select * from chatd_api.typing_tell($1::bigint, $2::bigint[], $3::bigint[],"                \
      " $4::bigint[])")                                                                            \
    S(RECEIPT_PUT, DB_POOL,                                                                        \
      "select * from chatd_api.receipt_put($1::bigint, $2::bigint[], $3::bigint[], $4::bigint[],"  \
      " $5::boolean[])")                                                                           \
    S(MEMBER_LIST, DB_POOL,                                                                        \
      "select * from chatd_api.member_list($1::bigint, $2::bigint, $3::text, $4::bigint, "         \
      "$5::int)")                                                                                  \
    S(DIRECT_MAKE, DB_POOL,                                                                        \
      "select * from chatd_api.direct_make($1::bigint, $2::bigint, $3::text)")                     \
    S(GROUP_MAKE, DB_POOL,                                                                         \
      "select * from chatd_api.group_make($1::bigint, $2::text, $3::bigint[], $4::boolean,"        \
      " $5::int, $6::text)")                                                                       \
    S(GROUP_CHANGE, DB_POOL,                                                                       \
      "select * from chatd_api.group_change($1::bigint, $2::bigint, $3::text, $4::boolean,"        \
      " $5::text)")                                                                                \
    S(MEMBER_ADD, DB_POOL,                                                                         \
      "select * from chatd_api.member_add($1::bigint, $2::bigint, $3::bigint, $4::text, $5::int,"  \
      " $6::text)")                                                                                \
    S(MEMBER_CHANGE, DB_POOL,                                                                      \
      "select * from chatd_api.member_change($1::bigint, $2::bigint, $3::bigint, $4::text,"        \
      " $5::text)")                                                                                \
    S(MEMBER_REMOVE, DB_POOL,                                                                      \
      "select * from chatd_api.member_remove($1::bigint, $2::bigint, $3::bigint)")                 \
    S(RETENTION_STEP, DB_POOL, "select * from chatd_api.retention_step($1::bigint, $2::int)")      \
    S(CONVERSATION_LIST, DB_POOL,                                                                  \
      "select chatd_api.conversation_list($1::bigint, $2::text, $3::bigint, $4::int)")             \
    S(CONVERSATION_LIST_CAREFUL, DB_POOL,                                                          \
      "select chatd_api.conversation_list($1::bigint, $2::text, $3::bigint, $4::int, true)")       \
    S(CONVERSATION_SHOW, DB_POOL,                                                                  \
      "select chatd_api.conversation_show($1::bigint, $2::bigint, $3::text)")                      \
    S(CONVERSATION_SHOW_CAREFUL, DB_POOL,                                                          \
      "select chatd_api.conversation_show($1::bigint, $2::bigint, $3::text, true)")                \
    S(CONVERSATION_HISTORY, DB_POOL,                                                               \
      "select * from chatd_api.conversation_history($1::bigint, $2::bigint, $3::bigint,"           \
      " $4::bigint, $5::int)")                                                                     \
    S(CONVERSATION_HISTORY_CAREFUL, DB_POOL,                                                       \
      "select * from chatd_api.conversation_history($1::bigint, $2::bigint, $3::bigint,"           \
      " $4::bigint, $5::int, true)")                                                               \
    S(USER_LIST, DB_POOL,                                                                          \
      "select * from chatd_api.user_list($1::bigint, $2::text, $3::bigint, $4::int, $5::text)")    \
    S(MESSAGE_HISTORY, DB_POOL,                                                                    \
      "select * from chatd_api.message_history($1::bigint, $2::bigint, $3::bigint, $4::bigint,"    \
      " $5::int)")                                                                                 \
    S(MESSAGE_HISTORY_CAREFUL, DB_POOL,                                                            \
      "select * from chatd_api.message_history($1::bigint, $2::bigint, $3::bigint, $4::bigint,"    \
      " $5::int, true)")

#define STATEMENT_ENUM(name, where, sql) STATEMENT_##name,
enum statement { STATEMENTS(STATEMENT_ENUM) STATEMENT_COUNT };

#endif
