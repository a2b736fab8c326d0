"""The official Python client, unmodified: join, Postgres Changes, broadcast and presence.

The environment says where the server is: DOVETAIL_URL, JWT_SECRET, DATABASE_URL.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
import unittest
from urllib.parse import unquote, urlparse

import pg8000.native
from realtime import AsyncRealtimeClient
from realtime.types import RealtimePostgresChangesListenEvent as Event
from realtime.types import RealtimeSubscribeStates as State

PATIENCE = 15


def mint(**claims):
    """A token signed with the server's secret, valid for an hour."""

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    claims = {"exp": int(time.time()) + 3600, **claims}
    signed = b".".join(part(json.dumps(v).encode()) for v in ({"alg": "HS256", "typ": "JWT"}, claims))
    digest = hmac.new(os.environ["JWT_SECRET"].encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + part(digest)).decode()


def database():
    """A superuser session."""
    url = urlparse(os.environ["DATABASE_URL"])
    return pg8000.native.Connection(
        url.username,
        host=url.hostname,
        port=url.port,
        database=url.path[1:],
        password=unquote(url.password),
    )


class Seen:
    """A list that can be waited on."""

    def __init__(self):
        self.items = []
        self.changed = asyncio.Event()

    def add(self, *item):
        self.items.append(item[0] if len(item) == 1 else item)
        self.changed.set()

    async def until(self, fits):
        async with asyncio.timeout(PATIENCE):
            while True:
                for item in self.items:
                    if fits(item):
                        return item
                self.changed.clear()
                await self.changed.wait()


class Realtime(unittest.IsolatedAsyncioTestCase):
    async def client(self, token=None):
        made = AsyncRealtimeClient(f"{os.environ['DOVETAIL_URL']}/socket", token or mint(role="anon"))
        await made.connect()
        self.addAsyncCleanup(made.close)
        return made

    async def subscribed(self, channel):
        states = Seen()
        await channel.subscribe(lambda state, error: states.add(state))
        await states.until(lambda state: state == State.SUBSCRIBED)
        return channel

    def table(self, name):
        sql = database()
        self.addCleanup(sql.close)
        sql.run(f"create table public.{name} (id int primary key, owner text, v text)")
        sql.run(f"grant select on public.{name} to anon, authenticated")
        sql.run(f"alter publication supabase_realtime add table public.{name}")
        return sql

    async def test_rows_arrive_filtered(self):
        sql = self.table("py_notes")
        rows, mine = Seen(), Seen()
        channel = (await self.client()).channel("py_changes")
        channel.on_postgres_changes(Event.All, rows.add, table="py_notes", schema="public")
        channel.on_postgres_changes(
            Event.Insert, mine.add, table="py_notes", schema="public", filter="owner=eq.ann"
        )
        await self.subscribed(channel)
        sql.run("insert into py_notes values (1, 'ann', 'a'), (2, 'bob', 'b')")
        sql.run("update py_notes set v = 'c' where id = 1")
        sql.run("delete from py_notes where id = 1")
        await rows.until(lambda row: row["data"]["type"] == "DELETE")
        kinds = [(row["data"]["type"], row["data"].get("record", {}).get("id")) for row in rows.items]
        self.assertEqual(
            [("INSERT", 1), ("INSERT", 2), ("UPDATE", 1), ("DELETE", None)],
            [(kind, None if kind == "DELETE" else key) for kind, key in kinds],
        )
        self.assertEqual(["ann"], [row["data"]["record"]["owner"] for row in mine.items])

    async def test_row_level_security_hides_rows_of_others(self):
        sql = self.table("py_secrets")
        sql.run("alter table py_secrets enable row level security")
        sql.run(
            "create policy own on py_secrets for select to authenticated using "
            "(owner = (current_setting('request.jwt.claims', true)::jsonb ->> 'sub'))"
        )
        seen = {}
        for who in ("ann", "bob"):
            seen[who] = Seen()
            made = await self.client(mint(role="authenticated", sub=who))
            channel = made.channel(f"py_secrets_{who}")
            channel.on_postgres_changes(Event.All, seen[who].add, table="py_secrets", schema="public")
            await self.subscribed(channel)
        sql.run("insert into py_secrets values (1, 'ann', 'x'), (2, 'bob', 'x')")
        for who, key in (("ann", 1), ("bob", 2)):
            await seen[who].until(lambda row, key=key: row["data"]["record"]["id"] == key)
            self.assertEqual([who], [row["data"]["record"]["owner"] for row in seen[who].items])

    async def test_broadcast_reaches_the_others(self):
        heard = Seen()
        one, two = await self.client(), await self.client()
        sender = await self.subscribed(one.channel("py_room"))
        channel = two.channel("py_room")
        channel.on_broadcast("typing", heard.add)
        await self.subscribed(channel)
        await sender.send_broadcast("typing", {"who": "ann", "n": [1, None, "ü"]})
        message = await heard.until(lambda message: True)
        self.assertEqual({"who": "ann", "n": [1, None, "ü"]}, message["payload"])

    async def test_presence_joins_and_leaves(self):
        joins, leaves = Seen(), Seen()
        watcher = (await self.client()).channel("py_presence", {"config": {"presence": {"key": "watcher"}}})
        watcher.on_presence_join(lambda key, current, new: joins.add(key))
        watcher.on_presence_leave(lambda key, current, left: leaves.add(key))
        await self.subscribed(watcher)
        made = await self.client()
        ann = made.channel("py_presence", {"config": {"presence": {"key": "ann"}}})
        await self.subscribed(ann)
        await ann.track({"mood": "fine"})
        await joins.until(lambda key: key == "ann")
        self.assertEqual("fine", watcher.presence_state()["ann"][0]["mood"])
        await ann.unsubscribe()
        await leaves.until(lambda key: key == "ann")
        self.assertNotIn("ann", watcher.presence_state())


if __name__ == "__main__":
    unittest.main()
