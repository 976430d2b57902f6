# Completion of chatctl(8) for bash: the commands of the very chatctl that is typed, options, files,
# and the keys of chatd.

# The commands as the usage lists them: their first words, or the second ones behind $2.
_chatctl_commands() {
    "$1" --help 2>/dev/null | awk -v first="${2:-}" '
        /^  / && first == "" { print $1 }
        /^  / && $1 == first && split(substr($0, 1, 52), w, " ") > 1 && w[2] ~ /^[a-z]+$/ { print w[2] }' | sort -u
}

_chatctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=() at
    COMPREPLY=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
        -f | -o | --owner | --email | --after | --limit | --room | --sql) ((++at)) ;;
        -* | =) ;;
        *) words+=("${COMP_WORDS[at]}") ;;
        esac
    done
    case $before in
    -f | --sql)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    -o)
        compopt -o nospace 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -S = -W "$(chatd -k 2>/dev/null | cut -f 1)" -- "$word")
        return
        ;;
    --owner | --email | --after | --limit | --room) return ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u) -f -j -o -V --json --help --version" -- "$word")
    elif ((${#words[@]} < 2)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_chatctl_commands "$1" "${words[0]:-}")" -- "$word")
    fi
}

complete -F _chatctl chatctl
