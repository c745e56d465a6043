"""The panic switch: a file beside the store, so that it works while the store does not.

It is replaced as a whole, and synced; who changed it stands in a log of lines behind it. A server looks at the file's
stamp five times a second. One that cannot be read changes nothing in a process that runs, and lets a process that
starts refuse every call: nobody can say what was meant to be stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from llmgw.errors import OperatorError, StoreUnavailable
from llmgw.rules.panic import Entry

_log = logging.getLogger("llmgw.panic")

PERIOD_S: Final = 0.2
UNREADABLE: Final = Entry(
    scope="all", action="block", reason="the panic file cannot be read", actor="llmgw", since=0.0
)


class _File(Struct, frozen=True):
    version: int
    entries: tuple[Entry, ...]


_decode: Final = msgspec.json.Decoder(_File).decode


class _Change(Struct, frozen=True, kw_only=True):
    time: float
    actor: str
    did: str
    scope: str
    reason: str


def path_beside(store_path: Path) -> Path:
    """The switch of a store: `llmgw.db` has `llmgw.db.panic`."""
    return store_path.with_name(store_path.name + ".panic")


class PanicFile:
    """Implements `ports.PanicSwitch`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Entry, ...]:
        try:
            return _decode(self.path.read_bytes()).entries
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.MsgspecError) as error:
            raise OperatorError(
                f"{self.path} cannot be read ({error}); 'llmgw panic off' writes it anew, with nothing on."
            ) from error

    def change(self, entries: Sequence[Entry], *, did: str, scope: str, actor: str, reason: str) -> None:
        line = _Change(time=time.time(), actor=actor, did=did, scope=scope, reason=reason)
        content = msgspec.json.encode(_File(1, tuple(entries)))
        try:
            with self.path.with_name(self.path.name + ".log").open("ab") as log:
                log.write(msgspec.json.encode(line) + b"\n")
                log.flush()
                os.fsync(log.fileno())
            fresh = self.path.with_name(self.path.name + ".new")
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be written: {error.strerror}.") from error


class PanicWatch:
    """Implements `ports.Panic` for one process; `run` belongs to its event loop."""

    def __init__(self, path: Path) -> None:
        self._file = PanicFile(path)
        self._stamp: tuple[int, int, int] | None = None
        self._refusals: dict[str, int] = {}
        self.on_change: Callable[[Sequence[Entry]], None] | None = None
        """Told of entries that came on."""
        self.entries: tuple[Entry, ...] = ()
        try:
            self._stamp = self._find_stamp()
            self.entries = self._file.read()
        except (OperatorError, OSError) as error:
            _log.error("every call is refused: %s", error)
            self.entries = (UNREADABLE,)
        for entry in self.entries:
            _log.warning("panic is on: %s %s, by %s: %s", entry.action, entry.text, entry.actor, entry.reason)

    def refused(self, entry: Entry) -> None:
        self._refusals[entry.text] = self._refusals.get(entry.text, 0) + 1

    @property
    def refusals(self) -> Mapping[str, int]:
        return {entry.text: self._refusals.get(entry.text, 0) for entry in self.entries}

    async def run(self) -> None:
        """Look at the file until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self.look()

    def look(self) -> None:
        """Read the file again, if it is another one."""
        try:
            stamp = self._find_stamp()
            if stamp == self._stamp:
                return
            entries = self._file.read()
        except (OperatorError, OSError) as error:
            if self._stamp is not None:
                _log.error("panic stays as it is: %s", error)
            self._stamp = None
            return
        self._stamp = stamp
        before, self.entries = self.entries, entries
        for entry in before:
            if entry not in entries:
                _log.warning("panic is off: %s", entry.text)
                self._refusals.pop(entry.text, None)
        fresh = [entry for entry in entries if entry not in before]
        for entry in fresh:
            _log.warning("panic is on: %s %s, by %s: %s", entry.action, entry.text, entry.actor, entry.reason)
        if fresh and self.on_change is not None:
            self.on_change(fresh)

    def _find_stamp(self) -> tuple[int, int, int]:
        try:
            found = self._file.path.stat()
        except FileNotFoundError:
            return 0, 0, 0
        return found.st_ino, found.st_mtime_ns, found.st_size
