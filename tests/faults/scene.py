"""One run with one seed: builds the scene, lets it live through the schedule, waits until all is
quiet, and takes it down again."""
import asyncio
import contextlib
import random
import re
import secrets

import clients
import faults
import membership
import moves
import views
from doors import Authority
from hosts import Database, Host, Reaper
from lost import LOST, Away
from observers import Observer
from records import Records

HOSTS = 3
USERS = 12
GROUPS, MEMBERS = 3, 5
# Beyond the lease: half a second of presence_debounce, half a second between two looks of an
# observer, and a second for a machine that has much to do.
ALLOWANCE = 2.0
BAD = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|killed by signal (?!9 |15 )|exited with status [1-9]")
# Where its system calls are made to fail, it may give up.
SIGNER_ENDED = re.compile(r"signer\[\d+\] exited with status 1\b")


class Scene:
    def __init__(self, folder, seed, seconds, known, short, kinds, say):
        self.folder, self.seed, self.seconds, self.short, self.kinds = folder, seed, seconds, short, kinds
        self.faults_known = known
        self.say = say
        self.records = Records(f"{folder}/records")
        self.rng = random.Random(seed)
        self.database = Database(folder)
        self.hosts, self.users, self.groups, self.observers = [], [], [], []
        self.talking = self.quiet = False
        self.rate = 3.0           # messages per second and device
        self.tasks = set()
        self.broken = asyncio.get_running_loop().create_future()

    def spawn(self, coroutine):
        """A task whose failure is the suite's own, and ends the run."""
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.over)
        return task

    def over(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() and not self.broken.done():
            self.broken.set_exception(task.exception())

    # --- the beginning ---

    async def build(self):
        await self.database.start([f"chatd{n}" for n in range(HOSTS)])
        secret = secrets.token_hex(32)
        authority = self.authority = await asyncio.to_thread(Authority, self.folder, self.records)
        self.hosts = [Host(n, self.folder, self.database, authority, self.records) for n in range(HOSTS)]
        for host in self.hosts:
            await authority.certify(host)
            host.secret("jwt_secret", secret)
            await host.start_network()
            await host.start()

    async def register(self, name, host):
        word = secrets.token_hex(8)
        status, answer = await clients.request(host.plain, "POST", "/register", body={
            "username": name, "password": word, "email": f"{name}@example.com"})
        if status != 201:
            raise RuntimeError(f"register {name}: {status} {answer}")
        return answer

    async def people(self):
        self.records.add("run", ev="constants", lease=faults.LEASE, allowance=ALLOWANCE, seed=self.seed)
        for n in range(USERS):
            self.users.append(clients.User(self, await self.register(f"u{n}", self.rng.choice(self.hosts))))
        for n in range(USERS + USERS // 3):
            kind = self.kinds[n % len(self.kinds)]
            # Of each kind some over TLS, and some not.
            clients.make_device(self.users[n % USERS], kind, self.kinds, random.Random(self.rng.random()),
                                tls=n // len(self.kinds) % 2 == 1)
        for host in self.hosts:
            observer = Observer(self, host, (await self.register(f"observer{host.number}", host))["token"])
            observer.users = {u.id for u in self.users}
            self.observers.append(observer)
            self.spawn(observer.poll())
            self.spawn(observer.watch())

    async def found_groups(self):
        for n in range(GROUPS):
            owner, *others = self.rng.sample(self.users, MEMBERS)
            full, ids = n == 0, [u.id for u in others]
            status, answer = await clients.request(
                self.rng.choice(self.hosts).plain, "POST", "/conversations", owner.token,
                {"name": f"g{n}", "members": ids, "history": "all" if full else "joined"})
            if status != 201:
                raise RuntimeError(f"a group: {status} {answer}")
            founded = {"group": answer["id"], "owner": owner.id, "members": ids, "full": full}
            self.records.add("run", ev="group", **founded)
            self.groups.append(moves.Group(founded))

    def groups_of(self, user):
        """As far as anybody knows."""
        return [g for g in self.groups if user.id in g.believed]

    def devices(self):
        return [d for u in self.users for d in u.devices]

    async def warm_up(self):
        """Everybody is there and has heard from somebody, which gives each device its first cursor."""
        for device in self.devices():
            self.spawn(device.run())
        await self.wait(lambda: all(d.link for d in self.devices()), 30, "everybody is connected")
        for user, other in zip(self.users, self.users[1:] + self.users[:1]):
            await user.devices[0].write(other, "good morning")
        await self.wait(lambda: all(d.received for d in self.devices()), 30, "everybody has heard from somebody")
        await self.found_groups()
        self.talking = True
        for device in self.devices():
            self.spawn(device.talk())
            self.spawn(device.changes.live())
            self.spawn(device.marks.live())
            self.spawn(device.moves.live())

    def send_away(self, host, seconds):
        """Half of those who are connected to this host alone leave, and the host, which is in trouble,
        has to tell the others, or they have to find out."""
        alone = [u for u in self.users if {d.host for d in u.devices if d.link} == {host}]
        for user in self.rng.sample(alone, (len(alone) + 1) // 2):
            self.spawn(user.stay_away(seconds))

    def keep_there(self, host, seconds):
        """Who is connected to this host does not leave by himself for so long."""
        for user in self.users:
            if any(d.link and d.host is host for d in user.devices):
                user.stays_until = self.records.now() + seconds

    # --- who comes in ---

    async def answers(self, door):
        """Whether it serves, be it only to say that it wants a token."""
        try:
            return (await clients.request(door, "GET", "/users"))[0] == 401
        except (*LOST, Away):
            return False

    async def enter(self, door):
        """Writes down how long it takes from now until a client is let in."""
        since, bound = self.records.now(), faults.LEASE + ALLOWANCE
        came = await self.answers(door)
        while not came and self.records.now() < since + bound:
            await asyncio.sleep(0.2)
            came = await self.answers(door)
        self.records.add("run", ev="entry", host=door.host.number, tls=door is door.host.tls,
                         took=round(self.records.now() - since, 3) if came else None)

    async def see_signer(self, host, gone):
        """Writes down how long it takes from now until there is one, another than the one that is gone."""
        since, bound = self.records.now(), faults.LEASE + ALLOWANCE
        there = await self.wait(lambda: set(host.children("signer")) - {gone}, bound, f"{host.name} has a signer")
        self.records.add("run", ev="signer", host=host.number,
                         took=round(self.records.now() - since, 3) if there else None)

    # --- the end ---

    async def wait(self, what, seconds, name):
        for _ in range(int(seconds * 20)):
            if what():
                return True
            await asyncio.sleep(0.05)
        self.say(f"{self.records.now():7.1f}  gave up waiting: {name}")
        return False

    async def logged_groups(self):
        log = [row async for row in views.read_groups(self.database)]
        return {g.number: membership.Group(g.founded, log) for g in self.groups}

    def has_all_of(self, device, m, groups):
        """Of what the database has of a message, whether this device has what it should."""
        def is_due(place):
            if m.to:
                return device.user.id in (m.sender, m.to)
            return groups[m.conversation].is_last(device.user.id, place, m.message_id)
        sent_it = device.resume != "events" and m.id.startswith(f"{device.name}-")
        if is_due(m.message_id) and not sent_it and m.message_id not in device.received:
            return False
        # Without resume a change may have been missed.
        return not m.changed or device.resume == "history" or not is_due(m.changed) \
            or device.latest.get(m.message_id, 0) >= m.changed

    def was_told(self, device, groups):
        """Of all the changes of groups, the last of each kind."""
        return device.resume == "history" or all(
            e["change"] in device.told for g in groups.values() for e in g.latest()
            if g.is_last(device.user.id, e["change"], e["change"]))

    async def everything_arrived(self):
        for _ in range(60):
            due = await views.read_messages(self.database, self.users)
            groups = await self.logged_groups()
            if all(self.was_told(d, groups) and all(self.has_all_of(d, m, groups) for m in due) for d in self.devices()):
                return
            await asyncio.sleep(1)
        self.say(f"{self.records.now():7.1f}  gave up waiting: everything has arrived")

    async def settle(self, lives):
        self.talking, self.quiet = False, True
        for task in lives:
            task.cancel()
        for user in self.users:
            user.present.set()
        await asyncio.gather(*(self.enter(door) for host in self.hosts for door in (host.plain, host.tls)))
        await self.wait(lambda: not any(d.is_waiting() for d in self.devices()), 90, "everything is acknowledged")
        await self.everything_arrived()
        if not await views.look_at_all(self.users):
            self.records.add("run", ev="error", what="the members were not shown all that there is in the end")
        for user in self.users[::2]:
            await user.leave()
        await self.wait(lambda: all(d.link for u in self.users[1::2] for d in u.devices), 30, "the others are there")
        await asyncio.sleep(faults.LEASE + ALLOWANCE)
        self.records.add("run", ev="settled", online=sorted(u.id for u in self.users if any(d.link for d in u.devices)),
                         out=[d.name for u in self.users[1::2] for d in u.devices if not d.link])
        await asyncio.sleep(2)

    def read_log(self, host):
        """What nobody did to it: a process that died of itself, or what a sanitizer has seen."""
        with open(f"{self.folder}/{host.name}.log", errors="replace") as f:
            for line in f:
                if BAD.search(line) and not (host.signer_failed and SIGNER_ENDED.search(line)):
                    self.records.add("run", ev="error", what=f"{host.name}.log: {line.strip()}")

    async def close(self):
        """Clients are still there when the hosts are told to stop."""
        self.records.add("run", ev="end")
        for host in self.hosts:
            if not await host.stop():
                self.records.add("run", ev="error", what=f"{host.name} did not stop as it should")
            for pid, title in host.left().items():
                self.records.add("run", ev="left", what=f"{host.name}: {pid} {title}")
            self.read_log(host)
        for task in self.tasks:
            task.cancel()
        left = "select application_name from pg_stat_activity where application_name like 'chatd %'"
        for _ in range(20):
            names = await self.database.query(left)
            if not names:
                break
            await asyncio.sleep(0.1)
        for name in names.splitlines():
            self.records.add("run", ev="left", what=f"a connection to PostgreSQL: {name}")
        await views.write_tables(self.database, self.users, self.records.add)
        for host in self.hosts:
            host.end_network()
        await self.database.stop()

    # --- all of it ---

    async def live(self):
        reaper = asyncio.create_task(Reaper().run())
        try:
            await self.build()
            await self.people()
            make = faults.short_schedule if self.short else faults.schedule
            planned = make(self, random.Random(self.seed), self.seconds, (6, 10))
            self.say(f"seed {self.seed}, clients {','.join(self.kinds)}; the schedule:")
            for when, fault in planned:
                self.say(f"  {when:6.1f}  {fault}")
            await self.warm_up()
            lives = [self.spawn(u.live(random.Random(self.rng.random()))) for u in self.users]
            await faults.carry_out(self, planned, self.say)
            await asyncio.sleep(2 if self.short else 5)
            await self.settle(lives)
            await self.close()
        finally:
            reaper.cancel()
            await self.end_tasks()
            await asyncio.sleep(0.2)        # connections end a little after their tasks
            self.records.close()

    async def end_tasks(self):
        """Again and again: see stop() of the command."""
        while self.tasks:
            for task in self.tasks:
                task.cancel()
            await asyncio.wait(self.tasks, timeout=1)

    async def run(self):
        """Until it is over, or something of the suite itself breaks."""
        life = asyncio.create_task(self.live())
        try:
            await asyncio.wait([life, self.broken], return_when=asyncio.FIRST_COMPLETED)
            if self.broken.done():
                raise self.broken.exception()
            life.result()
        finally:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await life
