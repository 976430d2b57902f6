# Completion of chatd(8) for bash: options, files, and the keys of the very chatd that is typed.

_chatd_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# In COMP_WORDS key=value is three words.
_chatd_value() {
    case $1 in
    *_file | run_dir) _chatd_files "$2" ;;
    user | session_user) mapfile -t COMPREPLY < <(compgen -u -- "$2") ;;
    esac
}

_chatd() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [[ $word == = ]]; then
        _chatd_value "$before" ''
    elif [[ $before == = ]]; then
        _chatd_value "${COMP_WORDS[COMP_CWORD - 2]}" "$word"
    elif [[ $before == -*f ]]; then
        _chatd_files "$word"
    elif [[ $before == -*o ]]; then
        compopt -o nospace 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -S = -W "$("$1" -k 2>/dev/null | cut -f 1)" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W '-f -h -i -k -o -t -T -V --help --version' -- "$word")
    fi
}

complete -F _chatd chatd
