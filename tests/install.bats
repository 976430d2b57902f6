#!/usr/bin/env bats
# What make install puts where, and what is in it; that make uninstall takes just that away; units, completions
# and examples. The package is for tests/tools/check-deb.
#
# Once: nothing of it depends on how the programs were built.
# bats file_tags=once

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    export BUILD=${BUILD:-$ROOT/build}
    export T=$BATS_FILE_TMPDIR
    # As an administrator would who has it all below one folder; the units are tried there.
    PREFIX=$T/prefix place install
}

# place TARGET: make, without building anything.
place() {
    unset MAKEFLAGS MFLAGS MAKELEVEL
    make -s -C "$ROOT" BUILD="$BUILD" -o all "$@" 3>&-
}

# Everything below a folder, with modes.
listing() {
    (cd "$1" && find . -printf '%p %y %m\n' | sort)
}

# --- install and uninstall ---

@test "uninstall takes away what install has put there, and nothing else" {
    local root=$T/root
    mkdir -p "$root"/usr/local/{sbin,bin,etc,share/man/man8,share/doc/other,lib/systemd/system}
    touch "$root/usr/local/sbin/other" "$root/usr/local/lib/systemd/system/other.service"
    # Folders that are there before stay, even empty; new ones that are not chatd's alone do, too.
    place install DESTDIR="$root"
    place uninstall DESTDIR="$root"
    listing "$root" >"$T/before"
    run ! grep chatd "$T/before"
    (($(grep -c ' f ' "$T/before") == 2))
    grep -q '^./usr/local/sbin/other f' "$T/before"
    grep -q '^./usr/local/share/doc/other d' "$T/before"
    place install DESTDIR="$root"
    (($(find "$root" -type f | wc -l) > 40))
    place uninstall DESTDIR="$root"
    listing "$root" | diff "$T/before" -
    # Where nothing is installed there is nothing to take away.
    place uninstall DESTDIR="$root"
    listing "$root" | diff "$T/before" -
}

@test "every program, page, migration, unit, completion and example of the tree is installed" {
    local file name
    {
        sed -n 's/^PROGRAMS := //p' "$ROOT/Makefile" | grep -o 'chat[a-z-]*' | sed 's|^|sbin/|'
        echo bin/chat
        for file in "$ROOT"/man/*; do echo "share/man/man${file##*.}/${file##*/}"; done
        for file in "$ROOT"/sql/[0-9]* "$ROOT"/sql/migrate; do echo "share/chatd/sql/${file##*/}"; done
        printf 'share/chatd/%s\n' chatd.js chatd.d.ts openapi.json asyncapi.json
        for file in "$ROOT"/packaging/systemd/*; do echo "lib/systemd/system/${file##*/}"; done
        for file in "$ROOT"/packaging/examples/*; do echo "share/doc/chatd/examples/${file##*/}"; done
        for file in "$ROOT"/packaging/completion/*; do
            name=${file##*/}
            case $name in
            *.bash) echo "share/bash-completion/completions/${name%.bash}" ;;
            *.zsh) echo "share/zsh/site-functions/_${name%.zsh}" ;;
            *) fail "$file: for which shell?" ;;
            esac
        done
        for file in "$ROOT"/packaging/{prometheus,grafana}/*; do echo "share/chatd/${file#*/packaging/}"; done
        printf '%s\n' etc/chatd.conf lib/sysusers.d/chatd.conf lib/tmpfiles.d/chatd.conf
    } | sort >"$T/expected"
    (($(wc -l <"$T/expected") > 40))
    (cd "$T/prefix" && find . -type f | sed 's|^\./||' | sort) | diff "$T/expected" -
    [[ -x $T/prefix/sbin/chatd && -x $T/prefix/share/chatd/sql/migrate ]]
    [[ $(stat -c %a "$T/prefix/etc/chatd" "$T/prefix/etc/chatd.conf" | tr '\n' ' ') == '700 644 ' ]]
}

@test "below /usr/local the texts are those of the tree" {
    local file
    place install DESTDIR="$T/default"
    for file in man/chatd.8:share/man/man8 packaging/systemd/chatd.service:lib/systemd/system \
        packaging/examples/inetd.conf:share/doc/chatd/examples chatd.conf:etc; do
        cmp "$ROOT/${file%:*}" "$T/default/usr/local/${file#*:}/$(basename "${file%:*}")"
    done
}

@test "elsewhere no file names /usr/local, or DESTDIR; each path that one names is installed" {
    local path
    place install DESTDIR="$T/dest" PREFIX=/opt/chat
    run grep -rIE '/usr/local|@[a-z]+@|'"$T" "$T/dest"
    echo "$output"
    [[ $status == 1 ]]
    grep -rhoIE '/opt/chat[^ )"]*' "$T/dest" | sed 's/[.,]$//' | sort -u >"$T/named"
    (($(wc -l <"$T/named") >= 8))
    while read -r path; do
        [[ -e $T/dest$path ]] || fail "$path is named, and not there"
    done <"$T/named"
    grep -q '^ExecStart=/opt/chat/sbin/chatd -f /opt/chat/etc/chatd.conf$' "$T/dest/opt/chat/lib/systemd/system/chatd.service"
}

@test "each kind of file goes where its variable says; for PREFIX=/usr the configuration is in /etc" {
    local name files
    declare -A has=([sbindir]=chatd [bindir]=chat [sysconfdir]=chatd.conf [datadir]=chatd/sql/migrate [mandir]=man8/chatd.8
        [docdir]=examples/inetd.conf [unitdir]=chatd.socket [sysusersdir]=chatd.conf [tmpfilesdir]=chatd.conf
        [bashcompdir]=chatd [zshcompdir]=_chatd)
    place install DESTDIR="$T/places" $(for name in "${!has[@]}"; do echo "$name=/p/$name"; done)
    for name in "${!has[@]}"; do
        [[ -s $T/places/p/$name/${has[$name]} ]] || fail "$name"
    done
    [[ $(ls "$T/places") == p && $(ls "$T/places/p" | wc -l) == "${#has[@]}" ]]
    grep -q '/p/sbindir/chatd -f /p/sysconfdir/chatd.conf' "$T/places/p/unitdir/chatd.service"
    grep -q '^d /p/sysconfdir/chatd 0700' "$T/places/p/tmpfilesdir/chatd.conf"
    place install DESTDIR="$T/usr" PREFIX=/usr
    [[ -s $T/usr/etc/chatd.conf && -x $T/usr/usr/sbin/chatd && ! -e $T/usr/usr/etc ]]
    for name in /usr\ local relative '/a%b'; do
        run place install DESTDIR="$T/bad" PREFIX="$name"
        echo "$output"
        [[ $status != 0 && $output == *"sbindir is \"$name/sbin\""* && ! -e $T/bad ]]
    done
}

@test "a configuration that was changed is kept by install and uninstall, and so are the secrets" {
    local etc=$T/kept/usr/local/etc
    place install DESTDIR="$T/kept"
    echo '# mine' >>"$etc/chatd.conf"
    echo secret >"$etc/chatd/jwt_secret"
    cp "$etc/chatd.conf" "$T/mine"
    run place install DESTDIR="$T/kept"
    [[ $status == 0 && $output == *"KEEP  $etc/chatd.conf"* ]]
    cmp "$T/mine" "$etc/chatd.conf"
    run place uninstall DESTDIR="$T/kept"
    [[ $status == 0 && $output == *"KEEP  $etc/chatd.conf"*"KEEP  $etc/chatd"* ]]
    cmp "$T/mine" "$etc/chatd.conf"
    [[ $(<"$etc/chatd/jwt_secret") == secret ]]
    (($(find "$T/kept" -type f | wc -l) == 2))
}

@test "a version has one number: the package's is that of the program" {
    [[ $(sed -n '1s/.*(\(.*\)).*/chatd \1/p' "$ROOT/packaging/debian/changelog") == "$("$BUILD/chatd" -V)" ]]
}

# --- systemd ---

@test "systemd-analyze finds nothing wrong with the units" {
    local units=("$T"/prefix/lib/systemd/system/chatd{.service,.socket,@.service})
    run systemd-analyze verify --man=no "${units[@]}"
    echo "$output"
    [[ $status == 0 && -z $output ]]
    # It would say so.
    sed 's/^Restart=.*/Restart=perhaps/' "${units[0]}" >"$T/chatd.service"
    run systemd-analyze verify --man=no "$T/chatd.service"
    [[ $output == *perhaps* ]]
}

@test "systemd-analyze security gives chatd.service and chatd@.service at most 2.9" {
    local unit
    for unit in chatd.service chatd@.service; do
        run systemd-analyze security --offline=true --no-pager --threshold=29 "$T/prefix/lib/systemd/system/$unit"
        echo "$output"
        ((status == 0))
    done
}

@test "chatd@.service confines what it starts as chatd.service does" {
    local unit
    for unit in chatd chatd@; do
        sed -n '/^CapabilityBoundingSet=/,/^SystemCallErrorNumber=/p' "$ROOT/packaging/systemd/$unit.service" |
            grep -v '^#' >"$T/$unit.confines"
    done
    (($(wc -l <"$T/chatd.confines") > 20))
    diff "$T/chatd.confines" "$T/chatd@.confines"
}

@test "each unit says what it is; chatd.service waits for the network and comes back, chatd.socket listens on loopback" {
    local unit folder=$T/prefix/lib/systemd/system address
    for unit in "$folder"/*; do
        grep -qE '^Description=.' "$unit" || fail "$unit has no description"
    done
    grep -qE '^After=(.* )?network\.target( |$)' "$folder/chatd.service"
    grep -qxF 'Restart=on-failure' "$folder/chatd.service"
    sed -n 's/^ListenStream=//p' "$folder/chatd.socket" >"$T/listens"
    (($(wc -l <"$T/listens") >= 1))
    while read -r address; do
        [[ $address =~ ^(127\.[0-9.]+|\[::1\]):[0-9]+$ ]] || fail "chatd.socket listens on $address"
    done <"$T/listens"
}

# unit_command KEY: what systemd runs, for a shell that has MAINPID.
unit_command() {
    sed -n "s/^$1=//p" "$T/prefix/lib/systemd/system/chatd.service"
}

@test "ExecStop= waits until the main process has ended, whoever its parent is; ExecReload= sends SIGHUP" {
    local line
    heard() {
        read -r -t 60 line <&6 && [[ $line == "$1" ]] || fail "\"$line\", not \"$1\""
    }
    mkfifo "$T/said" "$T/told"
    exec 6<>"$T/said" 7<>"$T/told"
    # Like a server that takes its time to end; its parent sees to it at once, as systemd does.
    cat >"$T/main" <<'END'
trap 'echo HUP' HUP
trap 'echo TERM; read -r _ <"$2"; kill "$!"; echo ended; exit' TERM
echo "$$" >"$1"
sleep infinity >/dev/null &
echo ready
while :; do wait; done
END
    bash -c 'bash "$@" & wait' _ "$T/main" "$T/main.pid" "$T/told" >"$T/said" 3>&- &
    heard ready
    MAINPID=$(<"$T/main.pid")
    export MAINPID
    bash -c "$(unit_command ExecReload)"
    heard HUP
    { bash -c "$(unit_command ExecStop)" && echo stopped; } >"$T/said" 3>&- &
    heard TERM
    # It waits, or has ended already, which is heard first.
    until pgrep -xf "tail --pid=$MAINPID .*" || ! kill -0 "$!"; do
        sleep 0.1
    done
    echo end >&7
    heard ended
    heard stopped
    run ! kill -0 "$MAINPID"
    # Nobody is there any more, or ever was.
    bash -c "$(unit_command ExecStop)"
    MAINPID='' bash -c "$(unit_command ExecStop)"
}

@test "sysusers and tmpfiles are what systemd reads: a user, and folders of root alone" {
    local root=$T/systemd
    mkdir -p "$root/etc"
    systemd-sysusers --root="$root" "$T/prefix/lib/sysusers.d/chatd.conf"
    grep -E '^chatd:.*:/usr/sbin/nologin$' "$root/etc/passwd"
    echo "root:x:0:0::/root:/bin/sh" >>"$root/etc/passwd"
    echo "root:x:0:" >>"$root/etc/group"
    # An ordinary user cannot give files to root, but systemd-tmpfiles can be asked to read them.
    sed 's/ root root -$/ - - -/' "$T/prefix/lib/tmpfiles.d/chatd.conf" | systemd-tmpfiles --root="$root" --create -
    [[ $(stat -c %a "$root/run/chatd" "$root$T/prefix/etc/chatd" | tr '\n' ' ') == '700 700 ' ]]
}

# --- manual and examples ---

@test "installed manual pages are clean under mandoc -Tlint, and name the units where they are" {
    run mandoc -Tlint -Wwarning "$T"/prefix/share/man/man?/*
    echo "$output"
    [[ $status == 0 && -z $output ]]
    grep -q "^\.It Pa $T/prefix/lib/systemd/system/chatd.service , chatd.socket , chatd@.service$" "$T/prefix/share/man/man8/chatd.8"
}

@test "what chatd(8) shows of inetd.conf, haproxy.cfg and nginx.conf are lines of the examples" {
    py - "$ROOT" <<'PY'
import re, sys
root = sys.argv[1]
page = open(f"{root}/man/chatd.8").read()
blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page, re.M | re.S)

def lines(text):
    return [x.strip() for x in text.splitlines() if x.strip() and not x.startswith("#")]

def shown(mark):
    return lines(next(b for b in blocks if mark in b).split("\n\n")[-1])
for name, mark in (("inetd.conf", " nowait "), ("haproxy.cfg", "# haproxy.cfg"), ("nginx.conf", "# nginx.conf")):
    text = "\n".join(lines(open(f"{root}/packaging/examples/{name}").read()))
    part = "\n".join(shown(mark))
    assert len(part.splitlines()) >= 2 and part in text, (name, part)
PY
}

# --- completion ---

# bash_offers WORD…: what bash offers for the last one. "=" is a word of its own, as readline has it.
bash_offers() {
    bash -c '
        . "$1"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        last=${COMP_WORDS[COMP_CWORD]}
        _chatd "$1" "${last#=}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf "%s\n" "${COMPREPLY[@]}"' _ "$T/prefix/share/bash-completion/completions/chatd" "$@"
}

@test "bash completes options, keys of the configuration, and files where a value is one" {
    local chatd=$T/prefix/sbin/chatd
    cd "$T"
    touch completed.conf
    [[ $(bash_offers "$chatd" -) == $'-f\n-h\n-i\n-k\n-o\n-t\n-T\n-V\n--help\n--version' ]]
    diff <(bash_offers "$chatd" -o '') <("$chatd" -k | cut -f 1 | sed 's/$/=/')
    [[ $(bash_offers "$chatd" -t -o db_pass) == $'db_password=\ndb_password_file=' ]]
    [[ $(bash_offers "$chatd" -tf comp) == completed.conf ]]
    [[ $(bash_offers "$chatd" -o jwt_secret_file = comp) == completed.conf ]]
    [[ $(bash_offers "$chatd" -o jwt_secret_file =) == *completed.conf* ]]
    [[ $(bash_offers "$chatd" -o user = roo) == root ]]
    [[ -z $(bash_offers "$chatd" -o port = 8) ]]
}

# zsh_offers LINE: the line after a tab, as its editor shows it.
zsh_offers() {
    timeout -k 5 120 zsh -f -c '
        zmodload zsh/zpty
        zpty editor "zsh -f -i"
        say() { zpty -w editor "$1" }
        say "PROMPT= RPROMPT=; unsetopt zle_bracketed_paste 2>/dev/null; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
        say "show() { print -r -- \"<<\$BUFFER>>\"; BUFFER=; }; zle -N show; bindkey ^T show; print prepa\"\"red"
        zpty -r editor seen "*prepared*"
        zpty -w -n editor "$2"$'"'\t\x14'"'
        zpty -r editor seen "*<<*>>*"
        print -r -- "$seen" | grep -o "<<.*>>"' _ "$T/prefix/share/zsh/site-functions" "$1"
}

@test "zsh completes options, keys of the configuration, and files where a value is one" {
    cd "$T"
    touch filled.conf
    PATH="$T/prefix/sbin:$PATH"
    zsh_offers 'chatd -t -o websocket_de' | tee "$T/zsh"
    grep -qF '<<chatd -t -o websocket_deflate=' "$T/zsh"
    zsh_offers 'chatd -f fill' | grep -F '<<chatd -f filled.conf'
    zsh_offers 'chatd -o jwt_secret_file=fill' | grep -F '<<chatd -o jwt_secret_file=filled.conf'
    zsh_offers 'chatd --vers' | grep -F '<<chatd --version'
}

@test "zsh completes the commands, options, files and keys of chatctl and chat" {
    cd "$T"
    touch filled.conf
    PATH="$T/prefix/sbin:$T/prefix/bin:$PATH"
    zsh_offers 'chatctl restor' | grep -F '<<chatctl restored '
    zsh_offers 'chatctl -j room sh' | grep -F '<<chatctl -j room show '
    zsh_offers 'chatctl user delete --conv' | grep -F '<<chatctl user delete --conversations '
    zsh_offers 'chatctl -f fill' | grep -F '<<chatctl -f filled.conf '
    zsh_offers 'chatctl -o run_d' | grep -F '<<chatctl -o run_dir='
    zsh_offers 'chat -s http://localhost whoa' | grep -F '<<chat -s http://localhost whoami '
    zsh_offers 'chat group inv' | grep -F '<<chat group invite '
    zsh_offers 'chat send --li' | grep -F '<<chat send --lines '
    zsh_offers 'chat tail --cursor fill' | grep -F '<<chat tail --cursor filled.conf '
    zsh_offers 'chat group create --history jo' | grep -F '<<chat group create --history joined '
}

@test "completions pass over the values of just those options that take one in the programs" {
    py - "$ROOT" <<'PY'
import re, sys
root = sys.argv[1]
for program, source in ("chatctl", "src/ctl/main.c"), ("chat", "src/client/main.c"):
    valued = {f"--{o}" for o in re.findall(r'\{"([a-z-]+)", required_argument', open(f"{root}/{source}").read())}
    assert len(valued) > 5, valued
    for shell in "bash", "zsh":
        skipped = re.search(r"^ +(-.*)\) \(\((?:\+\+at|at\+\+)\)\) ;;$", open(f"{root}/packaging/completion/{program}.{shell}").read(), re.M)[1]
        assert valued == {o for o in skipped.split(" | ") if o.startswith("--")}, (program, shell, valued, skipped)
PY
}
