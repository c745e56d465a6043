"""The use cases over a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmgw.control import orgs
from llmgw.control.orgs import OrgView
from llmgw.keyring.ring import Keyring
from llmgw.kms.local import LocalKms
from llmgw.standalone import migrations, store
from llmgw.standalone.registry import SqliteRegistry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store without content."""
    store.create(tmp_path / "llmgw.db")
    migrations.up(tmp_path / "llmgw.db")
    return tmp_path / "llmgw.db"


@pytest.fixture
def registry(path: Path) -> Iterator[SqliteRegistry]:
    """The operators' side of it."""
    with SqliteRegistry(path) as registry:
        yield registry


@pytest.fixture
def kms() -> LocalKms:
    """A keyring of one term."""
    return LocalKms(Keyring.generate())


@pytest.fixture
def acme(registry: SqliteRegistry) -> OrgView:
    """An organisation."""
    return orgs.create(registry, "acme")


@pytest.fixture
def globex(registry: SqliteRegistry) -> OrgView:
    """Another organisation."""
    return orgs.create(registry, "globex")
