"""What every directory guarantees (`ports.Directory`), while its store is well.

What it does when the store is not, each adapter's own suite tests with that store's own failures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from time import monotonic
from typing import Any, TypeVar

import msgspec
import pytest

from llmgw.control import credentials, keys
from llmgw.control.keys import NewKey
from llmgw.control.orgs import OrgView
from llmgw.errors import IntegrityError
from llmgw.keyring import virtual_key
from llmgw.ports import Kms, Registry
from llmgw.rules import access
from llmgw.secret import Secret
from tests.contracts.conftest import Backend, RunningDirectory

pytestmark = pytest.mark.anyio

T = TypeVar("T")
VISIBLE_S = 1.0
"""The promise: a change made by any process is seen within this time."""


@pytest.fixture
async def directory(backend: Backend, kms: Kms) -> AsyncIterator[RunningDirectory]:
    """A directory whose task runs as long as the test."""
    with backend.directory(kms) as directory:
        task = asyncio.create_task(directory.run())
        yield directory
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def key(registry: Registry, acme: OrgView) -> NewKey:
    """A key of acme."""
    return keys.create(registry, org="acme", name="k", models=["gpt-*"], metadata={"a": "b"})


async def test_a_key_is_found_by_its_public_id(directory: RunningDirectory, key: NewKey) -> None:
    """The record holds the digest that the key's text has, and what decides access."""
    record = await directory.key(key.public_id)
    assert record is not None
    presented = virtual_key.parse(key.key.reveal())
    assert presented is not None
    access.authenticate(record, presented.digest, now=record.terms[0].expires_at or 0.0)
    assert (record.id, record.org, record.name, record.models) == (key.id, "acme", "k", ("gpt-*",))
    assert directory.degraded is None


async def test_there_surely_is_no_such_key(directory: RunningDirectory, key: NewKey) -> None:
    """An unknown public id is None, as often as it is asked for."""
    for _ in range(3):
        assert await directory.key("0" * 12) is None
        assert directory.known("0" * 12) is None


async def test_a_key_at_hand_is_known_at_once(directory: RunningDirectory, key: NewKey) -> None:
    """`known` never waits: nothing before the first look-up, the same record after it."""
    assert directory.known(key.public_id) is None
    record = await directory.key(key.public_id)
    assert directory.known(key.public_id) is record


async def test_a_credential_opens_for_its_organisation_alone(
    directory: RunningDirectory, registry: Registry, kms: Kms, acme: OrgView, globex: OrgView
) -> None:
    """Two organisations' credentials of one name are two secrets; one that was not set is None."""
    credentials.set_(registry, kms, org="acme", name="openai", secret=Secret("sk-acme"))
    credentials.set_(registry, kms, org="globex", name="openai", secret=Secret("sk-globex"))
    for _ in range(2):
        assert await directory.credential(acme.id, "openai") == Secret("sk-acme")
        assert await directory.credential(globex.id, "openai") == Secret("sk-globex")
        assert await directory.credential(globex.id, "anthropic") is None


async def test_a_credential_copied_to_another_organisation_does_not_open(
    directory: RunningDirectory, registry: Registry, kms: Kms, acme: OrgView, globex: OrgView
) -> None:
    """Write access to the store is not enough to use another tenant's secret, even with its data key."""
    credentials.set_(registry, kms, org="acme", name="openai", secret=Secret("sk-acme"))
    row, data_key = registry.credential("openai", acme.id), registry.data_key(acme.id)
    assert row is not None and data_key is not None
    registry.insert_data_key(msgspec.structs.replace(data_key, org_id=globex.id))
    registry.put_credential(msgspec.structs.replace(row, id="cred_copy", org_id=globex.id))
    for _ in range(2):
        with pytest.raises(IntegrityError, match="openai"):
            await directory.credential(globex.id, "openai")
    assert await directory.credential(acme.id, "openai") == Secret("sk-acme")


async def test_changes_by_another_process_are_seen_in_time(
    backend: Backend, directory: RunningDirectory, registry: Registry, kms: Kms, key: NewKey
) -> None:
    """A revocation, a rotation and a deletion made elsewhere are in force here within the promise."""
    org_id = key.org_id
    second = keys.create(registry, org="acme", name="second")
    credentials.set_(registry, kms, org="acme", name="openai", secret=Secret("sk-acme"))
    assert await directory.key(key.public_id) is not None
    assert await directory.key(second.public_id) is not None
    assert await directory.credential(org_id, "openai") is not None
    await asyncio.to_thread(
        backend.run,
        f"""
keys.revoke(registry, {key.id!r})
keys.rotate(registry, {second.id!r})
credentials.delete(registry, "openai", org="acme")
""",
    )
    deadline = monotonic() + VISIBLE_S
    while True:
        one, two = await directory.key(key.public_id), await directory.key(second.public_id)
        assert one is not None and two is not None
        old = virtual_key.parse(second.key.reveal())
        assert old is not None
        gone = await directory.credential(org_id, "openai") is None
        if one.revoked_at is not None and two.terms[0].digest != old.digest and gone:
            break
        assert monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_key_that_was_asked_for_too_early_works_in_time(
    backend: Backend, directory: RunningDirectory, registry: Registry, acme: OrgView
) -> None:
    """That a key was absent is forgotten when it is made, by whichever process."""
    minted = virtual_key.mint()
    assert await directory.key(minted.public_id) is None
    key = keys.create(registry, org="acme", name="k")
    stored = registry.key(key.id, None)
    assert stored is not None
    await asyncio.to_thread(
        backend.run,
        f"""
import msgspec
key = registry.key({key.id!r}, None)
registry.update_key(msgspec.structs.replace(key, public_id={minted.public_id!r}))
""",
    )
    deadline = monotonic() + VISIBLE_S
    while await directory.key(minted.public_id) is None:
        assert monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_many_who_ask_at_once_get_one_answer(directory: RunningDirectory, key: NewKey) -> None:
    """A burst for a key that is not at hand is answered for all."""
    records = await asyncio.gather(*(directory.key(key.public_id) for _ in range(500)))
    assert {record.id for record in records if record is not None} == {key.id}
    assert None not in records


async def test_one_who_stops_waiting_takes_nothing_from_the_others(
    directory: RunningDirectory, key: NewKey
) -> None:
    """A cancelled look-up does not cancel the one it shared."""
    waiting = [asyncio.create_task(directory.key(key.public_id)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    record = await waiting[1]
    assert record is not None and record.id == key.id


async def test_the_caller_need_not_be_a_task(directory: RunningDirectory, key: NewKey, kms: Kms) -> None:
    """A coroutine that is driven by callbacks alone, as a protocol does, gets its answer."""
    record = await _driven(directory.key(key.public_id))
    assert record is not None and record.id == key.id
    assert await _driven(directory.credential(key.org_id, "none")) is None


def _driven(work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """Run `work` from callbacks of the event loop."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def step(_: object = None) -> None:
        assert asyncio.current_task() is None
        try:
            waits_for = work.send(None)
        except StopIteration as end:
            done.set_result(end.value)
        else:
            waits_for._asyncio_future_blocking = False
            waits_for.add_done_callback(step)

    loop.call_soon(step)
    return done
