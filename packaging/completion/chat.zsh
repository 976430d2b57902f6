#compdef chat
# Completion of chat(1) for zsh: the commands of the very chat that is typed, options and files.

local -a usage given parts offered
local line at=2

# The commands as the usage lists them.
usage=(${(M)${(f)"$(_call_program usage $words[1] --help 2>/dev/null)"}:#  *})

while ((at < CURRENT)); do
    case $words[at] in
    -s | --server | --ca-file | --cursor | --email | --history | --limit | --after | --before | --wait) ((at++)) ;;
    -*) ;;
    *) given+=($words[at]) ;;
    esac
    ((at++))
done

case $words[CURRENT-1] in
--ca-file | --cursor)
    _files
    return
    ;;
--history)
    compadd all joined
    return
    ;;
-s | --server | --email | --limit | --after | --before | --wait) return 1 ;;
esac

if [[ $PREFIX == -* ]]; then
    # Those of the command, and those of every one.
    offered=(-s --server --ca-file --json --help --version)
    for line in $usage; do
        parts=(${=${${line[1,74]}//[\[\]|]/ }})
        [[ $parts[1] != ${given[1]:-} ]] || offered+=(${(M)parts:#--*})
    done
else
    for line in $usage; do
        parts=(${=line})
        if (($#given == 0)); then
            offered+=($parts[1])
        elif (($#given == 1)) && [[ $given[1] == group && $parts[1] == group ]]; then
            offered+=($parts[2])
        fi
    done
fi
compadd -a offered
