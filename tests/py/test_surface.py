"""The official Python client, unmodified, with everything the embedded surface serves.

The environment says where it is: SURFACE_URL, ANON_KEY, SERVICE_KEY, JWT_SECRET, DATABASE_URL.
"""

import os
import unittest
import uuid

import httpx
from postgrest import APIError, CountMethod
from realtime.types import RealtimePostgresChangesListenEvent as Event
from realtime.types import RealtimeSubscribeStates as State
from storage3.exceptions import StorageApiError
from supabase import AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError
from test_realtime import Seen, database, mint

GROUND = """
drop table if exists public.pys_books, public.pys_authors, public.pys_diary cascade;
create table public.pys_authors (id int primary key, name text not null unique);
create table public.pys_books (
  id int primary key, title text, pages int, tags text[], about jsonb, author_id int references pys_authors);
insert into public.pys_authors values (1, 'Woolf'), (2, 'Kafka');
insert into public.pys_books values
  (1, 'Orlando', 300, '{novel}', '{"year": 1928}', 1),
  (2, 'The Waves', 250, '{novel,sea}', '{"year": 1931}', 1),
  (3, 'The Trial', 200, '{court}', null, 2);
create table public.pys_diary (id int primary key, owner uuid default auth.uid(), text text);
alter table public.pys_diary enable row level security;
create policy pys_own on public.pys_diary to authenticated
  using (owner = (select auth.uid())) with check (owner = (select auth.uid()));
alter publication supabase_realtime add table public.pys_diary;
grant all on public.pys_authors, public.pys_books, public.pys_diary to anon, authenticated, service_role;
create or replace function public.pys_add(a int, b int) returns int language sql immutable as 'select a + b';
create or replace function public.pys_long(at_least int) returns setof pys_books language sql stable
  as 'select * from pys_books where pages >= at_least';
"""


class Surface(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.sql = database()
        self.addCleanup(self.sql.close)
        # Each test begins with the same rows.
        self.sql.execute_simple(GROUND)

    async def asyncSetUp(self):
        self.client = await self.made(os.environ["ANON_KEY"])

    async def made(self, key, **options):
        http = httpx.AsyncClient(timeout=30)
        self.addAsyncCleanup(http.aclose)
        return await acreate_client(
            os.environ["SURFACE_URL"],
            key,
            AsyncClientOptions(auto_refresh_token=False, httpx_client=http, **options),
        )

    async def user(self, sub):
        token = mint(role="authenticated", aud="authenticated", sub=sub)
        return await self.made(os.environ["ANON_KEY"], headers={"Authorization": f"Bearer {token}"})

    async def refused(self, asked, code):
        with self.assertRaises(APIError) as caught:
            await asked.execute()
        self.assertEqual(code, caught.exception.code)
        return caught.exception


class Rest(Surface):
    async def test_select_filter_order_limit(self):
        books = self.client.table("pys_books")
        answer = await books.select("called:title, year:about->>year").gt("pages", 200).order("pages").execute()
        self.assertEqual(
            [{"called": "The Waves", "year": "1931"}, {"called": "Orlando", "year": "1928"}],
            answer.data,
        )
        answer = await books.select("id").order("id", desc=True).limit(1).execute()
        self.assertEqual([{"id": 3}], answer.data)
        answer = await books.select("id").order("id").range(1, 1).execute()
        self.assertEqual([{"id": 2}], answer.data)

    async def test_filters(self):
        books = self.client.table("pys_books")
        cases = [
            (books.select("id").in_("title", ["Orlando", "No, (really)"]), [1]),
            (books.select("id").ilike("title", "the %"), [2, 3]),
            (books.select("id").contains("tags", ["sea"]), [2]),
            (books.select("id").is_("about", "null"), [3]),
            (books.select("id").or_('pages.lt.220,title.eq."The Waves"'), [2, 3]),
            (books.select("id").not_.eq("id", 1), [2, 3]),
            (books.select("id").text_search("title", "waves", {"config": "english"}), [2]),
            (books.select("id").eq("about->>year", "1928"), [1]),
        ]
        for asked, expected in cases:
            answer = await asked.order("id").execute()
            self.assertEqual(expected, [row["id"] for row in answer.data])

    async def test_embedding(self):
        answer = await self.client.table("pys_books").select("title, pys_authors(name)").eq("id", 3).execute()
        self.assertEqual([{"title": "The Trial", "pys_authors": {"name": "Kafka"}}], answer.data)
        answer = await (
            self.client.table("pys_authors")
            .select("name, pys_books!inner(title)")
            .lt("pys_books.pages", 260)
            .order("name")
            .execute()
        )
        self.assertEqual(
            [
                {"name": "Kafka", "pys_books": [{"title": "The Trial"}]},
                {"name": "Woolf", "pys_books": [{"title": "The Waves"}]},
            ],
            answer.data,
        )

    async def test_count(self):
        books = self.client.table("pys_books")
        answer = await books.select("id", count=CountMethod.exact).limit(1).execute()
        self.assertEqual((3, 1), (answer.count, len(answer.data)))
        answer = await books.select("*", count=CountMethod.exact, head=True).execute()
        self.assertEqual(3, answer.count)

    async def test_insert_upsert_update_delete(self):
        books = self.client.table("pys_books")
        row = {"id": 9, "title": "Ü", "pages": None, "tags": ["a,b"], "about": {"deep": [1]}, "author_id": 2}
        self.assertEqual([row], (await books.insert(row).execute()).data)
        answer = await books.upsert([{"id": 9, "title": "New"}, {"id": 10, "title": "Ten"}]).execute()
        self.assertEqual([(9, ["a,b"]), (10, None)], [(kept["id"], kept["tags"]) for kept in answer.data])
        answer = await books.update({"pages": 7}).gte("id", 9).execute()
        self.assertEqual([7, 7], [kept["pages"] for kept in answer.data])
        answer = await books.delete().gte("id", 9).execute()
        self.assertEqual({9, 10}, {gone["id"] for gone in answer.data})
        authors = self.client.table("pys_authors")
        answer = await authors.upsert({"id": 1, "name": "Kafka"}, on_conflict="id", ignore_duplicates=True).execute()
        self.assertEqual([], answer.data)

    async def test_rpc(self):
        self.assertEqual(5, (await self.client.rpc("pys_add", {"a": 2, "b": 3}).execute()).data)
        self.assertEqual(5, (await self.client.rpc("pys_add", {"a": 2, "b": 3}, get=True).execute()).data)
        answer = await self.client.rpc("pys_long", {"at_least": 250}).select("id").order("id").execute()
        self.assertEqual([{"id": 1}, {"id": 2}], answer.data)
        error = await self.refused(self.client.rpc("pys_add", {"a": 2}), "PGRST202")
        self.assertEqual("Perhaps you meant to call the function public.pys_add(a, b)", error.hint)

    async def test_one_row_or_an_error(self):
        books = self.client.table("pys_books")
        answer = await books.select("title").eq("id", 1).single().execute()
        self.assertEqual({"title": "Orlando"}, answer.data)
        error = await self.refused(books.select("title").single(), "PGRST116")
        self.assertEqual("The result contains 3 rows", error.details)
        self.assertIsNone(await books.select("title").eq("id", 99).maybe_single().execute())

    async def test_errors(self):
        authors = self.client.table("pys_authors")
        error = await self.refused(authors.insert({"id": 1, "name": "x"}), "23505")
        self.assertEqual("Key (id)=(1) already exists.", error.details)
        await self.refused(authors.select("nope"), "42703")
        await self.refused(self.client.table("pys_nowhere").select("*"), "PGRST205")
        await self.refused(self.client.schema("auth").from_("users").select("*"), "PGRST106")

    async def test_row_level_security(self):
        ann, bob = str(uuid.uuid4()), str(uuid.uuid4())
        hers, his = await self.user(ann), await self.user(bob)
        await hers.table("pys_diary").insert({"id": 1, "text": "dear"}).execute()
        await self.refused(his.table("pys_diary").insert({"id": 2, "owner": ann}), "42501")
        self.assertEqual([], (await his.table("pys_diary").select("*").execute()).data)
        self.assertEqual([], (await his.table("pys_diary").delete().eq("id", 1).execute()).data)
        answer = await hers.table("pys_diary").select("*").execute()
        self.assertEqual([{"id": 1, "owner": ann, "text": "dear"}], answer.data)


class Auth(Surface):
    async def test_sign_up_in_and_out(self):
        email, password = f"{uuid.uuid4()}@example.com", "correct horse battery"
        made = await self.client.auth.sign_up(
            {"email": email, "password": password, "options": {"data": {"name": "Ann"}}}
        )
        self.assertEqual(email, made.user.email)
        self.assertEqual({"name": "Ann"}, {"name": made.user.user_metadata["name"]})
        await self.client.auth.sign_out()
        self.assertIsNone(await self.client.auth.get_session())

        with self.assertRaises(AuthApiError) as caught:
            await self.client.auth.sign_in_with_password({"email": email, "password": "wrong"})
        self.assertEqual("invalid_credentials", caught.exception.code)

        signed = await self.client.auth.sign_in_with_password({"email": email, "password": password})
        self.assertEqual(made.user.id, signed.user.id)
        found = await self.client.auth.get_user()
        self.assertEqual(email, found.user.email)
        # Who is signed in is known to the tables as well.
        answer = await self.client.table("pys_diary").insert({"id": 1, "text": "x"}).execute()
        self.assertEqual(made.user.id, answer.data[0]["owner"])

        renewed = await self.client.auth.refresh_session()
        self.assertNotEqual(signed.session.refresh_token, renewed.session.refresh_token)
        changed = await self.client.auth.update_user({"data": {"name": "Anna"}})
        self.assertEqual("Anna", changed.user.user_metadata["name"])


class Storage(Surface):
    async def test_files(self):
        backend = await self.made(os.environ["SERVICE_KEY"])
        name = f"py-{uuid.uuid4()}"
        await backend.storage.create_bucket(name)
        self.assertIn(name, [bucket.id for bucket in await backend.storage.list_buckets()])
        files = backend.storage.from_(name)

        await files.upload("notes/a b.txt", b"hello", {"content-type": "text/plain"})
        self.assertEqual(b"hello", await files.download("notes/a b.txt"))
        with self.assertRaises(StorageApiError):
            await files.upload("notes/a b.txt", b"again")
        await files.upload("notes/a b.txt", b"again", {"upsert": "true", "content-type": "text/plain"})
        listed = await files.list("notes")
        self.assertEqual([("a b.txt", 5)], [(entry["name"], entry["metadata"]["size"]) for entry in listed])
        self.assertTrue(await files.exists("notes/a b.txt"))

        signed = await files.create_signed_url("notes/a b.txt", 60)
        async with httpx.AsyncClient() as anybody:
            shown = await anybody.get(signed["signedURL"])
        self.assertEqual((200, b"again"), (shown.status_code, shown.content))

        # A visitor, for whom there is no policy, sees nothing.
        with self.assertRaises(StorageApiError):
            await self.client.storage.from_(name).download("notes/a b.txt")
        self.assertEqual([], await self.client.storage.from_(name).list("notes"))

        await files.move("notes/a b.txt", "moved.txt")
        await files.copy("moved.txt", "copy.txt")
        removed = await files.remove(["moved.txt", "copy.txt"])
        self.assertEqual({"moved.txt", "copy.txt"}, {entry["name"] for entry in removed})
        self.assertEqual([], await files.list())
        await backend.storage.delete_bucket(name)


class Realtime(Surface):
    async def test_what_is_inserted_is_heard_by_whom_it_concerns(self):
        ann = str(uuid.uuid4())
        hers = await self.user(ann)
        token = hers.options.headers["Authorization"].removeprefix("Bearer ")
        await hers.realtime.set_auth(token)
        self.addAsyncCleanup(hers.remove_all_channels)
        rows, states, system = Seen(), Seen(), Seen()
        channel = hers.channel("py_diary")
        channel.on_system(system.add)
        channel.on_postgres_changes(Event.Insert, rows.add, table="pys_diary", schema="public")
        await channel.subscribe(lambda state, error: states.add(state))
        await states.until(lambda state: state == State.SUBSCRIBED)
        await system.until(lambda said: said.extension == "postgres_changes" and said.status == "ok")
        self.sql.run("insert into pys_diary values (5, :other, 'not hers')", other=str(uuid.uuid4()))
        await hers.table("pys_diary").insert({"id": 6, "text": "hers"}).execute()
        await rows.until(lambda row: row["data"]["record"]["id"] == 6)
        self.assertEqual([6], [row["data"]["record"]["id"] for row in rows.items])


if __name__ == "__main__":
    unittest.main()
