# Completion of chat(1) for bash: the commands of the very chat that is typed, options and files.

# The commands as the usage lists them: their first words, or the second ones behind $2.
_chat_commands() {
    "$1" --help 2>/dev/null | awk -v first="${2:-}" '
        /^  / && first == "" { print $1 }
        /^  group / && $1 == first { print $2 }' | sort -u
}

# The options that the usage has for a command, and those of every command.
_chat_options() {
    "$1" --help 2>/dev/null | awk -v first="$2" '/^usage/ || $1 == first { print substr($0, 1, 74) }' |
        grep -oE -- '--[a-z][a-z-]+' | sort -u
    printf '%s\n' -s --server --json --help --version
}

_chat() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=() at
    COMPREPLY=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
        -s | --server | --ca-file | --cursor | --email | --history | --limit | --after | --before | --wait) ((++at)) ;;
        -*) ;;
        *) words+=("${COMP_WORDS[at]}") ;;
        esac
    done
    case $before in
    --ca-file | --cursor)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --history)
        mapfile -t COMPREPLY < <(compgen -W 'all joined' -- "$word")
        return
        ;;
    -s | --server | --email | --limit | --after | --before | --wait) return ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_chat_options "$1" "${words[0]:-}")" -- "$word")
    elif ((${#words[@]} == 0)) || { ((${#words[@]} == 1)) && [[ ${words[0]} == group ]]; }; then
        mapfile -t COMPREPLY < <(compgen -W "$(_chat_commands "$1" "${words[0]:-}")" -- "$word")
    fi
}

complete -F _chat chat
