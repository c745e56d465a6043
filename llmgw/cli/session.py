"""What a command works on: the configuration, the store and the keyring, opened as they are needed."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from llmgw.assembly.backend import Backend, backend
from llmgw.assembly.keys import open_kms
from llmgw.config.read import load
from llmgw.config.schema import Config
from llmgw.ports import Kms, Registry


def config_path(given: Path | None) -> Path:
    """The configuration file: as given, `$LLMGW_CONFIG`, or `./llmgw.yaml`."""
    return given or Path(os.environ.get("LLMGW_CONFIG") or "llmgw.yaml")


class Session:
    """A command's view of one installation; a context manager that closes what was opened."""

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.config = config
        self._opened = ExitStack()

    @classmethod
    def open(cls, given: Path | None) -> Self:
        """Read the configuration; ConfigInvalid where it has errors. Warnings are left to `config validate`."""
        path = config_path(given)
        config, _ = load(path)
        return cls(path, config)

    @cached_property
    def backend(self) -> Backend:
        """Opens the store."""
        return backend(self.config, self.path.parent)

    @cached_property
    def registry(self) -> Registry:
        """The store. StoreUnavailable where there is none, or it cannot be read."""
        return self._opened.enter_context(self.backend.registry())

    @cached_property
    def kms(self) -> Kms:
        """The keys that open stored secrets."""
        return open_kms(self.config, self.path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
