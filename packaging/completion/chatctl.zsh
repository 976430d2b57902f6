#compdef chatctl
# Completion of chatctl(8) for zsh: the commands of the very chatctl that is typed, options, files, and
# the keys of chatd.

local -a usage given parts offered
local line at=2

# The commands as the usage lists them.
usage=(${(M)${(f)"$(_call_program usage $words[1] --help 2>/dev/null)"}:#  *})

while ((at < CURRENT)); do
    case $words[at] in
    -f | -o | --owner | --email | --after | --limit | --room | --sql) ((at++)) ;;
    -*) ;;
    *) given+=($words[at]) ;;
    esac
    ((at++))
done

case $words[CURRENT-1] in
-f | --sql)
    _files
    return
    ;;
-o)
    offered=(${${(f)"$(_call_program keys chatd -k 2>/dev/null)"}%%$'\t'*})
    compadd -S = -a offered
    return
    ;;
--owner | --email | --after | --limit | --room) return 1 ;;
esac

if [[ $PREFIX == -* ]]; then
    offered=(${(u)${(M)${=${usage//[\[\]]/ }}:#--*}} -f -j -o -V --json --help --version --owner)
else
    for line in $usage; do
        parts=(${=${line[1,52]}})
        if (($#given == 0)); then
            offered+=($parts[1])
        elif (($#given == 1)) && [[ $parts[1] == $given[1] && $parts[2] =~ '^[a-z]+$' ]]; then
            offered+=($parts[2])
        fi
    done
fi
compadd -a offered
