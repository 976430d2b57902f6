#compdef chatd
# Completion of chatd(8) for zsh: options, files, and the keys of the very chatd that is typed.

_chatd_setting() {
    local -a keys
    if compset -P 1 '(*_file|run_dir)='; then
        _files
    elif compset -P 1 '(user|session_user)='; then
        _users
    else
        keys=(${${(f)"$(_call_program keys $words[1] -k 2>/dev/null)"}%%$'\t'*})
        compadd -S = -a keys
    fi
}

_arguments -s \
    '-f+[configuration file]:file:_files' \
    '(- *)'{-h,--help}'[print the options]' \
    '-i[serve what inetd or systemd hands over]' \
    '(- *)-k[list the configuration keys]' \
    '*-o+[set a configuration key]:key=value:_chatd_setting' \
    '-t[check the configuration]' \
    '-T[check it and the database]' \
    '(- *)'{-V,--version}'[print the version]'
