"""Who watches: one observer a host, who asks it for GET /users all the time and notes each
user_status frame that it sends."""
import asyncio
import json

import wsclient
from clients import request
from lost import LOST, Away

EVERY = 0.5
LATER = 2.0         # where the last answer was that it cannot now
PATIENCE = 3.0      # a host that takes longer to say who is there is away


class Observer:
    def __init__(self, scene, host, token):
        self.scene, self.host, self.token = scene, host, token
        self.users = None          # ids that are looked at
        self.said = set()

    def note(self, ev, **row):
        self.scene.records.add("seen", ev=ev, observer=self.host.number, **row)

    async def who(self):
        """Who is online, by this host; None when it does not say."""
        asked = self.scene.records.now()
        try:
            status, users = await asyncio.wait_for(request(self.host.plain, "GET", "/users", self.token), PATIENCE)
            if status == 200:
                return asked, [u["id"] for u in users if u["online"] and u["id"] in self.users]
            self.scene.records.add("run", ev="error", what=f"GET /users answered {status}")
        except (*LOST, Away):
            pass
        self.note("away", asked=asked)
        return asked, None

    async def poll(self):
        while True:
            asked, online = await self.who()
            if online is not None:
                self.note("users", asked=asked, online=online)
            await asyncio.sleep(LATER if online is None else EVERY)

    async def watch(self):
        while True:
            try:
                if self.host.plain.port is None:
                    raise ConnectionRefusedError
                ws = await wsclient.connect(
                    f"ws://127.0.0.1:{self.host.plain.port}/ws", open_timeout=8, close_timeout=1, ping_interval=None,
                    compression=None, headers={"Authorization": f"Bearer {self.token}"})
                try:
                    await self.listen(ws)
                finally:
                    await ws.close()
            except LOST:
                await asyncio.sleep(0.3)

    async def listen(self, ws):
        self.note("watch", on=True)
        view = asyncio.create_task(self.view())
        try:
            while True:
                frame = json.loads(await ws.recv())
                if frame["type"] == "user_status" and frame["data"]["user_id"] in self.users:
                    self.note("status", user=frame["data"]["user_id"], online=frame["data"]["online"])
        finally:
            view.cancel()
            self.note("watch", on=False)

    async def view(self):
        """No frame says who was there before."""
        while True:
            _, online = await self.who()
            if online is not None:
                self.note("view", online=online)
                return
            await asyncio.sleep(LATER)
