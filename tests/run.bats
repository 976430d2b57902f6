#!/usr/bin/env bats
# make run, as somebody at a terminal uses it.

load lib/server

setup_file() {
    export BUILD=${BUILD:-$ROOT/build} T=$BATS_FILE_TMPDIR
    open_way
}

# at_a_terminal WHAT: starts it at a terminal of its own with 30 WebSockets; then WHAT happens.
at_a_terminal() {
    py - "$1" <<'PY'
import atexit, contextlib, os, pty, select, signal, struct, sys, time
from server import *
state = f"{T}/{some_name('r')}"
number, = free_ports()
name = some_name()
set_address(name, f"127.0.0.1:{number}")
pid, terminal = pty.fork()
if pid == 0:
    # As from a login: what started the tests may ignore these, and a shell cannot change that.
    for s in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM:
        signal.signal(s, signal.SIG_DFL)
    os.closerange(3, 256)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    os.execve("/bin/bash", ["bash", "-c", f'"{ROOT}/tests/tools/run"; echo "ended with $?"'],
              {**environment, "STATE": state, "PORT": str(number)})
everybody, postmaster = [pid], None
@atexit.register
def end_everybody():
    for p in [*tree(pid), *everybody, *([postmaster] if postmaster else [])]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, signal.SIGKILL)
said = ""
def read_until(words, patience=120):
    global said
    end = time.monotonic() + patience
    while words not in said:
        assert select.select([terminal], [], [], end - time.monotonic())[0], said
        try:
            part = os.read(terminal, 65536).decode(errors="replace")
        except OSError:     # nobody is at the other end any more
            break
        said += part
    assert words in said, said
read_until("Ctrl-C stops it")
u = user(instance=name)
clients = [connect(u.token, name) for _ in range(30)]
everybody = [pid, *tree(pid)]
postmaster = int(open(f"{state}/pg/postmaster.pid").readline())
if sys.argv[1] == "busy port":
    other = f"{T}/{some_name('r')}"
    p = subprocess.run([f"{ROOT}/tests/tools/run"], env={**os.environ, "STATE": other, "PORT": str(number)},
                       capture_output=True, text=True, timeout=WAIT)
    assert p.returncode == 1 and not os.path.exists(other), p
    assert p.stderr == (f"run: somebody listens on port {number}; stop that, or choose another port: "
                        "make run PORT=8081\n"), p
if sys.argv[1] != "closed":
    os.write(terminal, b"\x03")
if sys.argv[1] == "ctrl-c, closed":
    assert clients.pop().closed() == 1012       # it has begun to stop
if "closed" in sys.argv[1]:
    os.close(terminal)
codes = [c.closed() for c in clients]
assert codes == [1012] * len(clients), codes
if "closed" in sys.argv[1]:
    os.waitpid(pid, 0)
else:
    read_until("ended with 0")
    os.waitpid(pid, 0)
    assert "killed" not in said and " error " not in said, said
all_gone([*everybody, postmaster])
atexit.unregister(end_everybody)
assert not os.path.exists(f"{state}/sock") and os.listdir(f"{state}/chatd") == ["lock"], os.listdir(state)
PY
}

@test "make run, Ctrl-C: 30 WebSockets are closed with 1012, none is killed, and nothing stays behind" {
    at_a_terminal ctrl-c
}

@test "make run, the terminal is closed: the same" {
    at_a_terminal closed
}

@test "make run, Ctrl-C, and the terminal is closed meanwhile: the same" {
    at_a_terminal 'ctrl-c, closed'
}

@test "make run on a port that is used names PORT=, and makes nothing" {
    at_a_terminal 'busy port'
}
