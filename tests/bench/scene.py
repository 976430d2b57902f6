"""The scene of a bench: a PostgreSQL cluster with its default settings, and the servers, each with a
database of its own. All that runs works in one folder, and ends with it: who is killed cannot
clean up, so a keeper does, which waits for the end of this process.
"""
import copy
import http.client
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import time

import proc

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("BUILD") or f"{ROOT}/build")
CLUSTER = f"{ROOT}/tests/tools/cluster"
READY_SECONDS = 60


class Failed(Exception):
    """A result that does not count."""


def end(process, seconds=60):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_counts(result, rows, in_order):
    """Sent, acknowledged, received and stored must be one number; the order is chatd's promise."""
    numbers = {name: result[name] for name in ("sent", "acked", "received")} | {"rows": rows}
    if len(set(numbers.values())) != 1:
        raise Failed(f"the counts differ: {numbers}")
    if in_order and result["reordered"]:
        raise Failed(f"{result['reordered']} messages came out of order")


def check_groups(result, rows, in_order):
    """The same, where each message has as many receivers as its group."""
    each, odd = divmod(result["received"], result["receivers"])
    if odd:
        raise Failed(f"{result['received']} deliveries to {result['receivers']} receivers each")
    check_counts(result | {"received": each}, rows, in_order)


class Scene:
    """A folder in "where", on a disk and not in memory, and the processes that work in it."""

    def __init__(self, where):
        self.folder = f"{where}/work.{secrets.token_hex(4)}"
        self.running = []
        self.keeper = subprocess.Popen([f"{HERE}/keeper", self.folder], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, start_new_session=True)

    def __enter__(self):
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self):
        if self.keeper.stdout.readline() != b"ready\n":
            raise Failed("there is no PostgreSQL cluster to work with")
        self.pids = os.open(f"{self.folder}/pids", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        text = subprocess.run([CLUSTER, "env", f"{self.folder}/cluster"], check=True, capture_output=True,
                              text=True).stdout
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DB_"))}
        self.env |= dict(line.split("=", 1) for line in text.splitlines())

    def __exit__(self, *how):
        self.end_all()
        self.keeper.stdin.close()
        self.keeper.wait()

    def _note(self):
        """In the new process, before its program: the keeper sees no end of input until that runs."""
        with open("/proc/self/stat") as f:
            begun = f.read().rsplit(")", 1)[1].split()[19]
        os.write(self.pids, f"{os.getpid()} {begun}\n".encode())

    def start(self, command, **how):
        """A process in a session of its own, which a terminal's signals do not reach."""
        process = subprocess.Popen(command, start_new_session=True, preexec_fn=self._note, **how)
        self.running.append(process)
        return process

    def run(self, command):
        """What a program says that must succeed."""
        process = self.start(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        out, error = process.communicate(timeout=600)
        self.running.remove(process)
        if process.returncode:
            raise Failed(f"{command[0]}: {error.strip()}")
        return out

    def end_all(self):
        """What a mode that failed has left."""
        while self.running:
            end(self.running.pop())

    def sql(self, text, database="postgres"):
        return subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text],
                              env=self.env, check=True, capture_output=True, text=True).stdout.strip()


class System:
    """One of the servers, running. Subclasses say how it is made and started."""

    in_order = True
    schema = ""  # before the names of its tables

    @classmethod
    def install(cls):
        """Builds it, or what it needs, below the build."""

    def __init__(self, scene, **settings):
        """settings: sessions (at most), cost (of bcrypt), ping (seconds between two), and a subclass's own."""
        self.scene = scene
        self.others = []  # further hosts of this service
        self.id = f"{self.name}_{secrets.token_hex(4)}"
        self.password = secrets.token_urlsafe(24)
        self.secret = secrets.token_urlsafe(32)
        self.settings = {"sessions": 1000, "cost": 4, "ping": 30} | settings
        scene.sql(f"create database {self.id}")
        self.make_database()
        self._begin(self.id)

    def _begin(self, name):
        """name: of its log, and of what else only one process may have."""
        self.log = open(f"{self.scene.folder}/{name}.log", "wb")
        ready, theirs = os.pipe()
        self.process = self.run(theirs, name)
        os.close(theirs)
        self.port = self._wait(ready)

    def another(self):
        """A further host of the same service, with the same database and keys. It ends with this one."""
        other = copy.copy(self)
        other.others = []
        other._begin(f"{self.id}.{len(self.others) + 1}")
        self.others.append(other)
        return other

    def _wait(self, ready):
        """"ready …PORT" comes from the server; the end of the pipe: it has ended."""
        if select.select([ready], [], [], READY_SECONDS)[0]:
            line = os.read(ready, 1000).decode()
            os.close(ready)
            if line.startswith("ready "):
                return int(line.split()[1].rsplit(":", 1)[-1])
        with open(self.log.name) as f:
            raise Failed(f"{self.name} did not start: {f.read()[-2000:]}")

    def _end(self):
        self._ended(self.process)
        self.log.close()

    def stop(self):
        for host in [*self.others, self]:
            host._end()
        self.scene.sql(f"drop database {self.id} with (force)")
        self.scene.sql(f"drop role {self.id}")

    def _ended(self, process):
        end(process)
        if process in self.scene.running:
            self.scene.running.remove(process)

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.stop()

    def sql(self, text):
        return self.scene.sql(text, self.id)

    def rows(self):
        return int(self.sql(f"select count(*) from {self.schema}messages"))

    def connections(self):
        return int(self.scene.sql(f"select count(*) from pg_stat_activity where datname = '{self.id}'"
                                  " and backend_type = 'client backend'"))

    # --- load ---

    def spawn(self, *args, users=None, **how):
        """Each connection goes to the next host."""
        who = ["-u", users] if users else []
        ports = ",".join(str(host.port) for host in [self, *self.others])
        return self.scene.start([f"{BUILD}/bench/load", *who, ports, *map(str, args)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)

    def output(self, process, seconds=600):
        """All that a load says, when it has ended."""
        try:
            out, error = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name}: {process.args} takes more than {seconds} s") from None
        finally:
            self._ended(process)
        if process.returncode:
            raise Failed(f"{self.name}: {error.strip()}")
        return out

    def result(self, process, refusals=False):
        """The last line that it says, as a dict. Refused requests are a failure unless expected."""
        result = json.loads(self.output(process).splitlines()[-1])
        if result.get("refused") and not refusals:
            raise Failed(f"{self.name}: {result['refused']} requests were refused")
        return result

    def load(self, *args, refusals=False, **how):
        return self.result(self.spawn(*args, **how), refusals)

    def register(self, count, name="users"):
        """Makes users; returns the file that load wants, and they are in as (id, name, password, token)."""
        path = f"{self.scene.folder}/{self.id}.{name}"
        out = self.output(self.spawn("users", count))
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(out)
        return path

    def pairs(self, *args, **how):
        """A run of pairs or count whose result has been checked against the table."""
        before = self.rows()
        result = self.load(*args, **how)
        check_counts(result, self.rows() - before, self.in_order)
        return result

    def groups(self, *args, **how):
        """A run of groups, checked in the same way."""
        before = self.rows()
        result = self.load(*args, **how)
        check_groups(result, self.rows() - before, self.in_order)
        return result

    def request(self, method, path, token=None, body=None):
        """(status, what the JSON of the answer says)"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        c.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = c.getresponse()
        text = answer.read()
        c.close()
        return answer.status, json.loads(text) if text else None

    def tree(self):
        return proc.tree(self.process.pid)


def read_users(path):
    with open(path) as f:
        return [(int(u), name, password, token) for u, name, password, token in map(str.split, f)]


class Chatd(System):
    name, schema = "chatd", "chatd."

    def make_database(self):
        subprocess.run([f"{ROOT}/sql/migrate", "--role", self.id], check=True, stdout=subprocess.DEVNULL,
                       env=self.scene.env | {"PGDATABASE": self.id, "ROLE_PASSWORD": self.password})

    def _secret_file(self, name, value):
        path = f"{self.scene.folder}/{self.id}.{name}"
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(value)
        return path

    def options(self, name):
        """Defaults but for places, and for the limits that a load from one address, or of a few users,
        would meet. In production only root may look at the memory of a session."""
        s = self.settings
        return {
            "mode": "development" if os.geteuid() else "production", "port": 0, "listen": "127.0.0.1",
            "db_host": self.scene.env["PGHOST"], "db_name": self.id, "db_user": self.id,
            "db_password_file": self._secret_file("password", self.password),
            "jwt_secret_file": self._secret_file("secret", self.secret),
            "admin_listen": s.get("admin", ""), "run_dir": f"{self.scene.folder}/{name}.run", "drain_time": 0, "bcrypt_cost": s["cost"],
            "max_clients": s["sessions"] + 200, "max_clients_per_address": 0,
            "max_connections_per_user": 0, "ping_interval": s["ping"],
            "retention_interval": s.get("retention_interval", "1m"), "register_rate": 0, "user": "daemon", "session_user": "nobody"}

    def run(self, ready, name):
        options = [word for key, value in self.options(name).items() for word in ("-o", f"{key}={value}")]
        return self.scene.start(
            [f"{BUILD}/chatd", *options, "-o", f"ready_fd={ready}"], pass_fds=(ready,),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.scene.folder,
            env={k: v for k, v in self.scene.env.items() if not k.startswith("PG")})

    def sessions(self):
        return [p for p in self.tree() if proc.title(p).startswith("chatd: session")]


class Baseline(System):
    """The usual way: Node.js, an INSERT per message."""

    name = "baseline"
    # A pool has no order of its own, and the usual way does not add one.
    in_order = False
    files = f"{BUILD}/bench/baseline"

    def make_database(self):
        self.scene.sql(f"create role {self.id} login password '{self.password}'")
        self.sql(f"grant create on schema public to {self.id}")
        with open(f"{HERE}/baseline/schema.sql") as f:
            self.sql(f"set role {self.id}; {f.read()}")

    def run(self, ready, _name):
        env = self.scene.env | {"PGDATABASE": self.id, "PGUSER": self.id, "PGPASSWORD": self.password,
                                "JWT_SECRET": self.secret, "BCRYPT_COST": str(self.settings["cost"]),
                                "NODE_ENV": "production"}
        return self.scene.start(self.command(), stdin=subprocess.DEVNULL, stdout=ready, stderr=self.log,
                                env=env)

    def command(self):
        return ["node", f"{self.files}/server.js"]

    @classmethod
    def install(cls):
        """With its packages, as package-lock.json pins them."""
        done = f"{cls.files}/installed-lock.json"
        os.makedirs(cls.files, exist_ok=True)
        for name in os.listdir(f"{HERE}/baseline"):
            if name.endswith((".js", ".json", ".npmrc")):
                shutil.copy(f"{HERE}/baseline/{name}", cls.files)
        lock = open(f"{cls.files}/package-lock.json").read()
        if os.path.exists(done) and open(done).read() == lock:
            return
        print("installing the packages of the baseline with npm", file=sys.stderr)
        if subprocess.run(["npm", "ci", "--omit=dev"], cwd=cls.files, stdout=sys.stderr).returncode:
            raise Failed("npm could not install what tests/bench/baseline/package-lock.json names; "
                         "without that baseline: SYSTEMS=chatd,batching")
        shutil.copy(f"{cls.files}/package-lock.json", done)


class Batching(Baseline):
    """The fast way: Go, group commit."""

    name = "batching"
    in_order = True

    def command(self):
        return [f"{BUILD}/bench/batching"]

    @classmethod
    def install(cls):
        """From the sources of the libraries that Debian's packages bring, and nothing else."""
        env = os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOPROXY": "off",
                            "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOCACHE": f"{BUILD}/bench/go-cache"}
        if subprocess.run(["go", "build", "-o", f"{BUILD}/bench/batching", "."], cwd=f"{HERE}/batching", env=env,
                          stdout=sys.stderr).returncode:
            raise Failed("tests/bench/batching could not be built; without it: SYSTEMS=chatd,baseline")


SYSTEMS = {s.name: s for s in (Chatd, Baseline, Batching)}


def eventually(what, seconds):
    """Waits for what no event announces; returns after how many seconds it came true."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            raise Failed(f"it did not come true in {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - began
