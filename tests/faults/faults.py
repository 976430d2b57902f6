"""The faults, a small class each, and the schedule that a seed makes of them.

inject() begins it and may return; undo() ends it, after "hold" seconds. Who is hit is drawn with
the schedule, so it is printed with it. To add one: a class, and its name in ALL.
"""
import asyncio
import random
import signal

import doors
from hosts import kill, state_of, until

LEASE = 10.0
BEYOND = LEASE + 3, LEASE + 8     # when it goes on, the others have removed the host, if it was silent


class Fault:
    kind = None
    hold = 0, 0           # seconds from inject to undo, drawn between these
    alone = False         # nothing else goes on meanwhile
    leave = False         # some users of that host leave meanwhile
    stay = False          # those who are on it stay until it is over, to get what they missed
    everywhere = False    # it is of no host

    def __init__(self, scene, rng):
        self.scene = scene
        self.rng = rng
        self.host_number = rng.randrange(len(scene.hosts))
        self.seconds = round(rng.uniform(*self.hold), 1)
        self.choice = rng.random()

    @property
    def host(self):
        return self.scene.hosts[self.host_number]

    def where(self):
        return f"host {self.host_number}"

    def __str__(self):
        return f"{self.kind}, {self.where()}" + (f", for {self.seconds} s" if self.seconds else "")

    def pick(self, pids):
        """One of some processes; None where there is none."""
        pids = sorted(pids)
        return pids[int(self.choice * len(pids))] if pids else None

    async def inject(self):
        raise NotImplementedError

    async def undo(self):
        pass


# --- processes of chatd ---

class KillSession(Fault):
    kind, title = "kill -9 of a session", "session"

    async def inject(self):
        pid = self.pick(self.host.children(self.title))
        if pid:
            kill(pid, signal.SIGKILL)


class KillBroker(KillSession):
    kind, title = "kill -9 of a broker", "broker"


class KillAuth(KillSession):
    kind, title = "kill -9 of an auth worker", "auth"


class StopSession(Fault):
    """SIGSTOP: it lives, holds all it has, and does nothing."""
    kind, title, hold = "SIGSTOP of a session", "session", (2, 6)
    pid = None

    def pids(self):
        return self.host.children(self.title)

    async def inject(self):
        self.pid = self.pick(self.pids())
        if self.pid:
            kill(self.pid, signal.SIGSTOP)

    async def undo(self):
        if self.pid and state_of(self.pid) == "T":
            kill(self.pid, signal.SIGCONT)


class StopBroker(StopSession):
    kind, title, hold = "SIGSTOP of a broker", "broker", (3, 8)
    leave = True


class KillTree(Fault):
    kind, hold = "kill -9 of a master", (2, 6)

    async def inject(self):
        await self.host.die()

    async def undo(self):
        # What it has left ends by itself, or the next one cannot have its folder.
        await until(lambda: not self.host.left(), 30, f"the end of what {self.host.name} left")
        await self.host.start()


class Drain(Fault):
    kind, hold = "SIGTERM and start", (0.5, 3)

    async def inject(self):
        if not await self.host.stop():
            self.scene.records.add("run", ev="error", what=f"{self.host.name} did not stop as it should")

    async def undo(self):
        for pid, title in self.host.left().items():
            self.scene.records.add("run", ev="left", what=f"after SIGTERM of {self.host.name}: {pid} {title}")
            kill(pid, signal.SIGKILL)
        await self.host.start()


# --- the network of a host ---

class Cut(Fault):
    kind, hold = "network cut", (2, 6)
    leave = True
    mode = "cut"

    async def inject(self):
        self.host.set_network(self.mode)

    async def undo(self):
        self.host.set_network("open")


class Hole(Cut):
    kind, hold = "network black-holed", (LEASE + 4, LEASE + 8)
    mode = "hole"


# --- the database ---

class DatabaseFault(Fault):
    everywhere = True

    def where(self):
        return "primary"


class StopBackend(StopSession):
    kind, hold = "SIGSTOP of a PostgreSQL backend", (3, 6)

    def pids(self):
        return self.scene.database.primary.backends(f": {self.host.role} chatd ")


class StopStandby(StopSession):
    kind, hold, alone = "SIGSTOP of the standby", (3, 6), True
    everywhere = True

    def where(self):
        return "all of it" if self.choice < 0.5 else "its walreceiver"

    async def inject(self):
        standby = self.scene.database.standby
        self.all = [p for p in (standby.backends("walreceiver") or {})]
        if self.choice < 0.5:
            self.all = [standby.postmaster(), *standby.backends()]
        for pid in self.all:
            kill(pid, signal.SIGSTOP)

    async def undo(self):
        for pid in self.all:
            if state_of(pid) == "T":
                kill(pid, signal.SIGCONT)
        await self.scene.database.complete()


class Terminate(Fault):
    kind = "pg_terminate_backend"

    async def inject(self):
        await self.scene.database.query(
            f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{self.host.role}'")


class CrashRestart(DatabaseFault):
    kind, alone = "PostgreSQL restarted, immediate", True

    async def inject(self):
        await self.scene.database.primary.crash_restart()
        await self.scene.database.complete()


class Failover(DatabaseFault):
    """The dead one comes back as the standby of the other, so that there can be a next time."""
    kind, alone, hold = "failover", True, (3, 6)

    async def inject(self):
        database = self.scene.database
        await database.primary.tool("kill")
        await asyncio.sleep(self.choice)
        await database.promote()

    async def undo(self):
        await self.scene.database.rebuild()


class DiskFull(DatabaseFault):
    """Half of the times the log needs a new file, too, which ends PostgreSQL, as on a real disk."""
    kind, alone, hold = "disk full", True, (3, 6)

    def where(self):
        return "tables" if self.choice < 0.5 else "log"

    async def inject(self):
        primary = self.scene.database.primary
        primary.control.full(True)
        if self.choice >= 0.5:
            # As many as there are in stock.
            use = "select pg_logical_emit_message(true, 'full', ''), pg_switch_wal()"
            await primary.tool("psql", "-qX", *["-c", use] * 12, check=False)

    async def undo(self):
        primary = self.scene.database.primary
        primary.control.full(False)
        await primary.tool("start")
        await self.scene.database.complete()


class Clock(Fault):
    """An hour, one way and back."""
    kind, hold = "clock step, chatd", (3, 6)

    def step(self):
        return 3600 if self.choice < 0.5 else -3600

    def where(self):
        return f"host {self.host_number}, {self.step():+d} s"

    def control(self):
        return self.host.control

    async def inject(self):
        self.stepped = self.control()
        self.stepped.clock(self.step())

    async def undo(self):
        self.stepped.clock(0)
        await self.scene.database.complete()


class ClockDatabase(Clock):
    kind, alone, everywhere = "clock step, PostgreSQL", True, True

    def where(self):
        return f"primary, {self.step():+d} s"

    def control(self):
        return self.scene.database.primary.control


# --- beyond the lease: whoever goes on finds that the others have gone on, too ---

class HangSession(StopSession):
    kind, hold, stay = "SIGSTOP of a session, beyond the lease", BEYOND, True


class HangBroker(StopBroker):
    kind, hold, stay = "SIGSTOP of a broker, beyond the lease", BEYOND, True


class HangAuth(StopSession):
    kind, title, hold = "SIGSTOP of an auth worker, beyond the lease", "auth", BEYOND


class HangMaster(StopSession):
    kind, hold, stay = "SIGSTOP of a master, beyond the lease", BEYOND, True

    def pids(self):
        return [self.host.process.pid]


class HangHost(Fault):
    """All of it, for longer than anything waits for it."""
    kind, hold, stay = "SIGSTOP of a whole host", (25, 30), True
    leave = True

    async def inject(self):
        # The master first: what it starts meanwhile is stopped, too.
        kill(self.host.process.pid, signal.SIGSTOP)
        self.all = [self.host.process.pid, *self.host.children("")]
        for pid in self.all:
            kill(pid, signal.SIGSTOP)

    async def undo(self):
        for pid in self.all:
            if state_of(pid) == "T":
                kill(pid, signal.SIGCONT)


class HangListener(StopSession):
    kind, hold, stay = "SIGSTOP of a listener's backend, beyond the lease", BEYOND, True
    role = "listener"

    async def inject(self):
        """One that holds nothing that everybody waits for: that would be the end of the database, not of
        a host."""
        for _ in range(20):
            found = await self.scene.database.query(
                f"select pid from pg_stat_activity where usename = '{self.host.role}' "
                f"and application_name = 'chatd {self.role}'")
            self.pid = self.pick(int(pid) for pid in found.split())
            if self.pid is None:
                return
            kill(self.pid, signal.SIGSTOP)
            if await self.scene.database.is_free():
                return
            kill(self.pid, signal.SIGCONT)
            await asyncio.sleep(0.1)
        self.pid = None


class HangWriter(HangListener):
    kind, role = "SIGSTOP of a writer's backend, beyond the lease", "writer"


class HangReader(HangListener):
    kind, role = "SIGSTOP of a reader's backend, beyond the lease", "pool"


# --- TLS ---

class SignerFault(Fault):
    """While it is on, clients come in over TLS all the time. Then there must be a signer, and soon."""
    knockers, gone = 3, None

    async def inject(self):
        self.on = True
        dice = [random.Random(f"{self.choice} {n}") for n in range(self.knockers)]
        self.tasks = [self.scene.spawn(doors.knock(self.host.tls, rng, lambda: self.on)) for rng in dice]
        self.strike()

    async def undo(self):
        self.mend()
        await asyncio.gather(self.scene.see_signer(self.host, self.gone), self.scene.enter(self.host.tls))
        self.on = False
        await asyncio.gather(*self.tasks)


class StopSigner(SignerFault):
    kind, hold = "SIGSTOP of a signer", (2, 8)

    def strike(self):
        self.pid = self.pick(self.host.children("signer"))
        if self.pid:
            kill(self.pid, signal.SIGSTOP)

    def mend(self):
        if self.pid and state_of(self.pid) == "T":
            kill(self.pid, signal.SIGCONT)


class KillSigner(StopSigner):
    """Stopped before that, so that there are handshakes which wait for it."""
    kind, hold = "kill -9 of a signer", (0.5, 3)

    def mend(self):
        self.gone = self.pid
        if self.pid:
            kill(self.pid, signal.SIGKILL)


class HangSigner(StopSigner):
    kind, hold = "SIGSTOP of a signer, beyond the lease", BEYOND


class FailSigner(SignerFault):
    kind, hold = "failing system calls of a signer", (3, 8)

    def strike(self):
        self.host.signer_failed = self.failing = True
        self.scene.spawn(self.vary(random.Random(self.choice)))

    async def vary(self, rng):
        """Each signer begins with the first of its chances: with the same ones all would end alike."""
        while self.failing:
            self.host.control.failing(rng.randrange(1, 2**62))
            await asyncio.sleep(0.3)

    def mend(self):
        self.failing = False
        self.host.control.failing(0)


class Renew(Fault):
    kind, hold = "SIGHUP with a new certificate", (1, 3)

    async def inject(self):
        await self.scene.authority.certify(self.host)
        await self.host.reload()
        self.scene.records.add("run", ev="renewed", host=self.host_number)


# What tests/faults/seeds has is drawn from the first so many: new ones come last, none is taken out.
ALL = [KillSession, KillBroker, KillAuth, StopSession, StopBroker, KillTree, Drain, Cut, Hole, StopBackend,
       StopStandby, Terminate, CrashRestart, Failover, DiskFull, Clock, ClockDatabase,
       HangSession, HangBroker, HangAuth, HangMaster, HangHost, HangListener, HangWriter, HangReader,
       KillSigner, StopSigner, HangSigner, FailSigner, Renew]
SHORT = [KillSession, KillBroker, StopBroker, KillTree, Drain, Cut, Terminate, CrashRestart, DiskFull, Clock,
         ClockDatabase, StopStandby]


# --- the schedule ---

def schedule(scene, rng, seconds, pause):
    """[(when, fault)]: each kind in turn, in an order of the seed; now and then two at once."""
    planned, t, deck = [], 3.0, []
    while True:
        deck = deck or rng.sample(scene.faults_known, len(scene.faults_known))
        fault = deck.pop()(scene, rng)
        if t + fault.seconds > seconds:
            return planned
        planned.append((round(t, 1), fault))
        overlaps = not fault.alone and fault.seconds > 2 and rng.random() < 0.2
        t += 1.0 if overlaps else fault.seconds + rng.uniform(*pause)


def short_schedule(scene, rng, _seconds, _pause):
    """A failover, the network of a host gone for longer than the lease (every other seed), some others
    at the same time, and something of TLS."""
    planned = []
    if scene.seed % 2:
        planned.append((0.5, Hole(scene, rng)))
        planned[0][1].seconds = Hole.hold[0]
    for i, kind in enumerate(rng.sample(SHORT, 3 if scene.seed % 2 else 4)):
        planned.append((1.0 + 3.5 * i, kind(scene, rng)))
        planned[-1][1].seconds = min(planned[-1][1].seconds, 3.0)
    planned.append((16.0, Failover(scene, rng)))
    planned[-1][1].seconds = 1.0
    for when, kind in (3.0, Renew), (7.0, rng.choice([KillSigner, StopSigner, FailSigner])):
        fault = kind(scene, rng)
        fault.seconds = min(fault.seconds, 3.0)
        # Where the network is away it would have to wait.
        fault.host_number = (planned[0][1].host_number + 1) % len(scene.hosts)
        planned.append((when, fault))
    return sorted(planned, key=lambda pair: pair[0])


async def carry_out(scene, planned, say):
    """Injects and undoes all of it. What must be alone waits until all before it is over, and what
    comes after that waits for it."""
    running, began = [], scene.records.now()

    async def one(when, fault):
        number = planned.index((when, fault))
        host = None if fault.everywhere else fault.host_number
        scene.records.add("run", ev="fault", number=number, kind=fault.kind, host=host, what=str(fault))
        say(f"{scene.records.now():7.1f}  begin  {fault}")
        await fault.inject()
        if fault.stay:
            scene.keep_there(fault.host, fault.seconds + 5)
        if fault.leave:
            scene.send_away(fault.host, fault.seconds + 3)
        await asyncio.sleep(fault.seconds)
        await fault.undo()
        scene.records.add("run", ev="fault_over", number=number)
        say(f"{scene.records.now():7.1f}  end    {fault}")
    for when, fault in planned:
        await asyncio.sleep(max(0, began + when - scene.records.now()))
        busy = [(f, task) for f, task in running if not task.done()]
        wait = [task for f, task in busy if f.alone or (fault.alone and not isinstance(f, Hole)) or f.host is fault.host]
        await asyncio.gather(*wait)
        # What is late makes the rest late, too: the pauses are to stay.
        began = max(began, scene.records.now() - when)
        running.append((fault, scene.spawn(one(when, fault))))
    await asyncio.gather(*(task for _, task in running))
