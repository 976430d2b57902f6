#!/usr/bin/env bats
# The shape of the source and of what is built from it: layers, sizes, comments, hardening, and
# what the other compiler and the checkers of scripts have to say.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    export BUILD=${BUILD:-$ROOT/build}
    export T=$BATS_FILE_TMPDIR
}

# --- layers ---

@test "each folder includes only from the folders below it, and no role another" {
    py - "$ROOT" <<'PY'
import os, re, sys
os.chdir(sys.argv[1] + "/src")
below = {
    "lib": set(),
    "conf": {"lib"}, "ipc": {"lib"}, "wire": {"lib"},
    "tls": set(), "cli": {"lib"},
    "master": {"lib", "conf", "tls"},
    "session": {"lib", "conf", "ipc", "wire", "tls"},
    "broker/core": {"lib", "conf", "ipc"},
    "broker/pg": {"lib", "conf", "ipc", "broker/core"},
    "broker/helpers": {"lib", "conf", "ipc", "broker/core"},
    "broker/accounts": {"lib", "conf", "ipc", "broker/core", "broker/pg", "broker/helpers"},
    "broker/delivery": {"lib", "conf", "ipc", "broker/core", "broker/pg"},
    "broker": {"lib", "conf", "ipc", "broker/core", "broker/pg", "broker/helpers", "broker/accounts", "broker/delivery"},
    "auth": {"lib", "conf", "ipc"},
    "signer": {"lib", "conf", "ipc", "tls"},
    "exporter": {"lib", "conf", "wire"},
    # The command of the operator hashes passwords as an auth worker does.
    "ctl": {"lib", "conf", "ipc", "cli", "auth"},
    "client/core": {"lib", "wire"},
    "client/window": {"lib", "wire", "client/core"},
    "client": {"lib", "wire", "cli", "client/core", "client/window"},
    "": {"lib", "conf", "master", "session"},
}
files = [os.path.join(d, f)[2:] for d, _, names in os.walk(".") for f in names]
odd = [f for f in files if not f.endswith((".c", ".h")) or os.path.dirname(f) not in below]
assert not odd, f"neither C nor in a folder that this test knows: {odd}"
assert set(map(os.path.dirname, files)) == set(below)
# Includes are by bare name, so a name must be there only once.
home = {}
for f in files:
    if f.endswith(".h"):
        assert os.path.basename(f) not in home, f"two headers of one name: {f}"
        home[os.path.basename(f)] = os.path.dirname(f)
wrong, count = [], 0
for f in files:
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', open(f).read(), re.M):
        count += 1
        if name not in home:
            wrong.append(f"{f} includes \"{name}\", which is nowhere in src")
        elif home[name] not in below[os.path.dirname(f)] | {os.path.dirname(f)}:
            wrong.append(f"{f} includes {home[name]}/{name}")
assert count > 100
assert not wrong, "\n".join(wrong)
PY
}

@test "in each folder calls go one way: no file uses a name of one that uses its own" {
    local folder source
    for folder in $(cd "$ROOT/src" && find . -mindepth 1 -type d); do
        for source in "$ROOT/src/$folder"/*.c; do
            source=$(basename "$source" .c)
            nm "$BUILD/$folder/$source.o" | awk -v "file=$source" \
                'NF == 3 && $2 ~ /[A-TV-Z]/ {print "has", $3, file} NF == 2 && $1 == "U" {print "uses", $2, file}'
        done | awk '$1 == "has" {home[$2] = $3} $1 == "uses" {from[NR] = $3; name[NR] = $2}
            END {for (i in from) if (name[i] in home && home[name[i]] != from[i]) print from[i], home[name[i]]}' \
            >"$T/uses"
        cat "$T/uses" >>"$T/all"
        tsort "$T/uses" >"$T/sorted" 2>"$T/loops" || fail "$folder: $(<"$T/loops")"
    done
    (($(sort -u "$T/all" | wc -l) > 100))
}

@test "libraries are included only where they belong: libpq and libjwt in broker, libpq in ctl, libxcrypt in auth, libcurl and ncursesw in client" {
    py - "$ROOT" <<'PY'
import os, re, sys
os.chdir(sys.argv[1] + "/src")
allowed = {"libpq-fe.h": ("broker/", "ctl/owner.", "ctl/init.c"), "jwt.h": ("broker/accounts/token.c",), "crypt.h": ("auth/bcrypt.c",),
           "json-c/": ("wire/", "session/", "client/"), "curl/": ("client/core/", "client/window/calls.c"), "curses.h": ("client/window/screen.c",), "term.h": ("client/window/screen.c",), "zlib.h": ("wire/ws_deflate.c",), "openssl/ssl.h": ("session/tls.c", "session/tls_context.c"),
           "openssl/": ("wire/", "tls/", "signer/", "session/tls.c", "session/tls_context.c", "session/remote_key.", "master/keyring.c",
                        "master/public_keys.c", "broker/accounts/token_keys.c", "ctl/doctor_tls.c")}
wrong, seen = [], set()
for d, _, names in os.walk("."):
    for f in (os.path.join(d, n)[2:] for n in names):
        for name in re.findall(r"^\s*#\s*include\s*<([^>]+)>", open(f).read(), re.M):
            for prefix, places in allowed.items():
                if name.startswith(prefix):
                    seen.add(prefix)
                    if not f.startswith(places):
                        wrong.append(f"{f} includes <{name}>")
assert seen == set(allowed), seen
assert not wrong, wrong
PY
}

@test "every message that a session may send has a handler in the broker, and no other has" {
    py - "$ROOT" <<'PY'
import re, sys
table = open(sys.argv[1] + "/src/ipc/ipc_table.h").read()
table = re.sub(r"/\*.*?\*/", "", table, flags=re.S)
senders = dict(re.findall(r"\bM\(\s*([A-Z_]+)\s*,\s*([A-Z]+)\s*,", table))
served = set(re.findall(r"\[IPC_([A-Z_]+)\]\s*=\s*(?:serve|accounts|me|lists|conversations)_", open(sys.argv[1] + "/src/broker/requests.c").read()))
mine = {name for name, who in senders.items() if who == "SESSION"}
assert len(mine) >= 8 and {"AUTH", "SEND"} <= mine, senders
assert mine == served, mine ^ served
PY
}

# --- text ---

@test "every file in src opens with a comment" {
    py - "$ROOT" <<'PY'
import os, sys
bare = [os.path.join(d, n) for d, _, names in os.walk(sys.argv[1] + "/src") for n in names
        if not open(os.path.join(d, n)).read().startswith("/*")]
assert not bare, bare
PY
}

# Counted: 419, 41, 6 and 15. A file or function that goes beyond does two things.
@test "no file in src has more than 460 lines, no function more than 42; half of them have at most 6, nine in ten 15" {
    py - "$ROOT" <<'PY'
import os, statistics, sys
lengths = {}
for d, _, names in os.walk(sys.argv[1] + "/src"):
    for n in (n for n in names if n.endswith(".c")):
        path, start = os.path.join(d, n), None
        lines = open(path).read().splitlines()
        assert len(lines) <= 460, (path, len(lines))
        for number, line in enumerate(lines, 1):
            # clang-format puts a function's braces, and no others, in the first column.
            if line == "{":
                start = number
            elif line == "}" and start:
                lengths[f"{path}:{start}"] = number - start - 1
                start = None
        assert start is None, path
assert len(lengths) > 1000, len(lengths)
long = {k: v for k, v in lengths.items() if v > 42}
assert not long, long
shares = statistics.quantiles(lengths.values(), n=10)
assert shares[4] <= 6 and shares[8] <= 15, shares
PY
}

@test "src is formatted as .clang-format says, where clang-format is installed; no line has blanks at its end" {
    if command -v clang-format >/dev/null; then
        find "$ROOT/src" "$ROOT/tests/unit" -name '*.[ch]' -exec clang-format --dry-run -Werror {} +
    fi
    run grep -rnIE '[[:blank:]]$' "$ROOT"/{src,web,sql,tests,man,packaging,Makefile,chatd.conf} --include='*' --exclude-dir={__pycache__,corpus,regressions}
    echo "$output"
    [[ $status == 1 ]]
}

@test "nothing is left to do: no marks for later in the tree" {
    # In two parts, lest this line finds itself.
    run grep -rnIwE 'TO''DO|FIX''ME|X''XX' "$ROOT"/{src,web,sql,tests,man,packaging,Makefile,chatd.conf,.ci}
    echo "$output"
    [[ $status == 1 ]]
}

@test "what fuzzers, merges and crashes leave where they were run is not in the tree" {
    run find "$ROOT" \( -name .git -o -path "$ROOT/build" \) -prune -o -type f -regextype posix-extended \
        -regex '.*/((slow-unit|crash|leak|oom|timeout)-[0-9a-f]+|.*\.(orig|rej)|core(\.[0-9]+)?)' -print
    echo "$output"
    [[ $status == 0 && -z $output ]]
}

# --- what is built ---

is_sanitized() {
    nm "$BUILD/chatd" | grep -q __asan_init
}

@test "the programs are position-independent, bind at start, and have no executable stack" {
    local program
    for program in chatd chatd-broker chatd-auth chatd-signer chatd-exporter chatctl chat; do
        echo "$program"
        readelf -hW "$BUILD/$program" | grep -E 'Type: +DYN'
        readelf -dW "$BUILD/$program" >"$T/dynamic"
        grep -E 'FLAGS_1.*NOW PIE' "$T/dynamic"
        grep -w BIND_NOW "$T/dynamic"
        if grep -wE 'TEXTREL|RPATH|RUNPATH' "$T/dynamic"; then fail "$program"; fi
        readelf -lW "$BUILD/$program" >"$T/segments"
        grep -w GNU_RELRO "$T/segments"
        grep -w GNU_STACK "$T/segments" | grep -w RW
        if grep -wE 'RWE' "$T/segments"; then fail "$program: writable and executable"; fi
    done
}

@test "the programs carry stack protectors and fortified functions; a sanitizer build its checks instead" {
    local program
    for program in chatd chatd-broker chatd-auth chatd-signer chatd-exporter chatctl chat; do
        nm -D "$BUILD/$program" >"$T/symbols"
        if is_sanitized; then
            grep -w __asan_init "$T/symbols"
            grep __ubsan_handle "$T/symbols"
        else
            grep -w __stack_chk_fail "$T/symbols"
            grep -vw __stack_chk_fail "$T/symbols" | grep -E '__[a-z]+_chk'
        fi
    done
}

@test "every object is built for control-flow enforcement" {
    local object count=0
    # The C library's own start files have no such note, so the linker drops it from the programs.
    while read -r object; do
        readelf -nW "$object" | grep -q 'x86 feature:.*IBT.*SHSTK' || fail "$object"
        count=$((count + 1))
    done < <(find "$BUILD"/{lib,conf,ipc,wire,tls,cli,master,session,broker,auth,signer,exporter,ctl,client} -name '*.o')
    ((count > 30))
}

@test "clang builds everything with the same warnings, and finds none" {
    unset MAKEFLAGS MFLAGS MAKELEVEL SANITIZE
    run make -s -j2 -C "$ROOT" BUILD="$T/clang" CC=clang all
    echo "$output"
    [[ $status == 0 && $output != *warning:* ]]
    [[ -x $T/clang/chatd && -x $T/clang/chatd-broker && -x $T/clang/chatd-auth && -x $T/clang/chatd-signer && -x $T/clang/chatd-exporter && -x $T/clang/chatctl && -x $T/clang/chat ]]
    rm -rf "$T/clang"
}
