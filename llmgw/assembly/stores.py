"""What commands and servers open and make: the store, the keyring, their paths."""

from __future__ import annotations

from pathlib import Path

from llmgw.config.schema import Config
from llmgw.kms import local
from llmgw.kms.local import LocalKms
from llmgw.standalone import migrations, panic, store
from llmgw.standalone.flags import SqliteFlagSwitch
from llmgw.standalone.panic import PanicFile
from llmgw.standalone.registry import SqliteRegistry
from llmgw.standalone.reports import SqliteReports


def store_path(config: Config, base: Path) -> Path:
    """The SQLite file; a relative path is relative to the configuration file's folder."""
    return base / config.store.url.removeprefix("sqlite:///")


def keyring_path(config: Config, base: Path) -> Path:
    """The keyring file, likewise."""
    return base / config.kms.keyring


def open_kms(config: Config, base: Path) -> LocalKms:
    """The keys that open stored secrets; StoreUnavailable or OperatorError where they cannot be had."""
    return LocalKms.load(keyring_path(config, base))


def create_kms(config: Config, base: Path) -> bool:
    """Make a keyring where there is none; False where there is."""
    path = keyring_path(config, base)
    if path.exists() or path.is_symlink():
        return False
    local.create(path)
    return True


def open_registry(config: Config, base: Path) -> SqliteRegistry:
    """What operators manage; StoreUnavailable where there is no store, or its schema is another."""
    return SqliteRegistry(store_path(config, base))


def open_reports(config: Config, base: Path) -> SqliteReports:
    """The ledger for operators; StoreUnavailable likewise."""
    return SqliteReports(store_path(config, base))


def open_panic(config: Config, base: Path) -> PanicFile:
    """The panic switch, which needs no store."""
    return PanicFile(panic.path_beside(store_path(config, base)))


def open_flags(config: Config, base: Path) -> SqliteFlagSwitch:
    """What operators say of flags; StoreUnavailable as `open_registry`."""
    return SqliteFlagSwitch(store_path(config, base))


def create_store(config: Config, base: Path) -> bool:
    """Make the store where there is none and bring its schema up to date; whether it was made."""
    path = store_path(config, base)
    made = store.create(path)
    migrations.up(path)
    return made


def migrate(config: Config, base: Path) -> list[migrations.Applied]:
    """Take the pending steps of the store's schema, making the store where there is none."""
    path = store_path(config, base)
    store.create(path)
    return migrations.up(path)


def migration_status(config: Config, base: Path) -> migrations.Status:
    """Which steps of the schema the store has taken."""
    return migrations.status(store_path(config, base))
