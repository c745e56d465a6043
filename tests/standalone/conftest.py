"""A store with one organisation, one key and one credential, and ways to break it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llmgw.control import credentials, keys, orgs
from llmgw.control.keys import NewKey
from llmgw.keyring.ring import Keyring
from llmgw.kms.local import LocalKms
from llmgw.secret import Secret
from llmgw.standalone import migrations, store
from llmgw.standalone.directory import SqliteDirectory
from llmgw.standalone.registry import SqliteRegistry

SECRET = "sk-provider-secret"


@dataclass
class Stored:
    """A store on disk and what is in it."""

    path: Path
    kms: LocalKms
    key: NewKey
    other: NewKey

    @property
    def org_id(self) -> str:
        return self.key.org_id

    @contextlib.asynccontextmanager
    async def directory(self, stale_s: float = 600.0) -> AsyncIterator[SqliteDirectory]:
        """A directory whose task runs, with `key` and the credential at hand and `other` not."""
        with SqliteDirectory(self.path, self.kms, stale_s=stale_s) as directory:
            task = asyncio.create_task(directory.run())
            assert await directory.key(self.key.public_id) is not None
            assert await directory.credential(self.org_id, "openai") == Secret(SECRET)
            yield directory
            assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """A new store in use."""
    path = tmp_path / "llmgw.db"
    store.create(path)
    migrations.up(path)
    kms = LocalKms(Keyring.generate())
    with SqliteRegistry(path) as registry:
        orgs.create(registry, "acme")
        key = keys.create(registry, org="acme", name="key")
        other = keys.create(registry, org="acme", name="other")
        credentials.set_(registry, kms, org="acme", name="openai", secret=Secret(SECRET))
    return Stored(path, kms, key, other)


@contextlib.contextmanager
def process(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Python code in another process, from its first line of output until the context ends."""
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert running.stdout is not None
    try:
        assert running.stdout.readline(), "it ended before it said that it is ready"
        yield running
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
        if running.stdin is not None:
            running.stdin.close()
