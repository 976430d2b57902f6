#!/usr/bin/env bats
# chat(1): each command against a real server, each of its errors and exit codes, and what a server
# that restarts, a hostile text or a wrong certificate does to it.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    export DESCRIBED=1
    server_setup_file
    server_start
    unset NO_COLOR CHATD_TOKEN CHATD_CA_FILE
    export TZ=UTC CHATD_SERVER
    CHATD_SERVER=$(server_url)
    local name
    for name in alice bob carol; do
        as "$name" register "$name" --email "$name@example.org" < <(password)
    done
}

teardown_file() {
    server_teardown_file
}

# as NAME ARGUMENT…: chat with the files of this user.
as() {
    local name=$1
    shift
    XDG_STATE_HOME=$T/state.$name "$BUILD/chat" "$@"
}

# does STATUS NAME ARGUMENT…: as as, and ends with this status; sets $output and $stderr.
does() {
    local wanted=$1
    shift
    run --separate-stderr as "$@"
    # shellcheck disable=SC2154 # run sets it
    printf 'chat %s: %s\n%s\n%s\n' "$*" "$status" "$output" "$stderr"
    [[ $status == "$wanted" ]]
}

json() {
    jq -c "$1" <<<"$output"
}

# --- the command line ---

@test "a wrong command line ends with 2 and says what is right" {
    local args
    for args in '' nothing group 'group nothing' 'whoami x' 'send' 'send a b c' 'tail a b' history 'history a b' \
        'who x' 'list x' 'group create' 'group invite #x' 'group leave' 'group rename #x' 'group members' \
        '--nothing whoami' 'whoami --lines' 'send --all bob x' 'login --json bob' 'login' 'register'; do
        # shellcheck disable=SC2086 # words
        does 2 alice $args
        [[ $stderr == *usage:* && -z $output ]] || fail "$args"
    done
    does 2 alice register dave </dev/null
    [[ $stderr == *"--email must give"* ]]
    for args in '--limit 0' '--limit 101' '--after x' '--before -1' '--limit 99999999999999999999'; do
        # shellcheck disable=SC2086 # words
        does 2 alice history $args bob
        [[ $stderr == *"is no number from"* ]] || fail "$args"
    done
    does 2 alice send --wait 86401 bob x
    does 2 alice send --lines bob text
    [[ $stderr == *"--lines reads standard input"* ]]
    does 2 alice group leave team
    [[ $stderr == *"'#NAME', in quotes"* ]]
    does 2 alice group leave '#'
}

@test "help and version go to standard output and end with 0" {
    does 0 alice --help
    [[ $output == usage:* && -z $stderr ]]
    does 0 alice -V
    [[ $output == "chat $("$BUILD/chatd" -V | cut -d' ' -f2)" ]]
}

# --- server and login ---

@test "a server is a URL of scheme, host and port; without a scheme it is https" {
    local url
    for url in '' http:// 'http://user@host' http://host/path 'http://host?q' 'http://host#f' 'http://a b' 'ftp://host'; do
        does 2 alice -s "$url" whoami
        [[ $stderr == *"is no server"* || $stderr == *"name is missing"* ]] || fail "$url"
    done
    does 5 alice -s "${CHATD_SERVER#http://}" whoami
    [[ $stderr == *"at https://127.0.0.1:"* ]]
    does 0 alice -s "$CHATD_SERVER///" whoami
}

@test "register and login keep the token in a file of mode 0600, in a folder of mode 0700, and nobody else's" {
    local file=$T/state.alice/chatd/login
    [[ $(stat -c %a "$file" "${file%/*}" | tr '\n' ' ') == '600 700 ' ]]
    jq -e --arg server "$CHATD_SERVER" '.server == $server and (.token | length > 20) and (keys | length) == 2' "$file"
    does 0 alice whoami
    [[ $output == alice ]]
    does 0 alice whoami --json
    json '[.username, .email]'
    [[ $(json '[.username, .email]') == '["alice","alice@example.org"]' ]]
    # A file that was there with another mode is replaced.
    chmod 644 "$file"
    does 0 alice login alice < <(password)
    [[ $(stat -c %a "$file") == 600 && $(ls "${file%/*}") == login ]]
}

@test "without XDG_STATE_HOME files are below HOME; a relative one does not count; without both chat says so" {
    HOME=$T/home XDG_STATE_HOME='' run "$BUILD/chat" login alice < <(password)
    [[ $status == 0 && -s $T/home/.local/state/chatd/login ]]
    cd "$T"
    HOME=$T/home XDG_STATE_HOME=relative run "$BUILD/chat" whoami
    [[ $status == 0 && $output == alice && ! -e relative ]]
    HOME='' XDG_STATE_HOME='' run "$BUILD/chat" whoami
    [[ $status == 1 && $output == *"neither XDG_STATE_HOME nor HOME"* ]]
}

@test "a token goes to the server that gave it only; CHATD_TOKEN counts before it" {
    does 5 alice -s http://127.0.0.1:1 whoami
    [[ $stderr == *"not logged in at http://127.0.0.1:1"* ]]
    does 5 nobody whoami
    CHATD_TOKEN=$(jq -r .token "$T/state.bob/chatd/login") does 0 alice whoami
    [[ $output == bob ]]
    CHATD_TOKEN=$(jq -r .token "$T/state.bob/chatd/login") does 0 nobody whoami
    CHATD_TOKEN=void does 5 alice whoami
    [[ $stderr == *"(chat login)"* ]]
    CHATD_TOKEN=$'a\nX: y' does 5 alice whoami
    [[ $stderr == *"a character that no token has"* ]]
    does 0 alice whoami
}

@test "passwords come from standard input, and wrong ones end with 5" {
    does 5 dave login alice <<<'not the one'
    [[ ! -e $T/state.dave ]]
    does 2 dave login alice </dev/null
    [[ $stderr == *"no password"* ]]
    does 2 dave login alice < <(printf '%073d' 0)
    [[ $stderr == *"at most 72 bytes"* ]]
    does 2 dave login alice < <(printf '\xff\n')
    [[ $stderr == *"must be UTF-8"* ]]
    does 1 dave login alice </
    does 6 dave register alice --email dave@example.org < <(password)
    [[ $stderr == *taken* ]]
    does 6 dave register 'da ve' --email dave@example.org < <(password)
    does 2 dave register $'\xff' --email dave@example.org < <(password)
}

@test "a password is typed at a terminal, twice for a new account, and never shown" {
    py - "$BUILD/chat" "$T/state.typed" <<'PY'
import os, pty, sys
def typed(args, *lines):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["XDG_STATE_HOME"] = sys.argv[2]
        os.execv(sys.argv[1], ["chat", *args])
    shown, lines = b"", list(lines)
    while True:
        try:
            part = os.read(fd, 1000)
        except OSError:
            break
        if not part:
            break
        shown += part
        if lines and part.endswith(b": "):
            os.write(fd, lines.pop(0) + b"\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown
account = ["register", "typed", "--email", "typed@example.org"]
status, shown = typed(account, b"correct horse", b"battery staple")
assert status == 2 and b"the two differ" in shown, (status, shown)
status, shown = typed(account, b"correct horse", b"correct horse")
assert status == 0 and b"horse" not in shown and b"Once more" in shown, (status, shown)
status, shown = typed(["login", "typed"], b"correct horse")
assert status == 0 and b"horse" not in shown and b"Once more" not in shown, (status, shown)
PY
}

@test "logout voids the token everywhere and removes it; with --local only here" {
    as erin register erin --email erin@example.org < <(password)
    local token
    token=$(jq -r .token "$T/state.erin/chatd/login")
    does 0 erin logout --local
    [[ ! -e $T/state.erin/chatd/login ]]
    CHATD_TOKEN=$token does 0 erin whoami
    does 0 erin login erin < <(password)
    # That of the environment may be another account's: the file stays.
    CHATD_TOKEN=$token does 0 erin logout
    CHATD_TOKEN=$token does 5 erin whoami
    [[ -e $T/state.erin/chatd/login ]]
    # Void already: there is nothing more to do than to forget it.
    does 0 erin logout
    [[ ! -e $T/state.erin/chatd/login ]]
    does 5 erin logout
}

@test "a file of the login that is none ends with 1, and says what to do" {
    mkdir -p "$T/state.broken/chatd"
    echo '{' >"$T/state.broken/chatd/login"
    does 1 broken whoami
    [[ $stderr == *"remove it, and log in again"* ]]
    head -c 70000 /dev/zero >"$T/state.broken/chatd/login"
    does 1 broken whoami
    [[ $stderr == *"too large"* ]]
    rm "$T/state.broken/chatd/login"
    mkdir "$T/state.broken/chatd/login"
    does 1 broken whoami
    does 1 broken login alice < <(password)
    rmdir "$T/state.broken/chatd/login" "$T/state.broken/chatd"
    touch "$T/state.broken/chatd"
    does 1 broken login alice < <(password)
}

# --- messages ---

@test "send stores a message, from the command line or from standard input; history shows it" {
    does 0 alice send bob 'Hello!'
    [[ -z $output && -z $stderr ]]
    printf 'two\nlines\n' | as alice send bob
    does 0 alice send --json bob third
    [[ $(json 'keys') == '["duplicate","message_id"]' ]]
    does 0 bob history alice
    [[ $(sed -E 's/^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} /AT /' <<<"$output") == 'AT alice: Hello!
AT alice: two
    lines
AT alice: third' ]]
    does 0 bob history --json alice
    [[ $(jq -c .content <<<"$output") == '"Hello!"
"two\nlines"
"third"' ]]
    does 0 bob history --limit 1 ALICE
    [[ $output == *'alice: third' && $output != *lines* ]]
}

@test "send --lines sends each line, in order, the last one without its end, too; empty ones are passed over" {
    printf '%s\n' one '' two >"$T/lines"
    printf 'three' >>"$T/lines"
    does 0 alice send --lines carol <"$T/lines"
    does 0 carol history alice
    [[ $(sed 's/.*alice: //' <<<"$output" | tr '\n' ' ') == 'one two three ' ]]
}

@test "what cannot be sent ends with 6 and says which line; those before it are sent" {
    does 6 alice send bob ''
    [[ $stderr == *"it is empty"* ]]
    does 6 alice send bob $'\xff'
    [[ $stderr == *"not UTF-8"* ]]
    does 6 alice send bob < <(printf 'a\0b')
    [[ $stderr == *NUL* ]]
    does 6 alice send bob < <(head -c 1200000 /dev/zero | tr '\0' a)
    [[ $stderr == *"too large"* ]]
    does 6 alice send --lines carol < <(printf 'good\nb\xffd\nnever\n')
    [[ $stderr == *"line 2 cannot be sent"* ]]
    # The server's bound is lower than that of chat.
    does 6 alice send --lines carol < <(echo also; head -c 100000 /dev/zero | tr '\0' a)
    [[ $stderr == *"line 2 is not acknowledged; those before it are"* ]]
    does 6 alice send --lines carol < <(head -c 1200000 /dev/zero | tr '\0' a)
    does 1 alice send bob </
    does 0 carol history --limit 2 alice
    [[ $(sed 's/.*alice: //' <<<"$output" | tr '\n' ' ') == 'good also ' ]]
}

@test "nobody of that name ends with 4, a block with 6" {
    local whom
    for whom in nobody '' 'a b' 'al' '#nothing' '#999999' '&limit=5'; do
        does 4 alice send "$whom" x
        [[ -z $output && -n $stderr ]] || fail "$whom"
    done
    as frank register frank --email frank@example.org < <(password)
    api PUT "/users/$(id_of alice)/block" '' "$(jq -r .token "$T/state.frank/chatd/login")"
    [[ $status == 204 ]]
    does 6 alice send frank x
}

@test "history --all has every message once, from page to page; --after and --before bound it" {
    local ids
    seq 250 >"$T/many"
    as alice send --lines alice <"$T/many"
    does 0 alice history --all --json alice
    [[ $(jq -r .content <<<"$output") == "$(<"$T/many")" ]]
    mapfile -t ids < <(jq -r .id <<<"$output")
    does 0 alice history --json --after "${ids[9]}" --before "${ids[12]}" alice
    [[ $(jq -r .content <<<"$output" | tr '\n' ' ') == '11 12 ' ]]
    does 0 alice history --all --json --limit 3 --after "${ids[239]}" alice
    [[ $(jq -r .content <<<"$output" | tr '\n' ' ') == "$(seq -s ' ' 241 250) " ]]
    does 0 alice history alice
    (($(wc -l <<<"$output") == 50))
}

# --- groups and lists ---

@test "a group is made, filled, renamed and left; its members are listed" {
    does 0 alice group create Team bob
    [[ $output =~ ^#[0-9]+$ ]]
    local id=$output
    does 0 alice group invite --admin '#Team' carol
    does 0 alice group members '#Team'
    [[ $output == USER*ROLE*alice*owner*bob*member*carol*admin* ]]
    does 0 alice group members --json "$id"
    [[ $(jq -c '[.username, .role]' <<<"$output" | tr '\n' ' ') == '["alice","owner"] ["bob","member"] ["carol","admin"] ' ]]
    does 0 bob send '#Team' 'to all'
    does 0 carol history '#Team'
    [[ $output == *'bob: to all' ]]
    does 6 bob group rename '#Team' Crew
    does 0 carol group rename '#Team' Crew
    does 4 bob send '#Team' x
    does 0 bob send '#Crew' x
    does 0 bob group leave '#Crew'
    does 4 bob send '#Crew' x
    does 4 bob group leave "$id"
    does 2 alice group rename '#Crew' $'\xff'
    does 6 alice group rename '#Crew' ''
    does 4 alice group invite '#Crew' nobody
    does 4 alice group create Other nobody
    does 6 alice group create --history some Other
    does 0 alice group create --json --history all Other
    [[ $(json '[.name, .history]') == '["Other","all"]' ]]
}

@test "two groups of one name are told apart by their numbers" {
    local one two
    one=$(as alice group create Twins)
    two=$(as alice group create Twins)
    does 4 alice send '#Twins' x
    [[ $stderr == *"'$one'"* && $stderr == *"'$two'"* ]]
    does 0 alice send "$two" 'to the second'
    does 0 alice history "$two"
    [[ $output == *'to the second' ]]
    does 0 alice history "$one"
    [[ -z $output ]]
}

@test "list shows conversations with what is unread and the last message, over all pages" {
    local n
    as grace register grace --email grace@example.org < <(password)
    for n in $(seq 101); do
        echo "insert into messages (sender_id, receiver_id, content) select id, $(id_of grace), 'from $n' from u;"
    done >"$T/sql"
    psql -qXv ON_ERROR_STOP=1 -c "insert into users (username, email, password_hash)
        select 'many' || n, 'many' || n || '@example.org', repeat('x', 60) from generate_series(1, 101) n" \
        -c "insert into messages (sender_id, receiver_id, content)
        select id, $(id_of grace), 'from ' || username from users where username like 'many%' order by id"
    as alice send grace 'the last'
    as grace group create Empty >/dev/null
    does 0 grace list
    [[ $(wc -l <<<"$output") == 104 && $output == NUMBER*WITH*UNREAD*LAST*MESSAGE* ]]
    grep -E '^#[0-9]+ +alice +1  20[0-9-]+ [0-9:]+ +the last$' <<<"$output"
    grep -E '^#[0-9]+ +#Empty +0  - +-$' <<<"$output"
    does 0 grace list --json
    [[ $(jq -c '.peer.username // .name' <<<"$output" | sort -u | wc -l) == 103 ]]
    does 0 grace send '#Empty' 'found behind the first page'
}

@test "who lists those who are online, with --all everybody" {
    py - <<'PY'
from chat import *
with open(f"{T}/state.bob/chatd/login") as f:
    b = connect(json.load(f)["token"])
env = {**os.environ, "XDG_STATE_HOME": f"{T}/state.alice"}
def who(*args):
    return subprocess.run([f"{os.environ['BUILD']}/chat", "who", *args], env=env, capture_output=True, text=True, check=True).stdout
eventually(lambda: [line.split()[0] for line in who().splitlines()] == ["USER", "bob"])
everybody = [json.loads(line) for line in who("--all", "--json").splitlines()]
assert {"alice", "bob", "carol"} <= {u["username"] for u in everybody}
assert [u["username"] for u in everybody if u["online"]] == ["bob"]
assert len(who("--all").splitlines()) == len(everybody) + 1
b.close()
PY
}

# --- errors of the way ---

@test "a server that is not there ends with 3, one that is no chatd with 1" {
    CHATD_TOKEN=x does 3 alice -s http://127.0.0.1:1 whoami
    CHATD_TOKEN=x does 3 alice -s http://127.0.0.1:1 tail
    CHATD_TOKEN=x does 3 alice -s http://127.0.0.1:1 send bob x
    py - <<'PY'
import http.server, os, subprocess, threading
class Other(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body, fields = answers.pop(0)
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Other)
threading.Thread(target=server.serve_forever, daemon=True).start()
def chat(*args):
    p = subprocess.run([f"{os.environ['BUILD']}/chat", "-s", f"http://127.0.0.1:{server.server_port}", *args],
                       env={**os.environ, "CHATD_TOKEN": "x"}, capture_output=True, timeout=60)
    assert b"\033" not in p.stdout + p.stderr and b"\x07" not in p.stdout + p.stderr, p
    assert not answers, answers
    return p.returncode
me = (200, b'{"id":1,"username":"me"}', {})
for wanted, command, *said in [
    (1, ["whoami"], (200, b"<html>", {})),
    (1, ["whoami"], (200, b"[]", {})),
    (1, ["whoami"], (200, b"{}", {})),
    (1, ["who"], (200, b"{}", {})),
    (1, ["list"], (200, b"{}", {})),
    (1, ["tail"], (200, b"{}", {})),
    (1, ["tail"], me, (200, b"\033[2J\n", {})),
    (1, ["tail"], me, (200, b"{}\n", {})),
    (3, ["tail"], me, (503, b"{}", {})),
    (5, ["tail"], me, (401, b"{}", {})),
    (1, ["history", "#7"], (200, b"{}", {}), (200, b"{}", {})),
    (1, ["group", "create", "x"], (200, b"{}", {})),
    (1, ["group", "leave", "#7"], (200, b"{}", {}), (200, b"{}", {})),
    (4, ["send", "me", "x"], (200, b"[1]", {})),
    (1, ["send", "me", "x"], (200, b'[{"username":"me"}]', {})),
    (6, ["whoami"], (400, b'{"error":"\xc2\x9b\\u001b]0;\\u0007"}', {})),
    (6, ["whoami"], (400, b"\033[2J", {})),
    # A redirection would take the token to somebody else.
    (1, ["whoami"], (302, b"", {"Location": "http://127.0.0.1:1/"})),
    (3, ["whoami"], (429, b"{}", {})),
    # More time than is left: it does not wait at all.
    (3, ["send", "#7", "x"], (200, b'{"id":7}', {}), (503, b"{}", {"Retry-After": "90"})),
    (3, ["send", "--wait", "0", "#7", "x"], (200, b'{"id":7}', {}), (503, b"{}", {})),
    (0, ["send", "#7", "x"], (200, b'{"id":7}', {}), (503, b"{}", {}), (201, b'{"message_id":1}', {})),
    # Pages without an end are not asked for for ever.
    (0, ["who"], (200, b"[]", {"Link": '<?after=1>; rel="next"'})),
]:
    answers = list(said)
    got = chat(*command)
    assert got == wanted, (command, said, got)
PY
}

@test "what cannot be written ends with 1" {
    run as alice history bob >/dev/full
    (as alice whoami >/dev/full) 2>"$T/err" && fail "it was written"
    grep -q 'standard output' "$T/err"
    (as alice who --all >/dev/full) 2>"$T/err" && fail "it was written"
    grep -q 'standard output' "$T/err"
}

@test "TLS: a certificate that nobody vouches for is refused with 1, also by login; the right one is known by a file" {
    py - "$BUILD/chat" <<'PY'
from tls import *
pair, other = Pair(), Pair()
with Server(*pair.options(), "-o", "listen=tls:127.0.0.1") as s:
    def chat(*args, stdin="", **more):
        return subprocess.run([sys.argv[1], *args], input=stdin, capture_output=True, text=True,
                              env={**os.environ, "XDG_STATE_HOME": f"{T}/state.tls", **more})
    url = f"https://127.0.0.1:{port(s.name)}"
    new = ["register", "tls", "--email", "tls@example.org"]
    for ca in ([], ["--ca-file", other.certificate], ["--ca-file", "/nonexistent"]):
        p = chat("-s", url, *ca, *new, stdin="correct horse")
        assert p.returncode == 1 and not p.stdout and p.stderr.startswith("chat: https://"), (ca, p)
        p = chat("-s", url, *ca, "tail", CHATD_TOKEN="x")
        assert p.returncode == 1, (ca, p)
    assert sql("select count(*) from users where username = 'tls'") == "0"
    p = chat("-s", url, "--ca-file", pair.certificate, *new, stdin="correct horse")
    assert p.returncode == 0, p
    # It is kept with the login.
    for more in ({"CHATD_SERVER": ""}, {"CHATD_SERVER": url}):
        p = chat("whoami", **more)
        assert (p.returncode, p.stdout) == (0, "tls\n"), p
# One for another name is not this server's.
key, certificate = f"{T}/named.key", f"{T}/named.pem"
openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-days", "2", "-out", certificate,
        "-subj", "/CN=other", "-addext", "subjectAltName=DNS:other.example.org")
with Server("-o", "listen=tls:127.0.0.1", "-o", f"tls_certificate_file={certificate}", "-o", f"tls_key_file={key}") as s:
    p = chat("-s", f"https://127.0.0.1:{port(s.name)}", "--ca-file", certificate, "whoami", CHATD_TOKEN="x")
    assert p.returncode == 1 and "other" not in p.stdout, p
PY
}

# --- as it happens ---

@test "tail shows messages, changes, reactions, groups and who is there, and nothing of it raw" {
    py - "$BUILD/chat" <<'PY'
from tails import *
alice, bob = user(), user()
with Tail(bob.token) as t:
    # Who comes and goes is told to those who are there: bob is, once he can be seen.
    a = connect(alice.token)
    eventually(lambda: online(bob, alice))
    carol = user()
    connect(carol.token).close()
    t.until(f"{carol.name} is online")
    t.until(f"{carol.name} is offline")
    a.message(bob.id, "Hello!", "1")
    number = a.until("ack")["data"]["message_id"]
    t.until(rf"\d+-\d+-\d+ \d+:\d+ \[{alice.name}\] {alice.name}: Hello!")
    place = api("POST", "/conversations", {"user_id": bob.id}, alice.token)[1]["id"]
    there = f"/conversations/{place}/messages/{number}"
    api("PATCH", there, {"content": "Hi!"}, alice.token)
    t.until(rf"\[{alice.name}\] message {number} is now: Hi! \(edited\)")
    api("PUT", f"{there}/reactions/%2B1", token=alice.token)
    t.until(rf"\[{alice.name}\] message {number} is now: Hi! \(edited\) \[\+1 1\]")
    api("DELETE", there, token=alice.token)
    t.until(rf"\[{alice.name}\] message {number} is now: \(deleted\)")
    group = api("POST", "/conversations", {"name": "Team", "members": [bob.id]}, alice.token)[1]["id"]
    t.until(r"\[#Team\] is a group of 2")
    api("POST", f"/conversations/{group}/messages", {"content": "to all"}, alice.token)
    t.until(rf".* \[#Team\] {alice.name}: to all")
    api("PATCH", f"/conversations/{group}", {"name": "Crew"}, alice.token)
    t.until(r"\[#Crew\] is a group of 2")
    api("POST", f"/conversations/{group}/members", {"user_id": carol.id}, alice.token)
    t.until(rf"\[#Crew\] {carol.name} is here now, as member")
    api("DELETE", f"/conversations/{group}/members/{carol.id}", token=alice.token)
    t.until(rf"\[#Crew\] {carol.name} has left")
    a.message(bob.id, "\x1b]0;title\x07\r\x7f\u009b2J\u202edlrow\u2028\tblank\n2026-01-01 00:00 [x] forged: y", "2")
    t.until(r".*: \\x1b\]0;title\\x07\\x0d\\x7f\\x9b2J\\u202edlrow\\u2028 blank")
    t.until(r"    2026-01-01 00:00 \[x\] forged: y")
a.close()
PY
}

@test "tail --json gives the frames as they are, but what a terminal must not get is escaped; of one conversation, if it is named" {
    py - "$BUILD/chat" <<'PY'
from tails import *
alice, bob, carol = user(), user(), user()
bad = "\x1b[2J \u009b2J \u202e \x7f \u2028 \u00fc"
with Tail(bob.token, "--json", alice.name) as one, Tail(bob.token, "--json") as every:
    for t in one, every:
        assert t.frame("resumed")["data"]["recovered"] is True
    for who in carol, alice:
        ws = connect(who.token)
        ws.message(bob.id, bad, "1")
        ws.until("ack")
        ws.close()
    frame = one.frame("message")
    assert frame["data"]["sender"] == alice.name and frame["content"] == bad, frame
    assert [every.frame("message")["data"]["sender"] for _ in range(2)] == [carol.name, alice.name]
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xae]", one.raw), one.raw
PY
}

@test "tail survives restarts of the server and of itself: each message once, in order" {
    py - "$BUILD/chat" <<'PY'
from tails import *
alice, bob = user(), user()
[number] = free_ports()
place, said = ["-o", f"listen=127.0.0.1:{number}"], []
def say(n):
    for _ in range(n):
        said.append(f"number {len(said)}")
        sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, '{said[-1]}')")
got = []
def hear(t):
    while len(got) < len(said):
        got.append(t.frame("message")["content"])
    assert got == said, (got, said)
with Server(*place) as s:
    address = f"http://127.0.0.1:{number}"
    with Tail(bob.token, "--json", server=address) as t:
        t.frame("resumed")
        say(5)
        hear(t)
        s.tree()
        s.kill(signal.SIGKILL)
        s.ended()
        all_gone(s.known)
        t.noted("trying again")
        say(5)
        with Server(*place) as again:
            hear(t)
            t.noted("connected again")
        say(2)
        t.stop()
    with Server(*place):
        say(3)
        with Tail(bob.token, "--json", server=address) as t:
            hear(t)
            t.stop(signal.SIGINT)
        # From now on: what was missed stays unsaid.
        say(1)
        with Tail(bob.token, "--json", "--now", server=address) as t:
            t.frame("resumed")
            got.append(said[-1])
            say(1)
            hear(t)
            t.kill()
        # Of another database.
        with open(t.cursor_file(), "w") as f:
            f.write("000000000000-1-1\n")
        with Tail(bob.token, "--json", server=address) as t:
            assert t.frame("resumed")["data"]["recovered"] is False
            t.noted("something may be missing")
        for text in "", "x" * 300 + "\n", "no end":
            with open(t.cursor_file(), "w") as f:
                f.write(text)
            with Tail(bob.token, server=address) as t:
                assert t.process.wait(WAIT) == 1, text
PY
}

@test "a cursor may have a file of its own; what could not be written is not seen" {
    py - "$BUILD/chat" <<'PY'
from tails import *
alice, bob = user(), user()
own = f"{T}/own-cursor"
with Tail(bob.token, "--json", "--cursor", own) as t:
    t.frame("resumed")
    eventually(lambda: os.path.exists(own))
    t.stop()
before = open(own).read()
assert os.stat(own).st_mode & 0o777 == 0o600
sql(f"insert into messages (sender_id, receiver_id, content) values ({alice.id}, {bob.id}, 'lost?')")
with open("/dev/full", "w") as full:
    with Tail(bob.token, "--json", "--cursor", own, out=full) as t:
        assert t.process.wait(WAIT) == 1
assert open(own).read() == before
with Tail(bob.token, "--json", "--cursor", own) as t:
    assert t.frame("message")["content"] == "lost?"
PY
}

@test "tail ends with 5 when the token becomes void" {
    py - "$BUILD/chat" <<'PY'
from tails import *
bob = user()
with Tail(bob.token, "--json") as t:
    t.frame("resumed")
    assert api("POST", "/logout", token=bob.token)[0] == 204
    assert t.frame("error")["data"]["code"] == "unauthorized"
    assert t.process.wait(WAIT) == 5
    t.noted("(chat login)")
PY
}

@test "send --lines while the server is killed and restarted, and answers are lost: each line once, in order" {
    py - "$BUILD/chat" <<'PY'
from tails import *
alice, bob = user(), user()
[number] = free_ports()
place = ["-o", f"listen=127.0.0.1:{number}"]
lines = [f"line {n}" for n in range(300)]
def stored():
    return sql(f"select content from messages where sender_id = {alice.id} order by id").splitlines()
with Server(*place) as s:
    way = Way(number)
    p = subprocess.Popen([sys.argv[1], "-s", way.url, "send", "--lines", "--json", bob.name], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=open(f"{T}/send.log", "w"), text=True,
                         env={**os.environ, "CHATD_TOKEN": alice.token})
    acks = []
    def feed(some):
        p.stdin.write("".join(x + "\n" for x in some))
        p.stdin.flush()
    def read(count):
        for _ in range(count):
            acks.append(json.loads(p.stdout.readline()))
    feed(lines[:100])
    read(100)
    # The server stores it, and the way loses the answer.
    way.lose_next()
    feed(lines[100:101])
    read(1)
    assert acks[-1]["duplicate"] is True and way.lost == 1, acks[-1]
    # In the middle of some, or behind them; what follows finds nobody.
    feed(lines[101:200])
    read(20)
    s.tree()
    s.kill(signal.SIGKILL)
    s.ended()
    all_gone(s.known)
    feed(lines[200:])
    eventually(lambda: "sending it again" in open(f"{T}/send.log").read())
with Server(*place):
    p.stdin.close()
    read(len(lines) - len(acks))
    assert p.wait(WAIT) == 0 and p.stdout.read() == ""
assert stored() == lines, stored()
ids = [a["message_id"] for a in acks]
assert ids == sorted(set(ids)) and len(ids) == len(lines)
PY
}

@test "colours are for terminals, and not with NO_COLOR or a dumb one" {
    as alice send bob coloured
    local command="XDG_STATE_HOME='$T/state.bob' '$BUILD/chat' history --limit 1 alice"
    [[ $(TERM=xterm script -qec "$command" /dev/null) == *$'\e[1malice\e[0m: coloured'* ]]
    [[ $(TERM=xterm NO_COLOR=1 script -qec "$command" /dev/null) != *$'\e'* ]]
    [[ $(TERM=dumb script -qec "$command" /dev/null) != *$'\e'* ]]
    [[ $(TERM=xterm bash -c "$command") != *$'\e'* ]]
}

# --- documents and completion ---

@test "chat(1) has each command, with its options, each global option and each exit code" {
    py - "$ROOT" "$BUILD/chat" <<'PY'
import re, subprocess, sys
page = open(f"{sys.argv[1]}/man/chat.1").read().replace(" Xo\n.", " ").replace("\n.Xc", "")
usage = subprocess.run([sys.argv[2], "--help"], capture_output=True, text=True, check=True).stdout.splitlines()
items = {}
for item in re.findall(r"^\.It Ic (.*)$", page, re.M):
    head = re.match(r"(group )?[a-z]+", item)[0]
    items[head] = {f"-{o}" for o in re.findall(r"Fl (\S+)", item)}
commands = {re.match(r"(group )?[a-z]+", line[2:])[0]: set(re.findall(r"(?<=[\[ ])--?[a-z-]+", line.split("  ")[1]))
            for line in usage[1:-1]}
assert items == commands, (items, commands)
assert set("".join(re.findall(r"\[-(\w+)", usage[0]))) <= set(re.findall(r"Fl (\w)\b", page))
assert set(re.findall(r"--[a-z-]+", usage[0])) <= {f"-{o}" for o in re.findall(r"Fl (\S+)", page)}
codes = re.findall(r"CHAT_\w+ = (\d)", open(f"{sys.argv[1]}/src/client/core/program.h").read())
assert codes == re.findall(r"^\.It (\d)$", page.split(".Sh EXIT STATUS")[1], re.M), codes
PY
}

@test "the examples of chat(1), copied and pasted, work" {
    sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$ROOT/man/chat.1" | sed -n '/^\.Bd/,/^\.Ed/p' | grep -v '^\.' |
        sed -e 's/\\e/\\/g' -e 's/\<bob\>/bob2/g' -e 's/\<alice\>/alice2/g' >"$T/examples"
    (($(wc -l <"$T/examples") == 10))
    PATH=$BUILD:$PATH XDG_STATE_HOME=$T/state.examples run bash -eo pipefail "$T/examples"
    echo "$output"
    [[ $status == 0 && $output == *'alice2: Hello!'*'alice2: two'$'\n'two$'\n#'*'#Team'*'Hello, all!'*bob2*two ]]
}

# offers WORD…: what bash offers for the last one.
offers() {
    PATH=$BUILD:$PATH bash -c '
        . "$1"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _chat "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"' _ "$ROOT/packaging/completion/chat.bash" chat "$@" | tr '\n' ' '
}

@test "bash completes commands, options and files of chat" {
    [[ $(offers '') == 'group history list login logout register send tail who whoami ' ]]
    [[ $(offers -s http://localhost wh) == 'who whoami ' ]]
    [[ $(offers group '') == 'create invite leave members rename ' ]]
    [[ $(offers tail --c) == '--ca-file --cursor ' ]]
    [[ $(offers send --l) == '--lines ' && $(offers send --wait '') == ' ' ]]
    [[ $(offers group create --history a) == 'all ' ]]
    touch "$T/some.pem"
    [[ $(offers --ca-file "$T/some") == "$T/some.pem " ]]
}
