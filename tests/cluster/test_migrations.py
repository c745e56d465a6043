"""The schema is brought up to date beside nodes at work, and steps that would hold them up are refused."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.cluster import migrations, safety, steps
from llmgw.cluster.blocking import Blocking
from llmgw.cluster.postgres import Postgres
from llmgw.cluster.statements import statements
from llmgw.cluster.steps import Step
from llmgw.control import credentials, keys
from llmgw.errors import StoreUnavailable
from llmgw.secret import Secret
from tests import servers
from tests.cluster.conftest import Stored
from tests.provider import wait_until

FIRST = steps.read("0001_first.sql", "-- The first\nCREATE TABLE a (id bigint PRIMARY KEY, name text);\n")
SECOND = steps.read("0002_second.sql", "-- The second\nALTER TABLE a ADD COLUMN more text;\n")
INDEX = steps.read(
    "0003_index.sql",
    "-- An index\n-- llmgw: outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a_name ON a (name);\n",
)


@pytest.fixture
def store(postgres: servers.Postgres, database: str) -> Iterator[Blocking]:
    """An empty store."""
    with Blocking(postgres.url(database)) as blocking:
        yield blocking


def tables(postgres: servers.Postgres, database: str) -> set[str]:
    rows = postgres.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace", database
    )
    return {row["relname"] for row in rows}


def test_the_released_steps_are_taken_once(store: Blocking) -> None:
    """In order; a store that has them all takes none; what is missing is told with the way out."""
    every = [step.name for step in steps.released()]
    assert migrations.status(store).pending == every
    with pytest.raises(StoreUnavailable, match="llmgw migrate up"):
        migrations.require_current(store)
    assert [step.name for step in migrations.up(store)] == every
    assert migrations.up(store) == []
    migrations.require_current(store)
    found = migrations.status(store)
    assert (found.current, found.pending) == (found.latest, [])


def test_released_steps_are_numbered_without_a_gap() -> None:
    """Or what two people added at the same time would be taken in an order that nobody tested."""
    numbers = [step.number for step in steps.released()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_step_that_fails_leaves_nothing(store: Blocking, postgres: servers.Postgres, database: str) -> None:
    """Those before it stay."""
    bad = steps.read("0002_bad.sql", "-- Bad\nCREATE TABLE b (id bigint);\nCREATE TABLE a (id bigint);\n")
    with pytest.raises(StoreUnavailable, match=r"Step 2 .Bad. cannot be taken.*already exists"):
        migrations.up(store, [FIRST, bad])
    assert migrations.status(store, [FIRST, bad]).current == 1
    assert "b" not in tables(postgres, database)


def test_an_index_is_made_beside_writers_and_again_where_it_was_broken_off(
    store: Blocking, postgres: servers.Postgres, database: str
) -> None:
    """What a broken-off CREATE INDEX CONCURRENTLY leaves is no index; it does not stand in the way."""
    migrations.up(store, [FIRST, SECOND])
    postgres.execute("INSERT INTO a VALUES (1, 'x'), (2, 'x')", database)
    with pytest.raises(asyncpg.UniqueViolationError):
        postgres.execute("CREATE UNIQUE INDEX CONCURRENTLY a_name ON a (name)", database)
    migrations.up(store, [FIRST, SECOND, INDEX])
    (row,) = postgres.execute(
        "SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'a_name'::regclass", database
    )
    assert (row["indisvalid"], row["indisunique"]) == (True, False)


def test_a_step_that_was_edited_is_refused(store: Blocking) -> None:
    """Its store was made by other code than this."""
    migrations.up(store, [FIRST])
    edited = steps.read(FIRST.file, FIRST.text + "-- edited\n")
    for refuse in (migrations.status, migrations.up, migrations.require_current):
        with pytest.raises(StoreUnavailable, match="not the one this llmgw knows"):
            refuse(store, [edited])


def test_the_previous_release_works_on_a_newer_schema_that_is_additive(store: Blocking) -> None:
    """And refuses one from which something was taken, as does every release an older one."""
    migrations.up(store, [FIRST, SECOND, INDEX])
    migrations.require_current(store, [FIRST])
    assert migrations.status(store, [FIRST]).current == 3
    assert migrations.up(store, [FIRST]) == []
    contract = steps.read(
        "0004_contract.sql", "-- Contract\n-- llmgw: not additive\nALTER TABLE a DROP COLUMN name;\n"
    )
    migrations.up(store, [FIRST, SECOND, INDEX, contract])
    with pytest.raises(StoreUnavailable, match="upgrade this one"):
        migrations.require_current(store, [FIRST, SECOND, INDEX])
    with pytest.raises(StoreUnavailable, match="migrate up"):
        migrations.require_current(
            store,
            [FIRST, SECOND, INDEX, contract, steps.read("0005_x.sql", "-- X\nCREATE TABLE x (id bigint);\n")],
        )


@pytest.mark.anyio
async def test_this_release_works_on_a_schema_that_was_added_to(stored: Stored) -> None:
    """Every table has a column more, and there is a table that nobody here knows: reading and writing go on, in
    processes that were connected before, and in new ones."""
    tables = ("orgs", "tokens", "data_keys", "credentials", "virtual_keys", "virtual_key_terms", "revision")
    latest = len(steps.released())
    later = [
        steps.read(
            f"{latest + number:04}_more.sql",
            f"-- More\nALTER TABLE {table} ADD COLUMN later text DEFAULT '';\n",
        )
        for number, table in enumerate(tables, 1)
    ]
    assert safety.check(later) == []

    def migrate() -> None:
        with Blocking(stored.url) as store:
            assert len(migrations.up(store, [*steps.released(), *later])) == len(later)

    with stored.registry() as before:
        before.key(stored.key.id, None)
        async with stored.knowing() as node:
            await asyncio.to_thread(migrate)
            with stored.registry() as after:
                for registry in (before, after):
                    made = keys.create(registry, org="acme", name=f"made-{registry is after}")
                    keys.rotate(registry, made.id)
                    credentials.set_(registry, stored.kms, org="acme", name="openai", secret=Secret("sk-new"))
                    assert (await node.directory.key(made.public_id)) is not None
                    assert [org.name for org in registry.orgs(None, 10)] == ["acme"]
            assert await node.directory.key(stored.key.public_id) is not None
        async with stored.node() as another:
            assert await another.directory.key(stored.other.public_id) is not None
            assert await another.directory.credential(stored.org_id, "openai") == Secret("sk-new")


def test_many_migrators_take_each_step_once(postgres: servers.Postgres, database: str) -> None:
    """Every node of a roll-out may run it; indexes and all."""

    def migrate(_: int) -> int:
        with Blocking(postgres.url(database)) as store:
            return len(migrations.up(store, [FIRST, SECOND, INDEX]))

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(migrate, range(5))) == 3


def test_another_migrator_is_waited_for_with_patience(
    store: Blocking, postgres: servers.Postgres, database: str
) -> None:
    """And not for longer."""
    with Blocking(postgres.url(database)) as other:
        other.run(lambda connection: connection.execute("SELECT pg_advisory_lock($1)", migrations._LOCK))
        with pytest.raises(StoreUnavailable, match="another 'llmgw migrate up'"):
            migrations.up(store, [FIRST], patience_s=0.5)
    assert len(migrations.up(store, [FIRST])) == 1


@pytest.mark.anyio
async def test_nobody_waits_longer_than_the_lock_timeout(postgres: servers.Postgres, database: str) -> None:
    """A long transaction keeps a step waiting for its lock, and look-ups that come meanwhile queue behind the step.

    They are answered when its time limit passes; the step tries until the transaction has ended, and then it is taken.
    """

    def migrate(chosen: list[Step]) -> None:
        with Blocking(postgres.url(database)) as store:
            migrations.up(store, chosen, patience_s=30)

    await asyncio.to_thread(migrate, [FIRST])
    postgres.execute("INSERT INTO a SELECT n, n::text FROM generate_series(1, 1000) n", database)
    pool = Postgres(postgres.url(database), size=8)
    task = asyncio.create_task(pool.run())
    longest = 0.0
    looked_up = 0
    stop = False

    async def look_up() -> None:
        nonlocal longest, looked_up
        while not stop:
            began = monotonic()
            assert await pool.fetchrow("SELECT id, name FROM a WHERE id = 7")
            longest = max(longest, monotonic() - began)
            looked_up += 1

    long_one = await asyncpg.connect(postgres.url(database))
    await long_one.execute("BEGIN")
    await long_one.fetch("SELECT count(*) FROM a")
    traffic = [asyncio.create_task(look_up()) for _ in range(8)]
    migrating = asyncio.create_task(asyncio.to_thread(migrate, [FIRST, SECOND, INDEX]))
    await asyncio.sleep(2)
    assert not migrating.done()
    await long_one.execute("COMMIT")
    await migrating
    stop = True
    await asyncio.gather(*traffic)  # none of them failed
    assert looked_up > 1000
    assert migrations.LOCK_TIMEOUT_S / 2 < longest < migrations.LOCK_TIMEOUT_S + 0.12
    await long_one.close()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_a_lock_that_is_never_given_ends_the_command(
    store: Blocking, postgres: servers.Postgres, database: str
) -> None:
    """With the reason and the way out, and nothing done."""
    migrations.up(store, [FIRST])
    with Blocking(postgres.url(database)) as other, other.transaction():
        other.run(lambda connection: connection.execute("LOCK TABLE a IN ACCESS SHARE MODE"))
        with pytest.raises(StoreUnavailable, match="long transactions hold locks that step 2 needs"):
            migrations.up(store, [FIRST, SECOND], patience_s=1)
    assert migrations.status(store, [FIRST, SECOND]).pending == ["The second"]
    assert len(migrations.up(store, [FIRST, SECOND])) == 1


def test_a_migrator_that_dies_leaves_the_store_to_the_next(postgres: servers.Postgres, database: str) -> None:
    """Its lock goes with its connection."""

    def migrate() -> int:
        with Blocking(postgres.url(database)) as store:
            return len(migrations.up(store, [FIRST], patience_s=20))

    with Blocking(postgres.url(database)) as holder, ThreadPoolExecutor(1) as thread:
        holder.run(lambda connection: connection.execute("SELECT pg_advisory_lock($1)", migrations._LOCK))
        migrating = thread.submit(migrate)
        wait_until(
            lambda: postgres.execute("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_try_advisory'")
        )
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        )
        assert migrating.result(10) == 1


def test_released_steps_do_not_block() -> None:
    """By our rules and, where it is installed, by squawk's."""
    assert safety.check() == []


IN_USE = "-- T\n"
NEW = "-- T\nCREATE TABLE t (id bigint PRIMARY KEY, a text, b text);\n"
OUTSIDE = "-- T\n-- llmgw: outside a transaction\n"
LATER = "-- T\n-- llmgw: not additive\n"


def rules(text: str) -> set[str]:
    """Our own rules that a file breaks."""
    return {
        fault.rule for fault in safety.check([steps.read("0009_t.sql", text)]) if "squawk" not in fault.rule
    }


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX t_a ON t (a);", "index-concurrently"),
        ('CREATE UNIQUE INDEX t_a ON "t" (a);', "index-concurrently"),
        ("CREATE INDEX CONCURRENTLY t_a ON t (a);", "concurrently"),
        ("ALTER TABLE t ADD COLUMN c text NOT NULL;", "required-column"),
        ("alter table only t add c bigint not null, add d text default 'x';", "required-column"),
        ("ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid();", "volatile-default"),
        ("ALTER TABLE t ADD COLUMN c text GENERATED ALWAYS AS (a || b) STORED;", "generated-column"),
        ("ALTER TABLE t ALTER COLUMN a TYPE bigint USING a::bigint;", "type"),
        ("ALTER TABLE t ALTER a SET DATA TYPE bigint;", "type"),
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL;", "set-not-null"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a <> '');", "validate-later"),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o (id);", "validate-later"),
        ("ALTER TABLE t ADD COLUMN o text REFERENCES o (id);", "reference-later"),
        ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a);", "unique-by-index"),
        ("ALTER TABLE t ADD PRIMARY KEY (a);", "unique-by-index"),
        ("ALTER TABLE t SET TABLESPACE fast;", "storage"),
        ("UPDATE t SET a = 'x';", "backfill"),
        ("DELETE FROM t WHERE a IS NULL;", "backfill"),
        ("LOCK TABLE t;", "lock"),
        ("VACUUM FULL t;", "rewrite"),
        ("REINDEX TABLE t;", "rewrite"),
        ("DROP TABLE t;", "drop"),
        ("ALTER TABLE t DROP COLUMN a;", "drop-column"),
        ("ALTER TABLE t DROP a;", "drop-column"),
        ("ALTER TABLE t RENAME COLUMN a TO c;", "rename"),
        ("ALTER TABLE t RENAME TO u;", "rename"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a <> '') NOT VALID;", "stricter"),
        ("COMMIT;", "control"),
        ("SET lock_timeout = 0;", "control"),
        ("ALTER TABLE t ADD COLUMN c text; ALTER TABLE u ADD COLUMN c text;", "one-table"),
        (
            "ALTER TABLE t ADD COLUMN c text; CREATE TRIGGER x AFTER INSERT ON u EXECUTE FUNCTION f();",
            "one-table",
        ),
    ],
)
def test_what_would_hold_up_a_table_in_use_is_refused(statement: str, rule: str) -> None:
    """By its rule, with the line of the statement."""
    faults = safety.check([steps.read("0009_t.sql", IN_USE + "/* c */\n" + statement)])
    assert rule in {fault.rule for fault in faults}
    assert {fault.line for fault in faults if fault.rule == rule} == {3}
    assert all(
        fault.file == "0009_t.sql" and fault.message.endswith(".") for fault in faults if fault.rule == rule
    )


@pytest.mark.parametrize(
    "text",
    [
        NEW
        + "CREATE INDEX t_a ON t (a); ALTER TABLE t ADD CONSTRAINT c CHECK (a <> ''); INSERT INTO t VALUES (1, '', '');",
        IN_USE + "ALTER TABLE t ADD COLUMN c text;",
        IN_USE
        + "ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT 'it''s; NOT this', ADD COLUMN d double precision;",
        IN_USE + "ALTER TABLE t ADD COLUMN c text; ALTER TABLE t ADD COLUMN d text;",
        IN_USE
        + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $x$ BEGIN UPDATE t SET a = ''; COMMIT; END $x$;",
        IN_USE
        + "-- DROP TABLE t;\n/* UPDATE t; /* nested */ LOCK t; */ ALTER TABLE t ALTER COLUMN a SET DEFAULT '';",
        IN_USE + "ALTER TABLE t VALIDATE CONSTRAINT c;",
        IN_USE + "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX t_a;",
        OUTSIDE
        + "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a); DROP INDEX CONCURRENTLY IF EXISTS t_b;",
        LATER + "ALTER TABLE t DROP COLUMN a;",
        LATER + "DROP TABLE t;",
    ],
)
def test_what_holds_nobody_up_is_let_through(text: str) -> None:
    """Tables of the same file are nobody's yet; what stands in strings, bodies and comments is no statement."""
    assert rules(text) == set()


@pytest.mark.skipif(
    shutil.which("squawk") is None and not Path(sys.executable).with_name("squawk").exists(),
    reason="squawk is not installed",
)
def test_squawk_is_asked_where_it_is_installed() -> None:
    """Its findings come beside ours, with its own names."""
    faults = safety.check([steps.read("0009_t.sql", IN_USE + "\nALTER TABLE t ADD COLUMN c text NOT NULL;")])
    assert ("squawk: adding-required-field", 3) in {(fault.rule, fault.line) for fault in faults}


@pytest.mark.parametrize(
    ("file", "text"),
    [("1_x.sql", "-- T\n"), ("0001_x.sql", "SELECT 1"), ("0001_x.sql", "-- T\n-- llmgw: in a hurry\n")],
)
def test_a_file_that_is_not_understood_is_no_step(file: str, text: str) -> None:
    """A mistyped comment must not change how a step is taken in silence."""
    with pytest.raises(ValueError, match="no step"):
        steps.read(file, text)


@given(
    st.lists(
        st.sampled_from(
            ["a", " ", "\n", "'", "''", '"', "$$", "$t$", "--", "/*", "*/", "\\", "E'", "1", "(", "\u00fc"]
        ),
        max_size=30,
    ).map("".join)
)
def test_no_text_stops_the_reader(text: str) -> None:
    """Whatever stands in a file, it is read to its end, and statements keep their order."""
    found = list(statements(text + ";"))
    assert [statement.line for statement in found] == sorted(statement.line for statement in found)


def test_statements_end_where_they_end() -> None:
    """Not in strings, names, bodies and comments."""
    text = "-- c;\nSELECT ';', E'\\';', \";\", $a$ ; $b$ ; $a$ -- ;\n;\n\n/* ; /* ; */ ; */ B ; ; C"
    assert [(s.line, s.plain) for s in statements(text)] == [
        (2, "select '', '', \";\", $$"),
        (5, "b"),
        (5, "c"),
    ]
