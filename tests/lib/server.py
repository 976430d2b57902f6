"""Servers that a test starts itself: for their command line, their output and their end.

    with Server("-o", "min_spare=1") as s:   # ready when this returns; a name of its own
        connect(token, s.name)               # as an instance of server.bash
        s.kill(signal.SIGTERM)
        assert s.ended() == 0                # waits; the exit status
    status, output = chatd("-t")             # a chatd that is expected to end by itself

What is left of it at the end of the block is killed.
"""
import contextlib
import select
import signal
import stat

from chat import *

BUILD = os.environ["BUILD"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHATD = f"{BUILD}/chatd"
SECRETS = ["-o", f"db_password_file={T}/db_password", "-o", f"jwt_secret_file={T}/jwt_secret"]


def options(name):
    """What server.bash starts an instance with, but for the secrets."""
    pairs = {"mode": "development", "port": 0, "db_host": os.environ["PGHOST"],
             "db_name": os.environ["DB"], "db_user": os.environ["DB"], "run_dir": f"{T}/{name}.run",
             "bcrypt_cost": 4, "log_level": "debug", "db_readers": 1, "auth_workers": 1,
             "presence": "off", "presence_debounce": 0, "register_rate": 0,
             "user": "daemon", "session_user": "nobody", "admin_listen": ""}
    return [a for k, v in pairs.items() for a in ("-o", f"{k}={v}")]


def broker_socket(name="main"):
    """Where the sessions of an instance find their broker."""
    with open(f"{T}/{name}.pid") as f:
        return f"{T}/{name}.run/tree.{f.read().strip()}/broker.sock"


def notify_socket(address=None):
    """What NOTIFY_SOCKET names, and the socket; an address that begins with @ is abstract."""
    address = address or f"{T}/{some_name('n')}"
    n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    n.bind(address.replace("@", "\0"))
    n.settimeout(WAIT)
    return address, n


def some_name(prefix="s"):
    return f"{prefix}{random.randrange(16**8):08x}"


def parents():
    """Of every process: pid -> (parent, title)."""
    out = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in out.stdout.splitlines()]
    return {int(r[0]): (int(r[1]), r[2] if len(r) > 2 else "") for r in rows}


def tree(root):
    """pid -> title of all that descend from a process, without itself."""
    everybody = parents()
    found, last = {root}, 0
    while len(found) != last:
        last = len(found)
        found |= {pid for pid, (parent, _) in everybody.items() if parent in found}
    return {pid: everybody[pid][1] for pid in found if pid != root and pid in everybody}


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_gone(pids):
    eventually(lambda: not any(alive(p) for p in pids))


def regions(pid):
    """The readable memory of a process."""
    for line in open(f"/proc/{pid}/maps"):
        place, mode, _, _, _, *name = line.split()
        start, end = (int(x, 16) for x in place.split("-"))
        # The shadow of a sanitizer is terabytes of nothing.
        if mode[0] == "r" and end - start < 1 << 28 and name not in (["[vvar]"], ["[vsyscall]"]):
            yield start, end

def holds(pid, needles):
    """Which of these bytes are in the memory of a process. Parts count: free(3) overwrites a
    beginning."""
    whole = {n: n if isinstance(n, bytes) else n.encode() for n in needles}
    parts = {n: (b[:16], b[-16:]) for n, b in whole.items()}
    found = set()
    with open(f"/proc/{pid}/mem", "rb", 0) as f:
        for start, end in regions(pid):
            f.seek(start)
            try:
                data = f.read(end - start)
            except OSError:
                continue
            found |= {n for n in needles if any(p in data for p in parts[n])}
    return found


_kept = []


def free_ports(count=1):
    """Ports that stay free until they are used: none of those that the kernel gives away by itself,
    and none that another test was given. Each is kept by a name that this process has for as long
    as it lives, as wide as its network."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first, last = map(int, f.read().split())
    outside = max(range(1024, first), range(last + 1, 65536), key=len)
    ports = []
    while len(ports) < count:
        number = random.choice(outside)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0chatd test, port {number}")
            socket.create_server(("127.0.0.1", number)).close()
        except OSError:     # another test's, or somebody listens
            name.close()
            continue
        _kept.append(name)
        ports.append(number)
    return ports


def set_address(name, address):
    """Makes connect() and api() find an instance that was started otherwise."""
    with open(f"{T}/{name}.address", "w") as f:
        f.write(f"{address}\n")


def unread(client):
    """How many bytes are on their way between a TCP client and the server on this machine: sent by
    one and not read by the other."""
    end = "%04X" % client.getsockname()[1]
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    rows = [r for r in rows if end in (r[1].split(":")[1], r[2].split(":")[1])]
    assert len(rows) >= 2, rows
    return sum(int(n, 16) for r in rows for n in r[4].split(":"))


class Process:
    """Any program in a session of its own, with a log; whatever is left of it is killed."""

    def __init__(self, command, name=None, env=None, cwd=None, pass_fds=()):
        self.name = name or some_name()
        self.logfile = f"{T}/{self.name}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        environment.update(env or {})
        with open(self.logfile, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment, cwd=cwd or T,
                                            pass_fds=pass_fds, start_new_session=True)
        self.pid = self.process.pid
        self.known = set()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.known |= set(self.tree()) if self.process.poll() is None else set()
        if kind:
            sys.stderr.write(self.log())
        self.process.terminate()
        try:
            self.process.wait(WAIT)
            all_gone(self.known)
        finally:
            self.process.kill()
            self.process.wait()
            for pid in self.known:
                if alive(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def tree(self):
        found = tree(self.pid)
        self.known |= set(found)
        return found

    def log(self):
        with open(self.logfile, errors="replace") as f:
            return f.read()

    def logged(self, text, timeout=WAIT):
        eventually(lambda: text in self.log(), timeout)

    def kill(self, number):
        os.kill(self.pid, number)

    def ended(self, timeout=30):
        return self.process.wait(timeout)


class Server(Process):
    """chatd, ready. secrets: how it gets them; None: by the files of the tests."""

    def __init__(self, *more, name=None, secrets=None, env=None, cwd=None, program=(),
                 pass_fds=(), chatd=CHATD):
        name = name or some_name()
        ready, theirs = os.pipe()
        command = [*program, chatd, *options(name), *(SECRETS if secrets is None else secrets),
                   "-o", f"ready_fd={theirs}", *more]
        super().__init__(command, name, env, cwd, (theirs, *pass_fds))
        os.close(theirs)
        line = b""
        while not line.endswith(b"\n") and select.select([ready], [], [], 30)[0]:
            part = os.read(ready, 1000)
            if not part:
                break
            line += part
        os.close(ready)
        if not line.startswith(b"ready "):
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"not ready: {line!r}\n{self.log()}")
        self.addresses = line.decode().split()[1:]
        set_address(name, self.addresses[0])
        with open(f"{T}/{name}.run.pid", "w") as f:
            f.write(f"{self.pid}\n")
        os.rename(f"{T}/{name}.run.pid", f"{T}/{name}.pid")

    def __exit__(self, *how):
        super().__exit__(*how)
        os.unlink(f"{T}/{self.name}.pid")

    def children(self, title=""):
        return children(title, self.name)


def handed(listener, name=""):
    """How to start a Server that is handed this socket, as systemd does it."""
    number = listener.fileno()
    script = f'export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}; exec "$@" 3<&{number}'
    return {"program": ["bash", "-c", script, "bash"], "pass_fds": (number,)}


def chatd(*args, env=None, cwd=None):
    """Runs chatd to its end; returns (status, output)."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    environment.update(env or {})
    p = subprocess.Popen([CHATD, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, env=environment, cwd=cwd or T)
    try:
        output = p.communicate(timeout=WAIT)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        p.terminate()
        output = p.communicate()[0].decode(errors="replace")
        raise AssertionError(f"chatd {' '.join(args)} started:\n{output}") from None
    return p.returncode, output


def refused(*args, **how):
    """The output of a chatd that does not start."""
    status, output = chatd(*args, **how)
    assert status == 1, (status, output)
    return output
