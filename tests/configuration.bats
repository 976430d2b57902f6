#!/usr/bin/env bats
# The configuration as an administrator meets it: which source wins, what an error says, which
# secrets are refused; and that table, chatd.conf and manual page name the same keys.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    server_setup_file
}

teardown_file() {
    server_teardown_file
}

# try STATUS [ARGUMENTS]: runs chatd -t in an empty folder; what it says is in $output.
try() {
    local expected=$1
    shift
    mkdir -p "$T/empty"
    cd "$T/empty"
    run "$BUILD/chatd" -t "$@"
    echo "chatd -t $*: $status: $output"
    [[ $status == "$expected" ]]
}

# says WORDS: the output has them; an error is one line.
says() {
    [[ $output == *"$1"* ]] || fail "expected: $1"
    ((status == 0 || ${#lines[@]} == 1)) || fail "more than one line"
}

# file LINES…: writes $T/test.conf.
file() {
    printf '%s\n' "$@" >"$T/test.conf"
}

secret=(-o jwt_secret=0123456789abcdef0123456789abcdef)

# --- chatd -t ---

@test "chatd -t accepts the shipped chatd.conf with a secret, and starts nothing" {
    cp "$ROOT/chatd.conf" "$T/shipped.conf"
    try 0 -f "$T/shipped.conf" -o jwt_secret_file="$T/jwt_secret" -o run_dir="$T/not-made"
    says 'The configuration is fine.'
    [[ ! -e $T/not-made ]]
}

@test "an error in a file names file and line, what is wrong and what would be right" {
    file 'mode = development' '' '# a comment' 'port = 80800'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says "chatd: $T/test.conf:4: port is \"80800\", but must be an integer from 0 to 65535"
    file 'header_timeout = 10 minutes'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'test.conf:1: header_timeout is "10 minutes", but must be a duration from 1ms to 1d'
    file 'mode = debug'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'must be one of production, development'
    file 'max_body = 2G'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'must be a size from 256 to 1M'
    file 'port 8080'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'test.conf:1: expected key = value'
    file 'port = 8080' 'backlog = 5' 'port = 8081'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'test.conf:3: port is already set in line 1; remove one of them'
    file 'db_name = "chat'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'test.conf:1: the closing quote is missing'
}

@test "an unknown key, in a file or of -o: the nearest that exists is suggested" {
    file 'log_levle = debug'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'test.conf:1: unknown key "log_levle"; did you mean "log_level"?'
    try 1 -o db_pasword_file=x "${secret[@]}"
    says '-o: unknown key "db_pasword_file"; did you mean "db_password_file"?'
    try 1 -o qqqqqqqqqqqqqqqqqq=1 "${secret[@]}"
    says 'unknown key "qqqqqqqqqqqqqqqqqq"; chatd.conf(5) lists those that exist'
    try 1 -o port "${secret[@]}"
    says '-o: expected key=value'
}

@test "an error in .env and in the environment names its place, too" {
    mkdir "$T/dotenv"
    cd "$T/dotenv"
    printf 'OTHER=1\nPORT=many\n' >.env
    run "$BUILD/chatd" -t -o mode=development "${secret[@]}"
    echo "$output"
    [[ $status == 1 && $output == *'/.env:2: port is "many", but must be an integer'* ]]
    rm .env
    PORT=-1 run "$BUILD/chatd" -t "${secret[@]}"
    echo "$output"
    [[ $status == 1 && $output == *'environment PORT: port is "-1"'* ]]
}

@test "a file that is not there, or cannot be read as text, is an error" {
    try 1 -f "$T/nowhere.conf" "${secret[@]}"
    says "$T/nowhere.conf: No such file or directory"
    printf 'port = 8080\r\n' >"$T/test.conf"
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'with Unix line ends'
    printf 'port = 80\0 80\n' >"$T/test.conf"
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'test.conf:1: NUL byte'
}

@test "keys that contradict each other are refused where they stand" {
    file 'min_spare = 20' 'max_spare = 10'
    try 1 -f "$T/test.conf" "${secret[@]}"
    says 'test.conf:1: min_spare is 20, but max_spare is only 10'
    try 1 -o cors_origins=https://example.com/path "${secret[@]}"
    says 'cors_origins: "https://example.com/path" is no origin'
}

@test "a certificate that no address uses is said by chatd -t and at the start; it is no error" {
    py - <<'PY'
from tls import *
pair = Pair()
unused = "tls_certificate_file is set, but no address of listen has tls: in front"
for listen, warned in ("127.0.0.1", True), ("127.0.0.1, tls:127.0.0.2", False):
    given = [*pair.options(), "-o", f"listen={listen}"]
    status, output = chatd("-t", *options("x"), *SECRETS, *given)
    assert status == 0 and (unused in output) == warned, output
    with Server(*given) as s:
        assert (f" warning master[{s.pid}]: {unused}" in s.log()) == warned, s.log()
PY
}

@test "run_dir that cannot be made or is another user's: the error names the key and a remedy, with -i too" {
    py - <<'PY'
from server import *
alone = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(alone.getsockname())
single, _ = alone.accept()
made, shared = f"{T}/file", f"{T}/{some_name('d')}"
open(made, "w").close()
os.mkdir(shared)
os.chmod(shared, 0o777)
for path, words in ((f"{made}/run", "set run_dir to a folder that you may make or own, as by -o run_dir="),
                    (shared, "set run_dir to another folder, or chown it and chmod go-w")):
    for inetd in [], ["-i"]:
        given = [*options("x"), *SECRETS, "-o", f"run_dir={path}", "-o", f"log_file={T}/run_dir.log", *inetd]
        p = subprocess.run([CHATD, *given], stdin=single if inetd else subprocess.DEVNULL, timeout=WAIT)
        with open(f"{T}/run_dir.log") as f:
            said = f.read().splitlines()[-1]
        assert p.returncode == 1 and f"run_dir: " in said and path in said and words in said, said
PY
}

@test "SIGHUP reads files that are named from the folder that chatd was started in" {
    py - <<'PY'
from tls import *
pair = Pair()
with open(f"{T}/named.conf", "w") as f:
    f.write("".join(f"{k} = {os.path.basename(v)}\n" for k, v in
            (("tls_certificate_file", pair.chain), ("tls_key_file", pair.key))))
with Server("-f", "named.conf", "-o", "listen=tls:127.0.0.1", cwd=T) as s:
    s.kill(signal.SIGHUP)
    eventually(lambda: "configuration reloaded" in s.log() or "not reloaded" in s.log())
    assert "not reloaded" not in s.log(), s.log()
    dial(s, pair).close()   # sessions still find their broker
PY
}

# --- precedence ---

@test "chatd.conf is beaten by .env, that by the environment, and that by -o" {
    py - <<'PY'
from server import *
folder = f"{T}/{some_name('d')}"
os.mkdir(folder)
a, b, c, d = free_ports(4)
def starts(on, *more, env=None):
    name = some_name()
    pairs = list(zip(*[iter(options(name))] * 2))
    ready, theirs = os.pipe()
    command = [CHATD, *(x for p in pairs if p[1] != "port=0" for x in p), *SECRETS,
               "-o", f"ready_fd={theirs}", "-f", f"{folder}/chatd.conf", *more]
    with Process(command, name, env=env, cwd=folder, pass_fds=(theirs,)) as p:
        os.close(theirs)
        with open(ready) as f:
            line = f.readline()
        assert line == f"ready 127.0.0.1:{on}\n", (line, on, p.log())
with open(f"{folder}/chatd.conf", "w") as f:
    f.write(f"port = {a}\nlisten = 127.0.0.1\n")
starts(a)
with open(f"{folder}/.env", "w") as f:
    f.write(f"PORT={b}\n")
starts(b)
starts(c, env={"PORT": str(c)})
starts(d, "-o", f"port={d}", env={"PORT": str(c)})
PY
}

@test "DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME and JWT_SECRET are enough to serve" {
    py - <<'PY'
from server import *
variables = {"DB_HOST": os.environ["PGHOST"], "DB_PORT": os.environ["PGPORT"],
             "DB_USER": os.environ["DB"], "DB_NAME": os.environ["DB"], "PORT": "0",
             "DB_PASSWORD": open(f"{T}/db_password").read().strip(), "JWT_SECRET": "s" * 32}
folder = f"{T}/{some_name('d')}"
os.mkdir(folder)
def serves(env):
    name = some_name()
    with Process([CHATD, "-o", f"run_dir={T}/{name}.run", "-o", "db_readers=1", "-o", "user=daemon", "-o", "admin_listen=",
                  "-o", "mode=development"], name, env=env, cwd=folder) as p:
        p.logged("ready: ")
        set_address(name, p.log().rsplit("ready: ", 1)[1].split()[0])
        u = user(instance=name)
        assert api("GET", "/users", token=u.token, name=name)[0] == 200
serves(variables)
with open(f"{folder}/.env", "w") as f:
    f.writelines(f"{k}={v}\n" for k, v in variables.items())
os.chmod(f"{folder}/.env", 0o600)
serves({})
PY
}

@test "chatd -t says for each key that is set which file and line, or what else, has set it" {
    mkdir "$T/sources"
    cd "$T/sources"
    printf '# here\nmode = development\nmax_clients = 5\nport = 1\n' >chatd.conf
    printf 'OTHER=1\nDB_USER=eve\nDB_NAME=x\nPORT=2\n' >.env
    DB_NAME=chat run "$BUILD/chatd" -t -f chatd.conf -o port=3 -o jwt_secret_file="$T/jwt_secret"
    echo "$output"
    diff - <(sort <<<"$output") <<END
The configuration is fine.
db_name: environment DB_NAME
db_user: $PWD/.env:2
jwt_secret: $T/jwt_secret
jwt_secret_file: -o
max_clients: $PWD/chatd.conf:3
mode: $PWD/chatd.conf:2
port: -o
END
}

# --- .env ---

@test ".env is read in mode development only; in production chatd -t and the log say that it is not" {
    mkdir "$T/production"
    cd "$T/production"
    echo PORT=many >.env
    for mode in '' -omode=production; do
        # shellcheck disable=SC2086 # nothing, or an option
        run "$BUILD/chatd" -t $mode "${secret[@]}"
        echo "$output"
        [[ $status == 0 && $output == *"$PWD/.env is not read in mode production"* && $output != *many* ]]
    done
    run "$BUILD/chatd" -t -o mode=development "${secret[@]}"
    [[ $status == 1 && $output == *'/.env:1: port is "many"'* ]]
    py - <<'PY'
from server import *
with Server("-o", "mode=production", cwd=f"{T}/production") as s:
    assert f" warning master[{s.pid}]: {T}/production/.env is not read in mode production" in s.log(), s.log()
PY
}

@test ".env of another user, or that others may write, is refused at the start, by SIGHUP and by SIGUSR2" {
    py - <<'PY'
from server import *
folder = f"{T}/{some_name('d')}"
os.mkdir(folder)
env = f"{folder}/.env"
with open(env, "w") as f:
    f.write("DB_USER=eve\n")
def chown(path, uid):
    return lambda: os.chown(path, uid, -1)
WRITTEN, OTHERS = "may be written by others; run: chmod go-w", "belongs to another user"
rows = [("the file " + WRITTEN, lambda: os.chmod(env, 0o664), lambda: os.chmod(env, 0o644)),
        ("its folder " + WRITTEN, lambda: os.chmod(folder, 0o777), lambda: os.chmod(folder, 0o755))]
if os.geteuid() == 0:
    rows += [("the file " + OTHERS, chown(env, 1), chown(env, 0)),
             ("its folder " + OTHERS, chown(folder, 1), chown(folder, 0))]
os.rename(env, f"{env}.off")
with Server("-o", f"db_user={os.environ['DB']}", cwd=folder) as s:
    os.rename(f"{env}.off", env)
    for fault, do, undo in rows:
        do()
        p = subprocess.run([CHATD, "-t", "-o", "mode=development", *SECRETS], cwd=folder,
                           capture_output=True, text=True)
        assert p.returncode == 1 and f"chatd: {env}: {fault}" in p.stderr and not p.stdout, (fault, p)
        for number, words in (signal.SIGHUP, "not reloaded: "), (signal.SIGUSR2, "cannot take over: "):
            before = s.log().count(words)
            s.kill(number)
            eventually(lambda: s.log().count(words) == before + 1)
            assert s.log().rsplit(words, 1)[1].startswith(f"{env}: {fault}"), s.log()
        # Only then another one may be started.
        eventually(lambda: s.log().count("before it took over") == s.log().count("cannot take over: "))
        undo()
    p = subprocess.run([CHATD, "-t", "-o", "mode=development", *SECRETS], cwd=folder,
                       capture_output=True, text=True)
    assert p.returncode == 0 and f"db_user: {env}:1\n" in p.stdout, p
PY
}

# --- secrets ---

@test "without a secret it does not start, in either mode; what it advises works" {
    local advice
    for mode in production development; do
        try 1 -o mode=$mode
        says 'jwt_secret is not set, and there is no default; run: (umask 077; '
    done
    advice=${output#*run: }
    advice=${advice%%, and set*}
    bash -c "${advice/FILE/\"$T/made\"}"
    try 0 -o jwt_secret_file="$T/made"
    cd "$T/empty"
    run "$BUILD/chatd" -o run_dir="$T/no-secret.run"
    [[ $status == 1 && $output == *'jwt_secret is not set'* && ! -e $T/no-secret.run ]]
}

@test "a short secret: production refuses it, development warns and serves" {
    try 1 -o jwt_secret=0123456789abcdef0123456789abcde
    says 'jwt_secret has 31 bytes, but HS256 needs at least 32'
    [[ $output != *0123456789* ]]
    try 0 -o jwt_secret=0123456789abcdef0123456789abcdef
    try 0 -o mode=development -o jwt_secret=short
    py - <<'PY'
from server import *
with Server(secrets=[*SECRETS[:2], "-o", "jwt_secret=short"]) as s:
    assert " warning master" in s.log() and "jwt_secret has fewer than 32 bytes" in s.log()
    user(instance=s.name)
PY
}

@test "a file with a secret that every user can read is refused, with the chmod that helps" {
    local key file
    for key in jwt_secret_file db_password_file; do
        file=$T/open.$key
        cp "$T/jwt_secret" "$file"
        chmod 644 "$file"
        # A secret of its own for the key that is not looked at.
        local others=()
        [[ $key == jwt_secret_file ]] || others=("${secret[@]}")
        try 1 -o $key="$file" "${others[@]}"
        says "-o: $key: $file is open to every user; run: chmod o-rwx $file"
        bash -c "${output#*run: }"
        try 0 -o $key="$file" "${others[@]}"
    done
}

@test "a secret and a file for it in one source are refused; of two sources the later wins" {
    local value=fedcba9876543210fedcba9876543210
    file "jwt_secret = $value" "jwt_secret_file = $T/jwt_secret"
    try 1 -f "$T/test.conf"
    says 'test.conf:1: jwt_secret and jwt_secret_file ('
    says 'test.conf:2) are both set; remove one of them'
    [[ $output != *"$value"* ]]
    try 1 "${secret[@]}" -o jwt_secret_file="$T/jwt_secret"
    file "jwt_secret_file = $T/nowhere"
    try 0 -f "$T/test.conf" -o jwt_secret=$value
}

@test "a file with a secret must be there, and hold one line" {
    try 1 -o jwt_secret_file="$T/nowhere"
    says "-o: jwt_secret_file: $T/nowhere: No such file or directory"
    (umask 077 && : >"$T/nothing" && printf 'a\nb\n' >"$T/two")
    try 1 -o jwt_secret_file="$T/nothing"
    says 'is empty; write the secret into it'
    try 1 -o jwt_secret_file="$T/two"
    says 'the file must hold one line'
}

@test "no error ever shows a secret" {
    local value=Top-Secret-0123456789-0123456789
    file "jwt_secret = \"$value" 'port = 1'
    try 1 -f "$T/test.conf"
    [[ $output != *Top-Secret* ]]
    file "jwt_secret = $value" "jwt_secret = $value"
    try 1 -f "$T/test.conf"
    [[ $output != *Top-Secret* ]]
    file "jwt_secret $value"
    try 1 -f "$T/test.conf"
    [[ $output != *Top-Secret* ]]
    try 1 -o "jwt_secret=$value"$'\001'
    [[ $output != *Top-Secret* ]]
    try 1 -o "jwt_secrets=$value"
    [[ $output != *Top-Secret* ]]
}

# --- one table ---

@test "chatd -k, chatd.conf and chatd.conf(5) have the same keys, once each" {
    "$BUILD/chatd" -k | cut -f 1 | sort >"$T/table"
    sed -n 's/^#\([a-z_]*\) =.*/\1/p' "$ROOT/chatd.conf" | sort >"$T/shipped"
    sed -n 's/^\.It Ic \([a-z_]*\)\( .*\)\?$/\1/p' "$ROOT/man/chatd.conf.5" | sort >"$T/manual"
    (($(wc -l <"$T/table") > 30))
    diff "$T/table" "$T/shipped"
    diff "$T/table" "$T/manual"
}

@test "chatd.conf and chatd.conf(5) show the defaults that chatd -k shows" {
    "$BUILD/chatd" -k | cut -f 1,3 >"$T/table"
    sed -n 's/^#\([a-z_]*\) = *\(.*\)$/\1\t\2/p' "$ROOT/chatd.conf" >"$T/shipped"
    diff "$T/table" "$T/shipped"
    py - "$T/table" "$ROOT/man/chatd.conf.5" <<'PY'
import re, sys
table = dict(line.rstrip("\n").split("\t") for line in open(sys.argv[1]))
text = open(sys.argv[2]).read()
shown = dict(re.findall(r"^\.It Ic (\w+)\n\.Pq .*default (.*?)(?:, reloadable)?$", text, re.M))
wrong = {k: (shown.get(k), v) for k, v in table.items() if v and shown.get(k, "").strip('"') != v}
assert not wrong and len(shown) > 30, wrong
PY
}

# --- the command line ---

@test "usage errors: status 2, the usage on standard error, nothing on standard output" {
    local arguments
    for arguments in -x --halp -f -o 'chatd.conf' '-t extra' --help=x; do
        # shellcheck disable=SC2086 # several arguments
        run --separate-stderr "$BUILD/chatd" $arguments
        # shellcheck disable=SC2154 # set by run
        echo "$arguments: $status: $output $stderr"
        [[ $status == 2 && -z $output && $stderr == *'usage: chatd [-hiktTV]'* ]]
    done
}

@test "-h and --help: status 0, the usage on standard output; so does migrate" {
    local option
    for option in -h --help; do
        run --separate-stderr "$BUILD/chatd" $option
        [[ $status == 0 && -z $stderr && $output == 'usage: chatd [-hiktTV]'*'--version'* ]]
    done
    # Its -h is the host of psql.
    run --separate-stderr "$ROOT/sql/migrate" --help
    echo "$output"
    [[ $status == 0 && -z $stderr && $output == *'migrate [--role NAME]'*'ROLE_PASSWORD'* ]]
}

@test "-V prints the version, -k the keys with type and default; neither needs a configuration" {
    cd "$T"
    local option
    for option in -V --version; do
        run --separate-stderr env -i LANG=C "$BUILD/chatd" $option
        [[ $status == 0 && $output =~ ^chatd\ [0-9]+\.[0-9.]+$ && -z $stderr ]]
    done
    run --separate-stderr env -i LANG=C "$BUILD/chatd" -k
    [[ $status == 0 && -z $stderr ]]
    [[ " ${lines[*]} " == *$'port\tint\t8080'* && " ${lines[*]} " == *$'jwt_secret\tsecret\t '* ]]
}

@test "broker, auth, signer and exporter, started by hand, say that chatd starts them" {
    local name
    for name in chatd-broker chatd-auth chatd-signer chatd-exporter; do
        run "$BUILD/$name" 3<&-
        echo "$output"
        [[ $status == 1 && $output == *'is started by chatd, not by hand'* ]]
    done
}
