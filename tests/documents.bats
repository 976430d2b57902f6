#!/usr/bin/env bats
# What is written about chatd is true: the examples work, and what is in the code is in the manual.

load lib/server

setup_file() {
    server_setup_file
    server_start
}

teardown_file() {
    server_teardown_file
}

# fenced FILE HEADING: the ```sh blocks of one section of a Markdown file.
fenced() {
    awk -v heading="## $2" '
        /^## / { here = $0 == heading }
        here && /^```sh$/ { inside = 1; next }
        /^```$/ { inside = 0 }
        here && inside' "$ROOT/$1"
}

undated() {
    sed 's/[0-9-]\{10\} [0-9:]\{5\}/DATE TIME/' "$@"
}

# --- README, CONTRIBUTING ---

@test "README's tour, copied and pasted, works; a message from psql is heard at once" {
    local address
    address=127.0.0.1:$(server_port)
    fenced README.md 'A tour' | sed -e "s/localhost:8080/$address/g" >"$T/lines"
    # A fresh Debian has these after make run.
    [[ $(grep -oE '(^|\| |=\$\(|[a-z] )(chat|curl|echo|seq|wscat|tests/tools/cluster) ' "$T/lines" | sed 's/.*[|( ]\(..*\)/\1/' | sort -u | tr -d '\n') == 'chat curl echo seq tests/tools/cluster ' ]]
    (($(grep -c . "$T/lines") == 12))
    # The program that speaks SQL differs: this database is not that of make run.
    grep '^tests/tools/cluster psql run -d chatd -c ' "$T/lines" | sed 's/.* -c /psql -qX -c /' >"$T/speak"
    (($(grep -c . "$T/speak") == 1))
    # Who pastes line by line sees that bob listens before alice speaks.
    grep -v '^tests/tools/cluster' "$T/lines" | sed -e "s|\$PWD/build|$BUILD|" -e "s|/tmp/bob|$T/bob|" \
        -e "s|tail --json &\$|tail --json >'$T/heard' \&\nuntil grep -q resumed '$T/heard'; do sleep 0.05; done|" \
        -e "s,^chat \(history bob\|list\)\$,& | tee -a '$T/shown'," >"$T/script"
    printf '%s\n' "until grep -q curl '$T/heard'; do sleep 0.05; done" 'kill %1; wait %1' "printf %s \"\$TOKEN\" >'$T/token'" >>"$T/script"
    (cd "$T" && HOME=$T/home XDG_STATE_HOME='' CHATD_SERVER=http://$address timeout 60 bash -e "$T/script") >"$T/said"
    cat "$T/said" "$T/heard"
    # What README shows of it, whatever the time is.
    awk '/^```text$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$ROOT/README.md" >"$T/printed"
    (($(wc -l <"$T/printed") == 6))
    diff <(undated "$T/shown") <(undated "$T/printed")
    [[ $(grep -c ' alice: ' "$T/said") == 4 && $(sed -n 's/.* alice: //p' "$T/said" | tr '\n' ' ') == 'Hello! 1 2 3 ' ]]
    [[ $(jq -r 'select(.type == "message") | .content' "$T/heard" | tr '\n' ' ') == 'Hello! 1 2 3 by curl ' ]]
    grep -v '^[2N#]' "$T/said" | jq -se '.[0].duplicate == false and (.[1] | map(.username)) == ["bob", "alice"]'
    py - <<'PY'
from chat import *
a = connect(open(f"{T}/token").read())
subprocess.run(["bash", "-e", f"{T}/speak"], check=True)
f = a.expect("message")
assert f["content"] == "from psql" and f["data"]["sender"] == "bob", f
a.close()
PY
}

# The lines as they are printed, in a view of the file system and a network of their own, so that the
# machine keeps its users, its /usr/local and its port 8080. The packages are not installed again.
# bats test_tags=root
@test "README's ways to production and to an update, copied and pasted by root, end in a server that serves" {
    local package line
    fenced README.md 'In production' >"$T/lines"
    line=$(grep '^apt-get install' "$T/lines")
    for package in ${line#apt-get install -y --no-install-recommends }; do
        grep -qE "^(build|run|check) +$package " "$ROOT/tests/tools/install" || fail "$package"
    done
    for package in $(awk '$1 == "build" || $2 ~ /^postgresql/ { print $2 }' "$ROOT/tests/tools/install"); do
        [[ " $line " == *" $package "* ]] || fail "README does not install $package"
    done
    grep -v '^apt-get' "$T/lines" | sed "s|^make && make install|make BUILD='$BUILD' -o all install|" >"$T/paste"
    (($(grep -c . "$T/paste") == 5))
    [[ $(tail -n 1 "$T/paste") == '/usr/local/sbin/chatd -f '* ]]
    # Without systemd the server is the job of this shell.
    fenced README.md 'Memory and updates' | sed -e "s|^make && make install|make BUILD='$BUILD' -o all install|" \
        -e 's|^systemctl kill --kill-who=main --signal=SIGUSR2 chatd.service|kill -USR2 %1|' >"$T/update"
    (($(grep -c . "$T/update") == 4))
    "$ROOT/tests/tools/cluster" start --fast "$T/production"
    mkdir "$T/etc" "$T/local"
    cp -a /etc/. "$T/etc"
    cat >"$T/view" <<END
mount --bind '$T/etc' /etc && mount --bind '$T/local' /usr/local && mount -t tmpfs tmpfs /run || exit
ip link set lo up 2>/dev/null || /usr/bin/python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14s", b"lo", 1, b""))'
cd '$ROOT'
unset "\${!PG@}"
while read -r line; do export "\$line"; done < <(tests/tools/cluster env '$T/production')
unset PGDATABASE
sed '\$d' '$T/paste' >'$T/paste.before'
. '$T/paste.before' || exit
PGHOST= PGPORT= PGUSER= exec /usr/local/sbin/chatd -f /usr/local/etc/chatd.conf -o db_host="\$PGHOST" >'$T/production.log' 2>&1 &
for try in {1..300}; do grep -q 'ready: ' '$T/production.log' && break; sleep 0.1; done
curl -sf localhost:8080/register -H 'Content-Type: application/json' -d '{"username":"bob","password":"correct horse","email":"bob@example.com"}'
status=\$?
. '$T/update'
for try in {1..300}; do grep -q 'has taken over' '$T/production.log' && break; sleep 0.1; done
grep -q 'has taken over' '$T/production.log' || kill %1
wait %1 || status=\$?
new=\$(sed -n 's/.*chatd\[\([0-9]*\)\] has taken over.*/\1/p' '$T/production.log')
curl -sf localhost:8080/login -H 'Content-Type: application/json' -d '{"username":"bob","password":"correct horse"}' || status=\$?
kill "\$new" && tail --pid="\$new" -s 0.1 -f /dev/null || status=\$?
exit \$status
END
    run unshare --mount --net --propagation private bash "$T/view"
    echo "$output"
    cat "$T/production.log"
    "$ROOT/tests/tools/cluster" stop "$T/production"
    [[ $status == 0 && $output == *'The configuration is fine.'*'"token":'*'The configuration is fine.'*'"token":'* ]]
    [[ $(stat -c %a "$T/local/etc/chatd" "$T/local/etc/chatd/jwt_secret" | tr '\n' ' ') == '700 600 ' ]]
}

@test "the lines that make run prints are those that the server understands" {
    local url out
    url=127.0.0.1:$(server_port)
    sed -n '/^say_how/,/^}/p' "$ROOT/tests/tools/run" | sed -n 's/^  \(curl\|TOKEN=\)/\1/p' |
        sed -e "s/localhost:\$port/$url/g" -e 's/\\\$/$/g' >"$T/howto"
    (($(grep -c . "$T/howto") == 3))
    out=$(bash -e "$T/howto")
    echo "$out"
    jq -se '(.[0].token | length > 0) and (.[1] | any(.username == "user1"))' <<<"$out"
}

@test "programs, package and CHANGELOG have the version of version.h; CHANGELOG names each migration" {
    local version program number
    version=$(sed -n 's/^#define CHATD_VERSION "\(.*\)"$/\1/p' "$ROOT/src/lib/version.h")
    for program in chatd chatctl chat; do
        [[ $("$BUILD/$program" -V) == "$program $version" ]] || fail "$program"
    done
    [[ $(sed -n '1s/^chatd (\([^)]*\)).*/\1/p' "$ROOT/packaging/debian/changelog") == "$version" ]]
    [[ $(sed -n 's/^## \[\([0-9].*\)\] - [0-9-]*$/\1/p' "$ROOT/CHANGELOG.md" | head -n 1) == "$version" ]]
    sed -n 's/^.*Migrations\? \([0-9]*\)\( to \([0-9]*\)\)\?\..*/\1 \3/p' "$ROOT/CHANGELOG.md" |
        while read -r first last; do seq -f %04g "$first" "${last:-$first}"; done | sort >"$T/named"
    for number in "$ROOT"/sql/[0-9]*.sql; do
        basename "$number" | cut -c 1-4
    done >"$T/migrations"
    diff "$T/named" "$T/migrations"
}

@test "files and folders that README and CONTRIBUTING name are there" {
    py - "$ROOT" <<'PY'
import glob, os, re, sys
root = sys.argv[1]
missing = []
made = open(f"{root}/.gitignore").read().split()
for name in "README.md", "CONTRIBUTING.md", "SECURITY.md":
    text = open(f"{root}/{name}").read()
    paths = re.findall(r"(?<![\w/.-])((?:tests|src|sql|man|\.ci)/[\w./-]*)", text)
    paths += re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    heads = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}
    missing += [(name, h) for h in re.findall(r"\]\(#([^)]+)\)", text.replace("\n", "")) if h not in heads]
    assert len(paths) >= 1, (name, paths)
    missing += [(name, p) for p in paths
                if "NNNN" not in p and not os.path.exists(f"{root}/{p.rstrip('.')}")
                and f"/{p}" not in made]
    for plain in re.findall(r"`([\w]+\.(?:c|h|sql|bats|py|bash))`", text):
        if not glob.glob(f"{root}/**/{plain}", recursive=True):
            missing.append((name, plain))
assert not missing, missing
PY
}

@test "CONTRIBUTING's reading order and table of places name files and functions that are there" {
    py - "$ROOT" <<'PY'
import glob, os, re, sys
root = sys.argv[1]
text = open(f"{root}/CONTRIBUTING.md").read()

def section(name):
    return re.search(rf"^## {name}\n(.*?)^## ", text, re.M | re.S)[1]

missing, walked = [], set()
for place, function in re.findall(r"`([\w/]+\.[ch]|sql/\w+\.sql)`(?:, `(\w+)`)?", section("A reading order")):
    path = f"{root}/{place}" if place.startswith("sql/") else f"{root}/src/{place}"
    walked.add(place)
    if not os.path.exists(path):
        missing.append(place)
    elif function and not re.search(rf"^(?:CREATE FUNCTION|\w).*\b{function}\((?!.*;$)", open(path).read(), re.M):
        missing.append((place, function))
assert len(walked) > 25, walked
for folder, what in re.findall(r"^\| `([\w/]+)` \| (.*) \|$", section("Where things are"), re.M):
    for name in re.findall(r"`([\w]+\.[ch])`", what):
        if not os.path.exists(f"{root}/src/{folder}/{name}"):
            missing.append((folder, name))
for name in re.findall(r"`([\w/]+\.[ch])`", section("Words")):
    if not os.path.exists(f"{root}/src/{name}"):
        missing.append(name)
assert not missing, missing
PY
}

@test "pictures are small" {
    local picture
    for picture in "$ROOT"/web/pictures/*.png; do
        (($(stat -c %s "$picture") <= 60 * 1024)) || fail "$picture"
    done
}

@test "the lines that CONTRIBUTING's first ten minutes change are there, once" {
    py - "$ROOT" <<'PY'
import re, sys
root = sys.argv[1]
text = re.search(r"^## Ten minutes\n(.*?)^## ", open(f"{root}/CONTRIBUTING.md").read(), re.M | re.S)[1]
[(name, file)] = re.findall(r"bats -f '([^']+)' (\S+)", text)
assert len(re.findall(f'^@test "{name}', open(f"{root}/{file}").read(), re.M)) == 1
source, test = (re.search(rf"in `({p}/[^`]+)`", text)[1] for p in ("src", "tests"))
old, new, line = re.findall(r"`(ask[^`]+)`|`\"([^`]+)\"`", text)
assert test == file and open(f"{root}/{test}").read().count(f"\n{old[0]}\n") == 1
assert open(f"{root}/{source}").read().count(f'"{line[1]}"') == 1
PY
}

@test "the tests that SECURITY.md names are there, and each row of its table names one" {
    py - "$ROOT" <<'PY'
import re, sys
root = sys.argv[1]
rows = [line for line in open(f"{root}/SECURITY.md") if line.startswith("| ")][1:]
assert len(rows) >= 10, rows
for row in rows:
    named = re.findall(r"`(\w+\.bats): ([^`]+)`", row)
    assert named, row
    for name, title in named:
        assert f'@test "{title}' in open(f"{root}/tests/{name}").read(), (name, title)
PY
}

@test "README and CONTRIBUTING name each folder of src, CONTRIBUTING each fuzzer, chatd(8) each program" {
    local folder source program programs
    sed -n '/^- `src\/`/,/ipc_table/p' "$ROOT/README.md" >"$T/folders"
    for folder in "$ROOT"/src/*/; do
        grep -q "\`$(basename "$folder")\`" "$T/folders" || fail "README has no $folder"
        grep -q "^| \`$(basename "$folder")\` |" "$ROOT/CONTRIBUTING.md" || fail "CONTRIBUTING has no $folder"
    done
    sed -n '/^## Fuzz/,/^Adding one/p' "$ROOT/CONTRIBUTING.md" >"$T/fuzzers"
    for source in "$ROOT"/tests/fuzz/fuzz_*.c; do
        source=${source#*/fuzz_}
        grep -q "\`${source%.c}\`" "$T/fuzzers" || fail "CONTRIBUTING has no fuzzer $source"
    done
    programs=$(sed -n 's/^PROGRAMS := //p' "$ROOT/Makefile" | grep -o 'chat[a-z-]*')
    (($(wc -l <<<"$programs") == 6))
    [[ -e $ROOT/man/chatctl.8 ]]
    sed -n '/^\.Sh FILES/,/^\.Sh EXIT/p' "$ROOT/man/chatd.8" >"$T/files"
    for program in $(grep '^chatd-' <<<"$programs"); do
        grep -qw -- "^.It Pa.* $program" "$T/files" || fail "chatd(8) has no $program"
    done
}

@test "what is prose is wrapped at 100 columns" {
    # Not tables, nor lines to copy.
    run awk 'FNR == 1 { code = 0 } /^```/ { code = !code } /^\.Bd -literal/ { code = 1 } /^\.Ed/ { code = 0 }
        !code && !/^\|/ && length > 100 { print FILENAME ":" FNR ": " $0 }' \
        "$ROOT"/{README,CONTRIBUTING,CHANGELOG}.md "$ROOT/chatd.conf" "$ROOT"/man/*
    echo "$output"
    [[ -z $output ]]
}

@test "keys that the documents set or mention exist" {
    "$BUILD/chatd" -k | cut -f 1 >"$T/keys"
    py - "$ROOT" "$T/keys" <<'PY'
import re, sys
root, keys = sys.argv[1], open(sys.argv[2]).read().split()
unknown, count = [], 0
for name in "README.md", "CONTRIBUTING.md", "man/chatd.8", "man/chatd.conf.5", "man/chatd-protocol.7":
    text = open(f"{root}/{name}").read()
    used = re.findall(r"-o (\w+)=", text) + re.findall(r"^\.(?:It )?Ic (\w+)", text, re.M)
    count += len(used)
    unknown += [(name, key) for key in used if key not in keys]
assert count > 50 and not unknown, unknown
PY
}

# --- chatd.conf ---

@test "chatd.conf passes chatd -t, as it is and with every key uncommented" {
    cd "$T"
    "$BUILD/chatd" -t -f "$ROOT/chatd.conf" -o jwt_secret_file="$T/jwt_secret"
    sed 's/^#\([a-z_]* =\)/\1/' "$ROOT/chatd.conf" >"$T/all.conf"
    (($(grep -c '^[a-z_]* =' "$T/all.conf") == $("$BUILD/chatd" -k | wc -l)))
    "$BUILD/chatd" -t -f "$T/all.conf" -o jwt_secret_file="$T/jwt_secret"
}

@test "the example of chatd.conf(5) passes chatd -t" {
    cd "$T"
    sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$ROOT/man/chatd.conf.5" | sed -n '/^\.Bd/,/^\.Ed/p' |
        grep -v '^\.' >"$T/example.conf"
    grep -q '^listen = ' "$T/example.conf"
    "$BUILD/chatd" -t -f "$T/example.conf" -o jwt_secret_file="$T/jwt_secret" \
        -o db_password_file="$T/db_password"
}

# --- manual pages ---

@test "the lines that start TLS in chatd(8) do it" {
    sed -n '/^\.Ss TLS/,/^\.Ss Database/p' "$ROOT/man/chatd.8" | sed -n '/^\.Bd/,/^\.Ed/p' |
        grep -v '^\.' | sed 's/\\e$/\\/' >"$T/tls"
    (($(grep -cE '^(openssl|chatd|curl) ' "$T/tls") == 3))
    mkdir "$T/tls.d"
    cd "$T/tls.d"
    sed '/^chatd/,$d' "$T/tls" | bash -e
    local options
    # The options of the line that starts chatd, with a port of this test's.
    mapfile -t options < <(sed -n '/^chatd/,/^curl/p' "$T/tls" | grep -oE -- '[a-z_]+=[^ ]+' |
        sed -e 's|=chatd\.|=tls.d/chatd.|' -e 's/:8443$/:0/')
    ((${#options[@]} == 3))
    server_start tls "${options[@]/#/-o}"
    sed -n '/^curl/p' "$T/tls" | sed "s/8443/$(server_port tls)/" >"$T/curl"
    bash -e "$T/curl" | jq -e .error
    server_stop tls
}

@test "manual pages are clean under mandoc -Tlint" {
    run mandoc -Tlint -Wwarning "$ROOT"/man/*.[0-9]
    echo "$output"
    [[ $status == 0 && -z $output ]]
}

@test "chatd(8) describes the options of chatd's usage, and examples use no others" {
    run "$BUILD/chatd" -?
    [[ $status == 2 ]]
    echo "$output" | grep '^usage:' >"$T/usage"
    py - "$ROOT" "$T/usage" <<'PY'
import glob, re, sys
root, usage = sys.argv[1], open(sys.argv[2]).read()
known = set("".join(re.findall(r"\[-(\w+)", usage)))
page = open(f"{root}/man/chatd.8").read()
assert set(re.findall(r"^\.It Fl (\w)\b", page, re.M)) == known, known
assert set("".join(re.findall(r"^\.Op Fl (\w+)", page, re.M))) == known, known
literal = "\n".join(re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page, re.M | re.S))
readme = open(f"{root}/README.md").read()
literal += "\n".join(open(f).read() for f in glob.glob(f"{root}/packaging/systemd/*"))
calls = re.findall(r"(?:^|sbin/(?:chatd )?)chatd((?: +-\S+(?: [^-\s#]\S*)?)+)", literal + "\n" + readme, re.M)
assert len(calls) >= 7, calls
for call in calls:
    for option in re.findall(r"(?:^| )-(\S+)", call):
        assert option in known, (call, option, known)
for unit in "Type=notify", "StandardInput=socket", " nowait ", " wait ":
    assert unit in literal, unit
PY
}

@test "the lines of chatd(8) that disable, enable and log out users do what is said of them" {
    py - "$ROOT" <<'PY'
from chat import *
import re
page = open(f"{sys.argv[1]}/man/chatd.8").read()
part = re.search(r"^\.Ss Users and their tokens\n(.*?)^\.S[hs] ", page, re.M | re.S)[1]
lines = [x for x in part.splitlines() if re.match("(select|update) ", x)]
assert len(lines) == 4, lines
alice = user()
sql(f"update users set email = '{alice.name}@example.net' where id = {alice.id}")
def login():
    return api("POST", "/login", {"username": alice.name, "password": password()})
for line, code, status in zip(lines, (4403, None, 4401, 4403), (403, 200, 200, 403)):
    ws = connect(login()[1]["token"]) if code else None
    sql(line.replace("'alice'", f"'{alice.name}'"))
    assert login()[0] == status, line
    assert not ws or ws.closed() == code, line
PY
}

@test "the lines of chatd(8) that block and lift do what is said of them" {
    py - "$ROOT" <<'PY'
from blocks import *
import re
page = open(f"{sys.argv[1]}/man/chatd.8").read()
part = re.search(r"^\.Ss Messages and blocks by SQL\n(.*?)^\.S[hs] ", page, re.M | re.S)[1]
insert, lift = [x for x in part.splitlines() if re.match("(insert|update) ", x)]
alice, bob = user(), user()
know(alice, bob)
a, b = connect(alice.token), connect(bob.token)
seen(b, alice)
sql(insert.replace("(1, 2)", f"({alice.id}, {bob.id})"))
assert seen(b, alice) == [(alice, False)] and refused(b, alice) and blocked(alice) == [bob.id]
sql(lift.replace("user_id = 1", f"user_id = {alice.id}").replace("blocked_id = 2", f"blocked_id = {bob.id}"))
assert seen(b, alice) == [(alice, True)] and not refused(b, alice) and blocked(alice) == []
# Other tests look at what they are told next.
a.close(), b.close()
eventually(lambda: sql("select count(*) from sessions") == "0")
PY
}

@test "the lines of chatd(8) that change the key make files that chatd takes" {
    local folder=$T/changed
    mkdir "$folder"
    cp "$T/jwt_secret" "$folder"
    sed -n '/^\.Sh CHANGING THE KEY/,/^\.Sh /p' "$ROOT/man/chatd.8" |
        sed -n '/^\.Bd/,/^\.Ed/p' | grep -v '^\.' >"$T/change"
    (($(wc -l <"$T/change") == 2))
    (cd "$folder" && bash -e "$T/change")
    cmp "$folder/jwt_old_secret" "$T/jwt_secret"
    "$BUILD/chatd" -t -o jwt_secret_file="$folder/jwt_secret" -o jwt_old_secret_file="$folder/jwt_old_secret"
    [[ $(<"$folder/jwt_secret") != "$(<"$folder/jwt_old_secret")" ]]
}

@test "JSON in chatd-protocol(7) is valid, and has the members that the server sends" {
    py - "$ROOT" <<'PY'
from chat import *
import re
page = open(f"{sys.argv[1]}/man/chatd-protocol.7").read()
blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page, re.M | re.S)
examples = [json.loads(b.replace("\\e", "\\")) for b in blocks if b[0] in "{[" and not b.startswith('{"type":"delivered"')]
assert len(examples) >= 12, len(examples)

def shape(v):
    """The members and their types, whatever the values."""
    if isinstance(v, dict):
        return tuple(sorted((k, shape(x)) for k, x in v.items()))
    return [shape(v[0])] if isinstance(v, list) and v else type(v).__name__
shapes = [shape(e) for e in examples]

def described(v):
    assert shape(v) in shapes, f"no example has the members of {v}"
alice, bob = user(), user()
account = {"username": alice.name, "password": password(), "email": f"{alice.name}@example.com"}
login = {k: account[k] for k in ("username", "password")}
described(account)
described(login)
described(api("POST", "/login", login)[1])
described(api("POST", "/login", {})[1])
a = connect(alice.token)
b = connect(bob.token)
described(a.expect("user_status"))
for frame in [e for e in examples if isinstance(e, dict) and e.get("type") == "message"
              and set(e["data"]) == {"receiver_id"}]:
    frame["data"]["receiver_id"] = bob.id
    a.send(frame)
    described(b.expect("message"))
    if "id" in frame:
        described(a.expect("ack"))
edit = next(e for e in examples if isinstance(e, dict) and e.get("type") == "edit")
delete = next(e for e in examples if isinstance(e, dict) and e.get("type") == "delete")
message = api("GET", f"/messages/{bob.id}", token=alice.token)[1][-1]
body = {"content": "Other"}
described(body)
described(api("PATCH", f"/conversations/{message['conversation_id']}/messages/{message['id']}", body, alice.token)[1])
for client in (a, b):
    described(client.expect("message_changed"))
for frame in (edit, delete):
    frame["data"] = {"conversation_id": message["conversation_id"], "message_id": message["id"]}
    a.send(frame)
    described(a.expect("message_changed"))
    described(a.expect("ack"))
    described(b.expect("message_changed"))
    described(api("GET", f"/messages/{bob.id}", token=alice.token)[1][-1])
a.message(bob.id, "the last one")
described(b.expect("message"))
number = int(sql(f"select conversation_id from contacts where user_id = {alice.id} and contact_id = {bob.id}"))
for data in ({"receiver_id": bob.id}, {"conversation_id": number}):
    typing = {"type": "typing", "data": data}
    described(typing)
    a.send(typing)
    described(b.expect("typing"))
for type_ in ("delivered", "read"):
    mark = {"type": type_, "data": {"conversation_id": number, "message_id": 2**50}}
    assert shape(mark) in [shape(json.loads(line)) for block in blocks for line in block.splitlines() if line.startswith(f'{{"type":"{type_}"')]
    b.send(mark)
    described(a.expect("receipt"))
described(api("GET", "/conversations?limit=1", token=bob.token)[1] | {"next": "91"})
described(api("GET", f"/conversations/{number}/members", token=bob.token)[1][:1])
described({"message_id": 91})
described({"content": "x"})
there = {"type": "message", "content": "x", "data": {"conversation_id": number}}
described(there)
b.send(there)
plain = a.expect("message")
described(plain)
there["data"]["reply_to"] = message["id"]
described(there)
b.send(there)
reply = a.expect("message")
described(reply)
for react in [e for e in examples if isinstance(e, dict) and e.get("type") == "react"]:
    react["data"].update(conversation_id=number, message_id=plain["data"]["message_id"])
    b.send(react)
    changed = a.until("message_changed")
    assert b.until("message_changed") == changed
    assert b.until("ack")["id"] == react["id"]
    if "remove" in react["data"]:
        assert "reactions" not in changed["data"]
    else:
        described(changed)
        described([m for m in api("GET", f"/messages/{alice.id}", token=bob.token)[1] if "reactions" in m])
assert api("PUT", f"/conversations/{number}/read", {"message_id": 2**50}, bob.token)[0] == 204
described(a.expect("receipt"))
group = {"name": "Team", "members": [bob.id]}
described(group)
made = api("POST", "/conversations", group, alice.token)[1]
described(made)
described(a.until("conversation"))
described(b.until("conversation"))
one, there = {"user_id": bob.id}, f"/conversations/{made['id']}"
described(one)
assert api("POST", "/conversations", one, alice.token)[0] == 200
described({"name": "Crew"})
described(api("PATCH", there, {"name": "Crew"}, alice.token)[1])
described(a.expect("conversation"))
new = {"user_id": user().id, "role": "member"}
described(new)
described([api("POST", f"{there}/members", new, alice.token)[1]])
described(a.expect("member"))
described({"role": "admin"})
described([api("PATCH", f"{there}/members/{bob.id}", {"role": "admin"}, alice.token)[1]])
described(b.until("member"))
described(a.expect("member"))
assert b.until("member")["data"]["role"] == "admin"
assert api("POST", f"{there}/messages", {"content": f"Hello, @{bob.name}!"}, alice.token)[0] == 201
described(a.until("message"))
described(b.until("message"))
a.send({"type": "ping"})
a.expect("pong")
described({"type": "ping"})
a.message(2**50, "nobody", "c-x")
described(a.expect("error"))
described([u for u in api("GET", "/users", token=alice.token)[1] if u["id"] == alice.id])
described(api("GET", f"/messages/{bob.id}", token=alice.token)[1])
change = {"email": f"{alice.name}@example.org", "password": password()}
for body in ({"display_name": "User One"}, change):
    described(body)
    described(api("PATCH", "/me", body, alice.token)[1])
described(api("GET", "/me", token=alice.token)[1])
carol = user()
assert api("PUT", f"/users/{carol.id}/block", token=alice.token)[0] == 204
described(api("GET", "/me/blocks", token=alice.token)[1])
described({"receiver_id": bob.id, "content": "x"})
described(api("POST", "/messages", {"receiver_id": bob.id, "content": "x"}, alice.token)[1])
described({"receiver_id": bob.id, "content": "x", "reply_to": message["id"]})
assert api("POST", "/messages", {"receiver_id": bob.id, "content": "x", "reply_to": message["id"]}, alice.token)[0] == 201
c = connect(bob.token, path="/ws?cursor=")
resumed = c.expect("resumed")
described(resumed)
resume = {"type": "resume", "data": {"cursor": resumed["data"]["cursor"]}}
described(resume)
c.send(resume)
described(c.expect("resumed"))
auth = {"type": "auth", "id": "a-1", "data": {"token": bob.token}}
described(auth)
c.send(auth)
described(c.expect("authenticated"))
PY
}

@test "each close code, error code, status and REST path of the code is in chatd-protocol(7)" {
    py - "$ROOT" <<'PY'
import glob, re, sys
root = sys.argv[1]
page = open(f"{root}/man/chatd-protocol.7").read()

def source(*names):
    return "\n".join(open(f).read() for n in names for f in sorted(glob.glob(f"{root}/src/{n}")))

def section(name):
    return re.search(rf"^\.S[sh] {name}\n(.*?)(?=^\.S[sh] )", page, re.M | re.S)[1]

def same(what, in_source, in_page):
    assert in_source, f"no {what} found in the source"
    assert in_source <= in_page, f"{what} not in the manual: {in_source - in_page}"
    assert in_page <= in_source, f"{what} only in the manual: {in_page - in_source}"

session, ws = source("session/*.c"), source("wire/ws.c")
names = dict(re.findall(r"\b([A-Z_]+) = (1\d\d\d)\b", ws))
sent = {names[n] for n in re.findall(r"fail\(r, out, ([A-Z_]+),", ws)}
sent |= set(re.findall(r"(?:live_goodbye|end)\(\w+, (\d{4}),", session))
sent |= set(re.findall(r"return (\d{4});", source("session/close_code.c")))
items = "".join(re.findall(r"^\.It (.*\n)", section("Close codes"), re.M))
# 1000 and 1001 are only ever the client's own, sent back.
same("close codes", sent, set(re.findall(r"\d{4}", items)) - {"1000", "1001"})

table = source("ipc/ipc_table.h").split("#define IPC_ERRORS(E)")[1]
rows = re.findall(r'E\(\w+, "(\w+)", (\d+), ', table)
codes = {code for code, _ in rows}
for call in re.findall(r"\brefuse_frame\(f,([^;]*);", source("wire/chat_frame.c")):
    codes |= set(re.findall(r'"([a-z]+_[a-z]+)"', call))
codes |= set(re.findall(r'(?:live_put_error|complain)\(\w+, [^;"]*"(\w+)"', session))
listed = set(re.findall(r"^\.It Li (\w+)", section("From server to client"), re.M))
assert codes <= set(re.findall(r"^\.(?:It )?Li (\w+)", page, re.M)), codes
assert listed <= codes, f"codes only in the manual: {listed - codes}"

statuses = {status for _, status in rows}
statuses |= set(re.findall(r"(?:exchange_error|exchange_error_with|refuse\w*|\w*_refuse|begin)\(\w+, (\d{3})\b",
                           session + source("wire/http*.c", "wire/ws_handshake.c")))
statuses |= set(re.findall(r"return -(\d{3});", source("wire/http*.c")))
same("statuses", {s for s in statuses if s >= "400"},
     set(re.findall(r"\b[45]\d\d\b", section("Statuses"))))

routes = source("session/rest.c").split("routes[] = {")[1].split("};")[0]
same("resources", set(re.findall(r'\{"(/[^"]*)", "(\w+)"', routes)),
     {(re.sub(r":\w+", ":", p), m) for m, p in re.findall(r"^\.Ss ([A-Z]+) (/\S*)", page, re.M)})
PY
}
