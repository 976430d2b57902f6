# tests/ws_echo for the bats files: started as the instance "echo" of lib/chat.py and lib/frames.py.
#
#   echo_start      before anything else in setup_file(), or after server_setup_file
#   echo_stop       in teardown_file()

echo_start() {
    export BUILD=${BUILD:-$ROOT/build}
    export T=$BATS_FILE_TMPDIR
    local url
    mkfifo "$T/echo.ready"
    "$BUILD/ws_echo" 0 >"$T/echo.ready" 2>"$T/echo.log" 3>&- &
    echo $! >"$T/echo.pid"
    disown
    read -r -t 30 url <"$T/echo.ready" || fail "ws_echo did not start: $(<"$T/echo.log")"
    url=${url#ws://}
    echo "${url%/}" >"$T/echo.address"
}

# Sanitizers print what they find when a process ends; nothing else writes there.
echo_stop() {
    kill "$(<"$T/echo.pid")"
    [[ ! -s $T/echo.log ]] || fail "$(<"$T/echo.log")"
}
