"""The scene: two PostgreSQL clusters, and hosts, each a chatd with a network of its own to both.

All that runs is a child of this process, or ends up as one, and carries the shim (shim.c) with a
control file per host and cluster; keeper.py ends what is left when this process has gone.
"""
import asyncio
import contextlib
import ctypes
import os
import secrets
import select
import signal
import struct
import subprocess
import sys

import keeper
from doors import Door
from preload import preloaded

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("BUILD") or f"{ROOT}/build")
CLUSTER = f"{ROOT}/tests/tools/cluster"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

libc = ctypes.CDLL(None)


def prctl(option, value):
    libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def state_of(pid):
    """R, S, T, Z … or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    return state_of(pid) not in (None, "Z")


def children_of(pid):
    """pid -> title."""
    out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return {int(p): title for p, _, title in (line.strip().partition(" ") for line in out.splitlines())}


def kill(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def until(what, seconds, name):
    """Waits for what no event announces."""
    for _ in range(int(seconds * 50)):
        if what():
            return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"{name}: not within {seconds} s")


class Control:
    """The file that the shim maps."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(struct.pack("qqq", 0, 0, 0))
        os.chmod(path, 0o644)

    def set(self, place, value):
        with open(self.path, "r+b") as f:
            f.seek(8 * place)
            f.write(struct.pack("q", value))

    def clock(self, seconds):
        self.set(0, seconds)

    def full(self, yes):
        self.set(1, int(yes))

    def failing(self, seed):
        """0: none fails."""
        self.set(2, seed)

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DB_", "LD_"))}
        env.update(preloaded(f"{BUILD}/faults/shim.so", os.path.dirname(self.path), CHATD_FAULTS=self.path))
        return env


class Folder:
    """Where a run lives. A socket's path must be short, so a long $TMPDIR is not used."""

    def __init__(self, path):
        self.path = path
        self.keeper = subprocess.Popen([sys.executable, f"{HERE}/keeper.py", path], stdin=subprocess.PIPE,
                                       start_new_session=True)

    def close(self, keep):
        with contextlib.suppress(BrokenPipeError):
            self.keeper.communicate(b"keep\n" if keep else b"")


class Cluster:
    """One PostgreSQL; tests/tools/cluster does the work."""

    def __init__(self, folder, name):
        self.name, self.dir = name, f"{folder}/{name}"
        os.mkdir(self.dir)
        self.control = Control(f"{folder}/{name}.control")

    async def tool(self, command, *more, check=True):
        arguments = [CLUSTER, command, *(["--fast"] if command in ("start", "standby") else []), self.dir, *more]
        done = await asyncio.to_thread(
            subprocess.run, arguments, env=self.control.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, start_new_session=True)
        if check and done.returncode:
            raise RuntimeError(f"cluster {command} {self.name}: {done.stderr}")
        return done.stdout

    async def psql(self, query, database="postgres"):
        return (await self.tool("psql", "-qXAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", query)).strip()

    def socket(self):
        return os.path.realpath(f"{self.dir}/sock") + "/.s.PGSQL.5432"

    def postmaster(self):
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"{self.dir}/pg/postmaster.pid") as f:
            pid = int(f.readline())
            return pid if alive(pid) else None

    def backends(self, title=""):
        """pid -> title of its processes whose title has this."""
        postmaster = self.postmaster()
        return {p: t for p, t in children_of(postmaster).items() if title in t} if postmaster else {}

    async def crash_restart(self):
        """As pg_ctl restart -m immediate."""
        pid = self.postmaster()
        if pid:
            kill(pid, signal.SIGQUIT)
            await until(lambda: not alive(pid), 30, f"the end of PostgreSQL {self.name}")
        await self.tool("start")


class Database:
    """A primary and a standby that change places."""

    def __init__(self, folder):
        self.folder = folder
        self.primary, self.standby = Cluster(folder, "a"), Cluster(folder, "b")
        self.clusters = [self.primary, self.standby]
        self.password = secrets.token_hex(16)

    async def start(self, roles):
        await self.primary.tool("start")
        await self.primary.psql("create database chatd")
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update(PGHOST=os.path.dirname(self.primary.socket()), PGPORT="5432", PGUSER="postgres",
                   PGDATABASE="chatd", ROLE_PASSWORD=self.password)
        for role in roles:
            await asyncio.to_thread(subprocess.run, [f"{ROOT}/sql/migrate", "--role", role], env=env, check=True,
                                    stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        await self.standby.tool("standby", self.primary.dir)

    async def query(self, text):
        return await self.primary.psql(text, "chatd")

    async def is_free(self):
        """Whether somebody can take the change lock, and commit."""
        return bool(await self.primary.tool(
            "psql", "-qXAt", "-d", "chatd", "-c", "set statement_timeout = '2s'", "-c",
            "select pg_advisory_xact_lock(1667785076, 0), pg_current_xact_id()", check=False))

    async def complete(self):
        """Waits until commits have their standby again."""
        for _ in range(300):
            if await self.primary.tool("psql", "-qXAtc", "select 1 from pg_stat_replication where sync_state = 'sync'",
                                       check=False):
                return
            await asyncio.sleep(0.1)
        raise RuntimeError("the standby did not come back")

    async def promote(self):
        await self.standby.tool("promote")
        self.primary, self.standby = self.standby, self.primary

    async def rebuild(self):
        """The one that was killed becomes the standby of the other, which waits for it again."""
        self.standby.control.clock(0)
        await self.standby.tool("standby", self.primary.dir)

    async def stop(self):
        for cluster in self.standby, self.primary:
            await cluster.tool("stop")


class Host:
    """One chatd with its network, and two doors."""

    def __init__(self, number, folder, database, authority, records):
        self.number, self.database = number, database
        self.name, self.role = f"h{number}", f"chatd{number}"
        self.dir = f"{folder}/{self.name}"
        self.folder = folder
        self.control = Control(f"{folder}/{self.name}.control")
        self.plain, self.tls = Door(self, records), Door(self, records, authority.context)
        self.certificate, self.key = f"{self.dir}/tls.pem", f"{self.dir}/tls.key"
        self.signer_failed = False      # it has been made to
        self.process = self.network = None
        os.mkdir(self.dir)
        self.secret("db_password", database.password)

    def secret(self, name, value):
        with open(os.open(f"{self.dir}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(value)

    def spawn(self, command, control, **how):
        """In a session of its own, where no Ctrl-C reaches it; it does not outlive us."""
        process = subprocess.Popen(command, env=control.environment(), start_new_session=True, cwd=self.dir,
                                   preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL), **how)
        Reaper.waited_for.add(process.pid)
        return process

    async def start_network(self):
        pairs = []
        for cluster in self.database.clusters:
            os.mkdir(f"{self.dir}/{cluster.name}")
            pairs.append(f"{self.dir}/{cluster.name}/.s.PGSQL.5432={cluster.socket()}")
        self.network = self.spawn([sys.executable, f"{HERE}/proxy.py", *pairs],
                                  Control(f"{self.folder}/{self.name}-network.control"), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=open(f"{self.dir}/network.log", "wb"))
        await asyncio.to_thread(self.network.stdout.readline)

    def set_network(self, mode):
        self.network.stdin.write(f"{mode}\n".encode())
        self.network.stdin.flush()
        self.network.stdout.readline()

    async def start(self):
        ready, theirs = os.pipe()
        options = {
            "mode": "development", "listen": "127.0.0.1:0, tls:127.0.0.1:0", "db_port": 5432, "db_name": "chatd",
            "db_host": ",".join(f"{self.dir}/{c.name}" for c in self.database.clusters),
            "db_user": self.role, "db_password_file": f"{self.dir}/db_password",
            "jwt_secret_file": f"{self.dir}/jwt_secret", "tls_certificate_file": self.certificate,
            "tls_key_file": self.key, "admin_listen": "", "run_dir": f"{self.dir}/run", "bcrypt_cost": 4,
            "max_clients": 5000, "session_queue": "32k", "ready_fd": theirs,
            "user": "daemon", "session_user": "nobody"}
        log = open(f"{self.folder}/{self.name}.log", "ab")
        self.process = self.spawn([f"{BUILD}/chatd", *(a for k, v in options.items() for a in ("-o", f"{k}={v}"))],
                                  self.control, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(theirs,))
        os.close(theirs)
        log.close()
        line = await asyncio.to_thread(self.read_ready, ready)
        if not line.startswith("ready "):
            raise RuntimeError(f"chatd {self.name} is not ready: {line!r}; see {self.name}.log")
        self.plain.port, self.tls.port = (int(address.rsplit(":", 1)[1]) for address in line.split()[1:])

    @staticmethod
    def read_ready(fd):
        line = b""
        with os.fdopen(fd, "rb", buffering=0) as f:
            while not line.endswith(b"\n") and select.select([f], [], [], 30)[0]:
                part = f.read(1000)
                if not part:
                    break
                line += part
        return line.decode()

    def children(self, title):
        """Pids of the processes whose title begins so."""
        return [p for p, t in children_of(self.process.pid).items() if t.startswith(f"chatd: {title}")]

    def count_in_log(self, text):
        with open(f"{self.folder}/{self.name}.log", errors="replace") as f:
            return f.read().count(text)

    async def reload(self):
        """SIGHUP; returns when it is done."""
        said = "configuration reloaded"
        before = self.count_in_log(said)
        self.process.send_signal(signal.SIGHUP)
        await until(lambda: self.count_in_log(said) > before, 30, f"{self.name}: {said}")

    def left(self):
        """What there is of it, master and all."""
        return keeper.processes(self.folder, self.name)

    async def stop(self):
        """SIGTERM; true when nothing is left."""
        self.plain.port = self.tls.port = None
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self.process.wait, 40)
        except subprocess.TimeoutExpired:
            return False
        return self.process.returncode == 0

    async def die(self):
        """SIGKILL to the master; what it leaves behind must end by itself."""
        self.plain.port = self.tls.port = None
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    def end_network(self):
        if self.network:
            self.network.stdin.close()
            self.network.wait()


class Reaper:
    """Orphans come to us: those that nobody else waits for are reaped when they have been dead for a
    while."""

    waited_for = set()

    def __init__(self):
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.dead = set()

    async def run(self):
        while True:
            now = {pid for pid in children_of(os.getpid()) if state_of(pid) == "Z"}
            for pid in (now & self.dead) - self.waited_for:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            self.dead = now
            await asyncio.sleep(2)


