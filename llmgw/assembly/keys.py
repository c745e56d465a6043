"""The keyring of an installation."""

from __future__ import annotations

from pathlib import Path

from llmgw.config.schema import Config
from llmgw.kms import local
from llmgw.kms.local import LocalKms


def keyring_path(config: Config, base: Path) -> Path:
    """The keyring file; a relative path is relative to the configuration file's folder."""
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
