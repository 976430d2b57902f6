/*
 * The table of configuration keys, one row per key. It yields the members of struct conf, the
 * parser, the default, the dump to other roles, the reload rule and the listing of keys.
 *
 * Included several times, each time with another meaning of KEY; therefore no include guard.
 *
 *   KEY(type, name, default, bounds, flags, environment variable or NULL, help)
 *
 * The default is text, as it would stand in chatd.conf. The flags name the roles that receive the
 * key; RELOAD says that a reload may change it in a server that runs. A secret's only role is the
 * broker: the master reads it, hands it on, and forgets it.
 */
#ifndef KEY
#error "define KEY before including conf_keys.h"
#endif

/* clang-format off */

/* General */
KEY(ENUM, mode, "production", WORDS("production", "development"), ALL, NULL,
    "development opens CORS and accepts a weak secret")
KEY(STRING, run_dir, "/run/chatd", ANY, ALL, NULL,
    "directory for the sockets between the processes")
KEY(ENUM, log_level, "info", WORDS("error", "warn", "info", "debug"), ALL | RELOAD, NULL,
    "least important kind of line that is logged")
KEY(ENUM, log_format, "text", WORDS("text", "logfmt", "json"), ALL, NULL,
    "what a line of the log looks like")
KEY(STRING, log_file, "", ANY, ALL, NULL,
    "file to log to; empty: standard error; syslog: syslog(3); journal: systemd-journald")
KEY(STRING, user, "chatd", ANY, MASTER, NULL,
    "who broker, auth workers and signer are, when the server is started as root")
KEY(STRING, session_user, "", ANY, MASTER, NULL,
    "who the sessions are, when the server is started as root; empty: the same")

/* Listening */
KEY(STRING, listen, "127.0.0.1, [::1]", ANY, MASTER, NULL,
    "addresses to listen on: IPv4, [IPv6], either with :port, *, unix:/path; TLS: tls: in front")
KEY(INT, port, "8080", RANGE(0, 65535), MASTER, "PORT",
    "port of the addresses that name none; 0: any free one")
KEY(INT, backlog, "4096", RANGE(1, 65535), MASTER, NULL,
    "connections that the kernel holds until they are accepted, at most net.core.somaxconn")
KEY(STRING, trusted_proxies, "", ANY, MASTER | SESSION | RELOAD, NULL,
    "who may say which client it speaks for: addresses, networks, unix, by comma")
KEY(ENUM, proxy_protocol, "off", WORDS("off", "on"), SESSION | RELOAD, NULL,
    "on: each connection of trusted_proxies begins with a PROXY header")
KEY(ENUM, forwarded_for, "off", WORDS("off", "on"), SESSION | RELOAD, NULL,
    "on: X-Forwarded-For of trusted_proxies counts")
KEY(INT, ready_fd, "-1", RANGE(-1, 1023), MASTER, NULL,
    "descriptor that gets a line when the server is ready; -1: none")
KEY(STRING, admin_listen, "127.0.0.1:8079", ANY, MASTER, NULL,
    "address of /metrics, /healthz and /readyz: IPv4:port, [IPv6]:port, unix:/path; empty: none")

/* TLS */
KEY(STRING, tls_certificate_file, "", ANY, MASTER | RELOAD, NULL,
    "certificate of the server and those between it and the root, in PEM")
KEY(STRING, tls_key_file, "", ANY, MASTER | RELOAD, NULL,
    "private key of that certificate, in PEM")
KEY(STRING, tls_ciphers, "ECDHE+AESGCM:ECDHE+CHACHA20", ANY, MASTER | RELOAD, NULL,
    "cipher suites of TLS 1.2; those of TLS 1.3 are all good")
KEY(ENUM, tls_handed_over, "off", WORDS("off", "on"), MASTER, NULL,
    "sockets that are handed over without a name speak TLS")
KEY(INT, https_redirect, "0", RANGE(0, 65535), SESSION | RELOAD, NULL,
    "port of HTTPS that plain HTTP is sent to by status 308; 0: plain HTTP is served")

/* Processes */
KEY(INT, min_spare, "4", RANGE(0, 1000), MASTER | RELOAD, NULL,
    "sessions that wait for a client, at least")
KEY(INT, max_spare, "64", RANGE(1, 10000), MASTER | RELOAD, NULL,
    "sessions that wait for a client, at most")
KEY(INT, max_clients, "1000", RANGE(1, 100000), MASTER | BROKER, NULL,
    "clients at one time")
KEY(INT, max_clients_per_address, "-1", RANGE(-1, 100000), MASTER | RELOAD, NULL,
    "clients at one time from one address; -1: a quarter of max_clients; 0: no limit")
KEY(DURATION, idle_exit, "0", RANGE(0, DAY), MASTER | RELOAD, NULL,
    "exit after so long without a client, when the sockets were handed over; 0: never")
KEY(DURATION, drain_time, "10s", RANGE(0, HOUR), MASTER | SESSION | BROKER, NULL,
    "time that clients have to leave when the server stops")

/* Database */
KEY(STRING, db_host, "", ANY, BROKER, "DB_HOST",
    "hosts or socket directories of PostgreSQL, by comma; empty: the default of libpq")
KEY(STRING, db_port, "", ANY, BROKER, "DB_PORT",
    "port of PostgreSQL, or one per host; empty: the default of libpq")
KEY(STRING, db_user, "chatd", ANY, BROKER, "DB_USER",
    "role to connect as")
KEY(SECRET, db_password, "", ANY, BROKER, "DB_PASSWORD",
    "password of that role")
KEY(STRING, db_password_file, "", ANY, MASTER, NULL,
    "file that holds the password instead")
KEY(STRING, db_name, "chatd", ANY, BROKER, "DB_NAME",
    "name of the database")
KEY(INT, db_readers, "3", RANGE(1, 5), BROKER, NULL,
    "connections that read, beside the one that writes and the one that listens")

/* Authentication */
KEY(SECRET, jwt_secret, "", ANY, BROKER, "JWT_SECRET",
    "key that signs the tokens: 32 bytes or more")
KEY(STRING, jwt_secret_file, "", ANY, MASTER, NULL,
    "file that holds the key instead")
KEY(SECRET, jwt_old_secret, "", ANY, BROKER, "JWT_OLD_SECRET",
    "key that signed before: its tokens are still accepted")
KEY(STRING, jwt_old_secret_file, "", ANY, MASTER, NULL,
    "file that holds that key instead")
KEY(STRING, jwt_public_key, "", ANY, BROKER, NULL,
    "public keys of those who issue tokens elsewhere: base64, by comma")
KEY(STRING, jwt_public_key_file, "", ANY, MASTER, NULL,
    "PEM file that holds them instead")
KEY(STRING, jwt_issuer, "", ANY, BROKER, NULL,
    "who must have issued the tokens from elsewhere; empty: anybody")
KEY(STRING, jwt_audience, "", ANY, BROKER, NULL,
    "whom the tokens from elsewhere must be for; empty: anybody")
KEY(DURATION, token_lifetime, "1d", RANGE(SECOND, 3650 * DAY), BROKER, NULL,
    "how long a token is valid")
KEY(INT, bcrypt_cost, "10", RANGE(4, 16), BROKER | AUTH, NULL,
    "cost of a new password's hash; each step doubles the time")
KEY(INT, auth_workers, "2", RANGE(1, 64), MASTER | BROKER | AUTH, NULL,
    "processes that compute password hashes")
KEY(INT, auth_queue, "64", RANGE(1, 100000), BROKER | AUTH, NULL,
    "what may wait for such a process, and as many logins of known users; 503 beyond")
KEY(INT, min_password, "8", RANGE(1, 72), SESSION | BROKER | RELOAD, NULL,
    "the fewest bytes in a new password")

/* Clients */
KEY(ENUM, presence, "all", WORDS("all", "contacts", "off"), SESSION | BROKER, NULL,
    "who is told that a user comes or goes")
KEY(DURATION, presence_lease, "10s", RANGE(2 * SECOND, HOUR), BROKER, NULL,
    "the users of a host that is cut off, or hangs, are offline after this")
KEY(DURATION, presence_debounce, "500ms", RANGE(0, MINUTE), BROKER, NULL,
    "how long a user stays online after the last connection ends")
KEY(STRING, cors_origins, "", ANY, SESSION | RELOAD, NULL,
    "origins whose pages may use the server, by comma, or *")
KEY(ENUM, websocket_deflate, "off", WORDS("off", "on"), SESSION | RELOAD, NULL,
    "compress WebSocket messages for clients that offer it")
KEY(ENUM, web_client, "off", WORDS("off", "on"), SESSION | RELOAD, NULL,
    "on: a page to try the server with, at /")

/* Limits */
KEY(DURATION, login_delay, "5s", RANGE(0, MINUTE), MASTER | BROKER, NULL,
    "longest wait that wrong passwords bring the next login; 0: none")
KEY(INT, login_failures, "100", RANGE(0, 1000000), BROKER, NULL,
    "failed logins from one address in an hour; 429 beyond; 0: no limit")
KEY(INT, register_rate, "1000", RANGE(0, 1000000), BROKER, NULL,
    "registrations from one address in an hour; 429 beyond; 0: no limit")
KEY(INT, max_connections_per_address, "-1", RANGE(-1, 100000), BROKER, NULL,
    "who is online from one address; -1: a quarter of max_clients; 0: no limit")
KEY(INT, max_connections_per_user, "-1", RANGE(-1, 100000), BROKER, NULL,
    "WebSockets and event streams of one user; -1: a quarter of max_clients; 0: no limit")
KEY(INT, frame_rate, "10000", RANGE(0, 1000000), SESSION | BROKER, NULL,
    "frames, or requests, of one connection in a second; 0: no limit")
KEY(INT, typing_rate, "2", RANGE(0, 1000), BROKER, NULL,
    "typing frames of one user in a second that are passed on; 0: none")
KEY(DURATION, edit_time, "0", RANGE(0, 3650 * DAY), BROKER, NULL,
    "how long after it was sent the text of a message may be changed; 0: always")
KEY(ENUM, audit, "off", WORDS("off", "on"), BROKER, NULL,
    "keep the texts of messages that were changed or deleted")
KEY(INT, max_members, "10000", RANGE(2, 1000000), BROKER, NULL,
    "members that a group may have")
KEY(INT, quota_messages, "0", RANGE(0, 1000000000), BROKER, NULL,
    "messages that an account may send in a day (UTC); 0: any number")
KEY(SIZE, quota_bytes, "0", RANGE(0, 1024LL * 1024 * MIB), BROKER, NULL,
    "bytes of content that an account may send in a day (UTC); 0: any number")

/* Times */
KEY(DURATION, header_timeout, "10s", RANGE(1, DAY), SESSION | RELOAD, NULL,
    "for the head of a request to arrive")
KEY(DURATION, body_timeout, "30s", RANGE(1, DAY), SESSION | RELOAD, NULL,
    "for the body of a request to arrive")
KEY(DURATION, keepalive_timeout, "60s", RANGE(1, DAY), SESSION | RELOAD, NULL,
    "between two requests of one connection")
KEY(DURATION, write_timeout, "30s", RANGE(1, DAY), SESSION | RELOAD, NULL,
    "for a client to read any of the data that waits for it")
KEY(SIZE, min_rate, "2k", RANGE(0, MIB), SESSION | RELOAD, NULL,
    "bytes a second that a client reads of what waits for it, on average; 0: any")
KEY(DURATION, request_timeout, "15s", RANGE(1, DAY), SESSION | BROKER, NULL,
    "for the broker to answer a request")
KEY(DURATION, retention_interval, "1m", RANGE(10, DAY), BROKER, NULL,
    "between two looks for messages, and changes of groups, that are not kept any longer")
KEY(DURATION, ping_interval, "30s", RANGE(1, DAY), SESSION | RELOAD, NULL,
    "between two pings on a WebSocket")
KEY(DURATION, ping_timeout, "20s", RANGE(1, DAY), SESSION | RELOAD, NULL,
    "for the answer to a ping")

/* Sizes */
KEY(SIZE, max_header, "8k", RANGE(KIB, 64 * KIB), SESSION | RELOAD, NULL,
    "head of a request")
KEY(SIZE, max_body, "64k", RANGE(256, MIB), SESSION | RELOAD, NULL,
    "body of a request")
KEY(SIZE, max_message, "64k", RANGE(256, 16 * MIB), SESSION | RELOAD, NULL,
    "WebSocket message that a client may send")
KEY(SIZE, max_content, "16k", RANGE(1, 64 * KIB), SESSION | BROKER, NULL,
    "content of a chat message")
KEY(SIZE, session_queue, "256k", RANGE(16 * KIB, 64 * MIB), BROKER, NULL,
    "bytes that may wait in the broker for one session")
KEY(INT, batch_max, "256", RANGE(1, 10000), BROKER, NULL,
    "messages in one transaction, and that may wait of one account")
KEY(INT, batch_queue, "20000", RANGE(1, 1000000), BROKER, NULL,
    "messages that may wait for the database; 503 beyond")

/* clang-format on */

#undef KEY
