"""chatctl against running servers, and its socket by hand.

    code, out, err = ctl("main", "who", "alice")     # on an instance of server.bash, or of Server
    rows = asked("main", "who")                      # the JSON of one that succeeds
    lines = told("main", "status")                   # what the socket itself answers
"""
from server import *

CTL = f"{BUILD}/chatctl"


def ctl(name, *words, env=None, **how):
    p = subprocess.run([CTL, *options(name), "-j", *words], capture_output=True, text=True,
                       env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, timeout=60, **how)
    return p.returncode, p.stdout, p.stderr


def asked(name, *words):
    code, out, err = ctl(name, *words)
    assert code == 0 and not err, (words, code, out, err)
    return json.loads(out)


def sockets(name):
    """The control sockets that are there."""
    folder = f"{T}/{name}.run"
    return sorted(f"{folder}/{f}" for f in os.listdir(folder) if f.startswith("control."))


def call(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(WAIT * 4)
    s.connect(path)
    return s


def rest(s):
    got = b""
    try:
        while part := s.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    return got


def told(name, request):
    s = call(sockets(name)[0])
    with contextlib.suppress(OSError):    # it may be refused already
        s.sendall(request if isinstance(request, bytes) else f"{request}\n".encode())
        s.shutdown(socket.SHUT_WR)
    lines = rest(s).decode().splitlines()
    s.close()
    return lines


def served(name="main"):
    """Proof that the broker answers operators now."""
    lines = told(name, "status")
    assert lines[-1] == "end" and any(line.startswith("broker ") for line in lines), lines
