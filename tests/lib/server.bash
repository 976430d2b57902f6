# For the bats files: real servers on a real PostgreSQL.
#
#   setup_file()    { server_setup_file; server_start; }
#   teardown_file() { server_teardown_file; }
#
# Each file has a database of its own in the cluster that tests/tools/check started, or, when the
# file is run alone, in a cluster that lives as long as the file. BUILD says which executables.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
PATH="$ROOT/tests/lib:$PATH"
export PYTHONPATH="$ROOT/tests/lib" PYTHONDONTWRITEBYTECODE=1

fail() {
    printf '%s\n' "$*" >&2
    return 1
}

# Debian's interpreter: the one that has the packages.
py() {
    /usr/bin/python3 "$@"
}

# Started by root, chatd's processes are other users', who have to reach sockets in these folders.
open_way() {
    local folder=$T
    ((EUID == 0)) || return 0
    while [[ -O $folder && $folder == "$BATS_RUN_TMPDIR"* ]]; do
        chmod a+x "$folder"
        folder=$(dirname "$folder")
    done
}

server_setup_file() {
    export BUILD=${BUILD:-$ROOT/build}
    export T=$BATS_FILE_TMPDIR
    open_way
    if [[ -z ${TEST_CLUSTER:-} ]]; then
        export TEST_CLUSTER=$T/cluster OWN_CLUSTER=1
        mkdir "$TEST_CLUSTER"
        "$ROOT/tests/tools/cluster" start --fast "$TEST_CLUSTER"
    fi
    local line
    while read -r line; do
        export "${line?}"
    done < <("$ROOT/tests/tools/cluster" env "$TEST_CLUSTER")
    DB="t$$_${RANDOM}"
    export DB PGDATABASE=$DB
    psql -qX -d postgres -c "create database $DB"
    head -c 24 /dev/urandom | base64 -w 0 >"$T/db_password"
    head -c 32 /dev/urandom | base64 -w 0 >"$T/jwt_secret"
    chmod 600 "$T/db_password" "$T/jwt_secret"
    ROLE_PASSWORD=$(<"$T/db_password") "$ROOT/sql/migrate" --role "$DB" >/dev/null
}

# server_options NAME: the options that every instance is started with, one a line.
server_options() {
    printf '%s\n' -o mode=development -o port=0 -o "db_host=$PGHOST" -o "db_name=$DB" \
        -o "db_user=$DB" -o "db_password_file=$T/db_password" -o "jwt_secret_file=$T/jwt_secret" \
        -o "run_dir=$T/$1.run" -o bcrypt_cost=4 -o log_level=debug \
        -o presence_debounce=0 -o register_rate=0 -o user=daemon -o session_user=nobody -o admin_listen=
}

# server_start [NAME [-o key=value ...]]: starts an instance on a free port and waits until it is
# ready. Its log is $T/NAME.log; see server_port, server_url, server_pid.
server_start() {
    local name=${1:-main} options line
    shift || true
    mapfile -t options < <(server_options "$name")
    [[ -p $T/$name.ready ]] || mkfifo "$T/$name.ready"
    (
        # In a session of its own: signals for the tests must not reach it, nor its for them.
        exec 8<>"$T/$name.ready" 3>&-
        cd "$T" || exit
        exec setsid "$BUILD/chatd" "${options[@]}" -o ready_fd=8 "$@" \
            >>"$T/$name.log" 2>&1 </dev/null
    ) &
    echo $! >"$T/$name.pid"
    disown
    if ! read -r -t 30 line <>"$T/$name.ready"; then
        cat "$T/$name.log" >&2
        fail "chatd $name did not become ready"
    fi
    line=${line#ready }
    echo "${line%% *}" >"$T/$name.address"
}

server_pid() {
    cat "$T/${1:-main}.pid"
}

server_port() {
    local address
    address=$(<"$T/${1:-main}.address")
    echo "${address##*:}"
}

# shellcheck disable=SC2120 # the test files do give it a name
server_url() {
    echo "http://127.0.0.1:$(server_port "${1:-main}")"
}

# Waits until a process has ended; it need not be a child of this shell.
wait_gone() {
    timeout "${2:-20}" tail --pid="$1" -f /dev/null || fail "process $1 is still there"
}

server_stop() {
    local pid
    pid=$(server_pid "${1:-main}")
    rm -f "$T/${1:-main}.pid"
    kill -TERM "$pid" 2>/dev/null || return 0
    wait_gone "$pid"
}

# The processes of an instance below its master, with their titles: "PID TITLE" a line.
server_children() {
    ps -o pid=,args= --ppid "$(server_pid "${1:-main}")"
}

# server_child TITLE [NAME]: pids of the children whose title starts so.
server_child() {
    server_children "${2:-main}" | awk -v t="chatd: $1" '{p=$1; sub(/^ *[0-9]+ /, ""); if (index($0, t) == 1) print p}'
}

server_teardown_file() {
    local pidfile left status=0
    for pidfile in "$T"/*.pid; do
        [[ -e $pidfile ]] || continue
        left=$(basename "$pidfile" .pid)
        server_stop "$left" || status=1
    done
    if grep -hE 'AddressSanitizer|LeakSanitizer|runtime error' "$T"/*.log >&2; then
        cat "$T"/*.log >&2
        status=1
    fi
    # A call that a process needs and must not make; which one, the kernel's log may say (dmesg).
    if [[ -z ${SIGSYS_EXPECTED:-} ]] && grep -h 'killed by signal 31 ' "$T"/*.log >&2; then
        status=1
    fi
    # What the servers have answered is what their descriptions say.
    [[ -z ${DESCRIBED:-} || ! -s $T/answers ]] || py "$ROOT/tests/lib/described.py" "$T/answers" || status=1
    psql -qX -d postgres -c "drop database if exists $DB with (force)" \
        -c "drop role if exists $DB" >/dev/null || status=1
    [[ -z ${OWN_CLUSTER:-} ]] || "$ROOT/tests/tools/cluster" stop "$TEST_CLUSTER"
    return $status
}

# --- asking the server ---

# api METHOD PATH [BODY [TOKEN]] [curl options]: sets $status, $body; headers are in $T/headers.
api() {
    local method=$1 path=$2 data=${3:-} token=${4:-}
    shift $(($# < 4 ? $# : 4))
    local args=(-sS -m 20 -X "$method" -D "$T/headers" -o "$T/body" -w '%{http_code}')
    [[ -z $data ]] || args+=(-H 'Content-Type: application/json' --data-binary "$data")
    [[ -z $token ]] || args+=(-H "Authorization: Bearer $token")
    [[ $method != HEAD ]] || args+=(--head)
    [[ -z ${DESCRIBED:-} ]] || : >"$T/body" # curl leaves it as it is where none comes
    # shellcheck disable=SC2119 # without a name: "main"
    status=$(curl "${args[@]}" "$@" "${BASE:-$(server_url)}$path")
    body=$(<"$T/body")
    keep_answer "$method" "$path" "$status" "$body" "$data"
}

# For described.py, which has the form, in the files that set DESCRIBED. What spans lines is no JSON of
# a server, and is left out.
keep_answer() {
    [[ -n ${DESCRIBED:-} && $* != *[$'\n\t']* && $3 != 000 && ${#4} -lt 65536 ]] || return 0
    printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$T/answers"
}

# The value of a response header of the last api call.
header() {
    tr -d '\r' <"$T/headers" | awk -F': ' -v n="$1" 'tolower($1) == tolower(n) {sub(/^[^:]*: /, ""); print}'
}

# user NAME: registers NAME (password: see password()) and prints a token.
user() {
    api POST /register "{\"username\":\"$1\",\"password\":\"$(password)\",\"email\":\"$1@example.com\"}"
    [[ $status == 201 ]] || fail "register $1: $status $body"
    jq -r .token <<<"$body"
}

# One password for all users of a file, made at run time.
password() {
    [[ -s $T/password ]] || head -c 12 /dev/urandom | base64 -w 0 >"$T/password"
    cat "$T/password"
}

# id_of NAME: the user's id.
id_of() {
    psql -qXAt -c "select id from users where username = '$1'"
}
