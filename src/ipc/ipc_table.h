/*
 * Every message that crosses between processes, a row each.
 *
 * A row defines the number, the name, the sender and the largest payload; for a session's messages
 * also the channel states in which they are allowed, and how many may await their answer at once;
 * 0: they get none. A message that may come only once leads to a state that does not allow it. The
 * broker ends a session that breaks a row or leaves a message incomplete; a session, an auth worker
 * or the signer that gets such a message drops it, or the channel.
 *
 * The payload is the listed fields in that order and nothing else: u8, u32, u64 in the machine's
 * byte order (both ends are on one machine), text as a u32 length and its bytes.
 */
#ifndef IPC_TABLE_H
#define IPC_TABLE_H

/* Sizes: what a field can hold at most, plus its length. */
#define IPC_MAX_TOKEN     8192
#define IPC_MAX_NAME      256
#define IPC_MAX_PASSWORD  256
#define IPC_MAX_ID        64
#define IPC_MAX_CURSOR    64
#define IPC_MAX_TAG       16
#define IPC_MAX_CONTENT   65536
#define IPC_MAX_KEY       32  /* fingerprint of a key of TLS */
#define IPC_MAX_HANDSHAKE 256 /* what a server signs in a handshake of TLS */
#define IPC_MAX_SIGNATURE 1024
#define IPC_MAX_EPHEMERAL 256
#define IPC_MAX_EMOJI     32
/* JSON may write a byte as \u00XX; beside the content there are names, reactions and mentions. */
#define IPC_MAX_FRAME (6 * IPC_MAX_CONTENT + 4096)
#define IPC_MAX_REPLY (1024 * 1024 + 1024) /* a page of the history has a megabyte at most */

/* States of a session's channel, as a set. */
#define IPC_IS_SILENT   8u /* connected, without a word */
#define IPC_IS_NEW      1u /* has said hello */
#define IPC_IS_BOUND    2u /* acts for a user, until it ends */
#define IPC_IS_ATTACHED 4u /* and that user is online through it */
#define IPC_ANY         (IPC_IS_NEW | IPC_IS_BOUND | IPC_IS_ATTACHED)
#define IPC_USER        (IPC_IS_BOUND | IPC_IS_ATTACHED)

/* What CHANGE_ME changes, as a set. Only the email takes a password. */
#define IPC_CHANGES_NAME  1u
#define IPC_CHANGES_EMAIL 2u

/* The number in HELLO: what the session draws, and below it the mark that the master has drawn for
 * it (log.h). Not 0, and not negative as a bigint. */
#define IPC_ORIGIN(drawn, mark) ((uint64_t)((drawn) >> 33 | 1) << 32 | (mark))
#define IPC_MARK_OF(origin)     ((uint32_t)(origin))

/* How many messages may await their answer on one channel. */
#define IPC_MAX_SENDS 64

/* Messages in a page of the history, users and conversations in one of the list; and the value for
 * no bound. */
#define IPC_MAX_HISTORY       100
#define IPC_MAX_USERS         1000
#define IPC_MAX_CONVERSATIONS 100
#define IPC_NO_BOUND          UINT64_MAX

/* Members of a group in one request or page, and the bytes of their ids. */
#define IPC_MAX_MEMBERS 1000
#define IPC_MAX_IDS     8000

/* What the number in HISTORY, SEND or TYPING names: a conversation, or the other user of it. */
enum ipc_named { IPC_NAMES_USER, IPC_NAMES_CONVERSATION };

/* What MEMBER does, and the role that it gives. */
enum ipc_member { IPC_MEMBER_ADD, IPC_MEMBER_CHANGE, IPC_MEMBER_REMOVE };
enum ipc_member_role { IPC_IS_MEMBER, IPC_IS_ADMIN, IPC_IS_OWNER };

/* What GROUP_CHANGE changes, as a set. */
#define IPC_CHANGES_GROUP_NAME    1u
#define IPC_CHANGES_GROUP_HISTORY 2u

/*   name      sent by  payload at most               when       waiting  fields */
#define IPC_MESSAGES(M)                                                                            \
    /* A session introduces itself: version, the number that it signs its messages with, peer. */  \
    M(HELLO, SESSION, 16 + IPC_MAX_NAME, IPC_IS_SILENT, 1) /* u32 u64 text */                      \
    /* Proves who the client is; afterwards the channel acts as that user, and as no other. */     \
    M(AUTH, SESSION, 4 + IPC_MAX_TOKEN, IPC_ANY, 1) /* text token -> AUTHED */                     \
    M(REGISTER, SESSION, 12 + 3 * IPC_MAX_NAME, IPC_IS_NEW | IPC_IS_BOUND,                         \
      1) /* name email password */                                                                 \
    M(LOGIN, SESSION, 8 + 2 * IPC_MAX_NAME, IPC_IS_NEW | IPC_IS_BOUND,                             \
      1) /* name password -> REPLY */                                                              \
    /* u64 after, u32 limit, text beginning of the name -> REPLY */                                \
    M(USERS, SESSION, 16 + IPC_MAX_NAME, IPC_USER, 1)                                              \
    /* u64 user, or conversation; u8 which: enum ipc_named; u64 before, after, u32 limit -> REPLY  \
     */                                                                                            \
    M(HISTORY, SESSION, 29, IPC_USER, 1)                                                           \
    /* u64 receiver, or conversation; u8 which: enum ipc_named; text id, text content; u64 message \
     * that it answers, 0: none; u8 again: it was sent to an earlier broker -> SENT */             \
    M(SEND, SESSION, 26 + IPC_MAX_ID + IPC_MAX_CONTENT, IPC_USER, IPC_MAX_SENDS)                   \
    /* From here on the user is online. With a cursor, everything after it follows, then RESUMED;  \
     * presence: up to here the client knows who came or went, 0: from now on. */                  \
    M(ATTACH, SESSION, 12 + IPC_MAX_CURSOR, IPC_IS_BOUND, 1) /* text cursor, u64 -> ATTACHED */    \
    /* Everything after an older cursor once more, then RESUMED. Without one only that. */         \
    M(RESUME, SESSION, 4 + IPC_MAX_CURSOR, IPC_IS_ATTACHED, 1)      /* text cursor */              \
    M(PASSWORD, SESSION, 8 + 2 * IPC_MAX_PASSWORD, IPC_IS_BOUND, 1) /* old, new -> REPLY */        \
    M(LOGOUT, SESSION, 0, IPC_IS_BOUND, 1) /* every token of the user is void -> REPLY */          \
    /* A handshake of TLS, once on a channel: u32 scheme, text key, text content -> SIGNED */      \
    M(SIGN, SESSION, 12 + IPC_MAX_KEY + IPC_MAX_HANDSHAKE, IPC_IS_NEW, 1)                          \
                                                                                                   \
    M(AUTHED, BROKER, 20 + IPC_MAX_NAME, 0, 0) /* u64 user, text name, u64 expires (Unix time) */  \
    /* u32 HTTP status; u64 where the next page begins, IPC_NO_BOUND: this is all; text JSON */    \
    M(REPLY, BROKER, 16 + IPC_MAX_REPLY, 0, 0)                                                     \
    /* Stored. To a channel that is attached it comes in the order of changes, like an EVENT, and  \
     * its cursor says how far the channel is; otherwise the cursor is empty. */                   \
    M(SENT, BROKER, 13 + IPC_MAX_CURSOR, 0, 0)  /* u64 message, u8 duplicate, text cursor */       \
    M(ATTACHED, BROKER, 24 + IPC_MAX_TAG, 0, 0) /* text tag, u64 u32 cursor, u64 presence */       \
    /* seq 0: after ATTACH, or because the database lost changes that this client has seen.        \
     * u8 recovered; u64 change of the cursor that was asked for; u64 u32 cursor: live from here   \
     */                                                                                            \
    M(RESUMED, BROKER, 21, 0, 0)                                                                   \
    M(FAILED, BROKER, 4, 0, 0)                  /* u32 enum ipc_error */                           \
    M(EVENT, BROKER, 16 + IPC_MAX_FRAME, 0, 0)  /* u64 u32 cursor, text frame: a durable change */ \
    M(STATUS, BROKER, 12 + IPC_MAX_FRAME, 0, 0) /* u64 presence, text frame: not durable */        \
    M(SIGNED, BROKER, 4 + IPC_MAX_SIGNATURE, 0, 0) /* text signature */                            \
                                                                                                   \
    M(HASH, BROKER, 4 + IPC_MAX_PASSWORD, 0, 0) /* text password -> HASHED */                      \
    /* password, hash, u8 cost that it takes the time of at least -> VERIFIED */                   \
    M(VERIFY, BROKER, 9 + IPC_MAX_PASSWORD + IPC_MAX_NAME, 0, 0)                                   \
    M(HASHED, AUTH, 4 + IPC_MAX_NAME, 0, 0) /* text hash; empty: failed */                         \
    M(VERIFIED, AUTH, 1, 0, 0)              /* u8 enum ipc_check */                                \
                                                                                                   \
    M(KEY_SIGN, BROKER, 12 + IPC_MAX_KEY + IPC_MAX_HANDSHAKE, 0, 0) /* as SIGN -> KEY_SIGNED */    \
    M(KEY_SIGNED, SIGNER, 4 + IPC_MAX_SIGNATURE, 0, 0) /* text signature; empty: refused */        \
                                                                                                   \
    M(ME, SESSION, 0, IPC_IS_BOUND, 1) /* the user's own account -> REPLY */                       \
    /* u8 set of IPC_CHANGES_*, text display name (empty: none), email, password -> REPLY */       \
    M(CHANGE_ME, SESSION, 13 + 3 * IPC_MAX_NAME, IPC_IS_BOUND, 1)                                  \
                                                                                                   \
    /* u64 receiver, or conversation; u8 which: enum ipc_named; may be dropped */                  \
    M(TYPING, SESSION, 9, IPC_IS_ATTACHED, 0)                                                      \
    /* text frame: of the moment, such as who is typing; may be dropped */                         \
    M(EPHEMERAL, BROKER, 4 + IPC_MAX_EPHEMERAL, 0, 0)                                              \
                                                                                                   \
    M(CONVERSATIONS, SESSION, 12, IPC_USER, 1) /* u64 before, u32 limit -> REPLY */                \
    M(CONVERSATION, SESSION, 8, IPC_USER, 1)   /* u64 conversation -> REPLY */                     \
    /* u64 conversation, u64 after, u32 limit -> REPLY */                                          \
    M(MEMBERS, SESSION, 20, IPC_USER, 1)                                                           \
    /* Up to this message the user has got the conversation, or read it. u64 conversation, u64     \
     * message, u8 read -> REPLY */                                                                \
    M(RECEIPT, SESSION, 17, IPC_USER, IPC_MAX_SENDS)                                               \
                                                                                                   \
    M(BLOCK, SESSION, 9, IPC_IS_BOUND, 1) /* u64 user, u8: block, rather than lift -> REPLY */     \
    /* Whom the user blocks: u64 after, u32 limit -> REPLY */                                      \
    M(BLOCKS, SESSION, 12, IPC_IS_BOUND, 1)                                                        \
                                                                                                   \
    /* u64 conversation, message, u8 deletes, text content -> SENT, in its place, if the channel   \
     * is attached; otherwise REPLY. To do it again does no harm. */                               \
    M(EDIT, SESSION, 21 + IPC_MAX_CONTENT, IPC_USER, IPC_MAX_SENDS)                                \
                                                                                                   \
    M(DIRECT, SESSION, 8, IPC_IS_BOUND, 1) /* u64 user: the conversation with them -> REPLY */     \
    /* u8 new members see the history, text name, text ids of members (u64 each) -> REPLY */       \
    M(GROUP, SESSION, 9 + IPC_MAX_NAME + IPC_MAX_IDS, IPC_IS_BOUND, 1)                             \
    /* u64 conversation, u8 set of IPC_CHANGES_GROUP_*, u8 new members see the history, text name  \
     * -> REPLY */                                                                                 \
    M(GROUP_CHANGE, SESSION, 14 + IPC_MAX_NAME, IPC_IS_BOUND, 1)                                   \
    /* u64 conversation, u64 user, u8 enum ipc_member, u8 enum ipc_member_role -> REPLY */         \
    M(MEMBER, SESSION, 18, IPC_IS_BOUND, 1)                                                        \
                                                                                                   \
    M(KICK, BROKER, 0, 0, 0) /* the operator closes this connection */                             \
                                                                                                   \
    /* u64 conversation, message, u8 takes it back, text emoji -> as EDIT */                       \
    M(REACT, SESSION, 21 + IPC_MAX_EMOJI, IPC_USER, IPC_MAX_SENDS)

/* What can go wrong with a request, a row each: name; code on a WebSocket; HTTP status; whether
 * trying again later makes sense; what the client is told. */
#define IPC_ERRORS(E)                                                                              \
    E(UNAVAILABLE, "unavailable", 503, 1, "The service is temporarily unavailable; try again")     \
    E(OVERLOADED, "overloaded", 503, 1, "The service is overloaded; try again later")              \
    E(UNAUTHORIZED, "unauthorized", 401, 0, "The token is invalid or has expired; log in again")   \
    E(OTHER_USER, "other_user", 401, 0,                                                            \
      "The token is that of another user: a connection acts for one, so open another")             \
    E(CREDENTIALS, "unauthorized", 401, 0, "Wrong username or password")                           \
    E(DISABLED, "disabled", 403, 0, "This account is disabled")                                    \
    E(UNKNOWN_USER, "unknown_user", 404, 0, "There is no user with this id")                       \
    E(UNKNOWN_CONVERSATION, "unknown_conversation", 404, 0,                                        \
      "You are in no conversation with this id")                                                   \
    E(UNKNOWN_RECEIVER, "unknown_receiver", 404, 0, "There is no user with this receiver_id")      \
    /* The same both ways: it must not tell who blocks whom. */                                    \
    E(REFUSED, "refused", 403, 0, "This user does not accept messages from you")                   \
    E(ONESELF, "oneself", 400, 0, "You cannot block yourself: name another user")                  \
    E(TOO_MANY_BLOCKS, "too_many_blocks", 409, 0,                                                  \
      "This account blocks as many users as it may; unblock one first")                            \
    E(BLOCKING, "too_many", 429, 1, "Too many blocks were set or lifted; try again in a minute")   \
    E(ROLE, "forbidden", 403, 0, "Your role in this conversation does not permit this")            \
    E(OWNER, "owner", 409, 0,                                                                      \
      "A group keeps its owner until another member becomes it: give somebody the role \"owner\"") \
    E(UNKNOWN_MEMBER, "unknown_member", 404, 0,                                                    \
      "There is no member of this conversation with this user id")                                 \
    E(TOO_MANY_MEMBERS, "too_many_members", 409, 0,                                                \
      "A group may not have so many members (max_members)")                                        \
    E(TOO_MANY_GROUPS, "too_many_groups", 409, 0,                                                  \
      "A user may not be in so many groups; one of them must be left first")                       \
    E(GROUPS, "too_many", 429, 1, "Too many groups were made or changed; try again in a minute")   \
    E(CONFLICT, "conflict", 409, 0, "This id was used before, for another message")                \
    E(UNKNOWN_MESSAGE, "unknown_message", 404, 0,                                                  \
      "There is no message with this message_id in a conversation of yours with this "             \
      "conversation_id")                                                                           \
    E(UNKNOWN_REPLY, "unknown_message", 404, 0,                                                    \
      "There is no message with the id \"reply_to\" in this conversation")                         \
    E(NOT_SENDER, "not_sender", 403, 0, "Only who sent a message may change or delete it")         \
    E(DELETED, "deleted", 409, 0, "This message was deleted, so it cannot be edited")              \
    E(GONE, "deleted", 409, 0, "This message was deleted, so nobody can react to it")              \
    E(TOO_MANY_KINDS, "too_many_reactions", 409, 0,                                                \
      "A message may not have more than 20 kinds of reactions")                                    \
    E(TOO_LATE, "too_late", 403, 0,                                                                \
      "This message was sent too long ago to be edited; it can still be deleted")                  \
    E(USERNAME_TAKEN, "username_taken", 409, 0, "This username is taken")                          \
    E(EMAIL_TAKEN, "email_taken", 409, 0, "This email is taken")                                   \
    E(INVALID, "invalid", 400, 0, "The database does not accept this content")                     \
    E(QUOTA, "quota", 429, 0,                                                                      \
      "This account has reached its daily quota; it can send again after midnight UTC")            \
    E(LOGINS, "too_many", 429, 1, "Too many failed logins from your address; try again later")     \
    E(REGISTRATIONS, "too_many", 429, 1,                                                           \
      "Too many registrations from your address, or changes of email; try again later")            \
    E(CONNECTIONS, "too_many", 429, 1,                                                             \
      "This user, or this address, has as many connections as it may; close one")                  \
    E(INTERNAL, "internal", 500, 0, "Internal error; it has been logged")

#endif
