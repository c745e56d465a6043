"""The panic switch: a file beside the store, so that it works while the store does not.

It is replaced as a whole, and synced; who changed it stands in a log of lines behind it. A server looks at the file's
stamp five times a second. One that cannot be read changes nothing in a process that runs, and lets a process that
starts refuse every call: nobody can say what was meant to be stopped.

The brake goes before its paperwork: a log or a lock that cannot be had does not keep the file from being replaced.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from llmgw.errors import OperatorError, StoreUnavailable
from llmgw.rules.panic import Entry

_log = logging.getLogger("llmgw.panic")

PERIOD_S: Final = 0.2
HOLD_S: Final = 2.0
"""Longest wait for another operator's command; one that hangs does not hold the brake."""
UNREADABLE: Final = Entry(
    scope="all", action="block", reason="the panic file cannot be read", actor="llmgw", since=0.0
)


class _File(Struct, frozen=True):
    version: Literal[1]
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

    @contextmanager
    def held(self) -> Iterator[None]:
        # The folder itself is locked: that needs no room on the disk and leaves no file behind.
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreUnavailable(f"{self.path.parent} cannot be opened: {error.strerror}.") from error
        try:
            until = time.monotonic() + HOLD_S
            while time.monotonic() < until:
                with suppress(OSError):
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.01)
            yield
        finally:
            os.close(folder)

    def read(self) -> tuple[Entry, ...]:
        try:
            return _decode(self.path.read_bytes()).entries
        except FileNotFoundError:
            return ()
        # msgspec lets UnicodeDecodeError through for strings that are not UTF-8.
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OperatorError(
                f"{self.path} cannot be read ({error}); 'llmgw panic off' writes it anew, with nothing on."
            ) from error

    def change(self, entries: Sequence[Entry], *, did: str, scope: str, actor: str, reason: str) -> None:
        line = _Change(time=time.time(), actor=actor, did=did, scope=scope, reason=reason)
        content = msgspec.json.encode(_File(1, tuple(entries)))
        # A name of its own: where the lock could not be had, two commands must not write into one file.
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            with fresh.open("wb") as file:
                # Whatever the operator's umask: a server that runs as another user must be able to read it.
                os.fchmod(file.fileno(), 0o644)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            raise StoreUnavailable(
                f"Nothing was changed: {self.path} cannot be written ({error.strerror})."
            ) from error
        log_path = self.path.with_name(self.path.name + ".log")
        try:
            _sync_folder(self.path.parent)
            with log_path.open("ab") as log:
                log.write(msgspec.json.encode(line) + b"\n")
                log.flush()
                os.fsync(log.fileno())
        except OSError as error:
            raise StoreUnavailable(
                f"Panic is changed as you asked, but {log_path} cannot be written ({error.strerror}): "
                "write down yourself who did it and why."
            ) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename in it outlive a loss of power."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class PanicWatch:
    """Implements `ports.Panic` for one process; `run` belongs to its event loop."""

    def __init__(self, path: Path) -> None:
        self._file = PanicFile(path)
        self._stamp: tuple[int, int, int] | None = None
        self._refusals: dict[str, int] = {}
        self._refused_total: dict[str, int] = {}
        self.on_change: Callable[[Sequence[Entry]], None] | None = None
        """Told of entries that came on."""
        self.entries: tuple[Entry, ...] = ()
        try:
            stamp = self._find_stamp()
            self.entries = self._file.read()
            # Not before: what could not be read is tried again, also where only its mode was wrong.
            self._stamp = stamp
        except (OperatorError, OSError) as error:
            _log.error("every call is refused: %s", error)
            self.entries = (UNREADABLE,)
        for entry in self.entries:
            _log.warning("panic is on: %s %s, by %s: %s", entry.action, entry.text, entry.actor, entry.reason)

    def refused(self, entry: Entry) -> None:
        for counts in (self._refusals, self._refused_total):
            counts[entry.text] = counts.get(entry.text, 0) + 1

    @property
    def refusals(self) -> Mapping[str, int]:
        return {entry.text: self._refusals.get(entry.text, 0) for entry in self.entries}

    @property
    def refused_total(self) -> Mapping[str, int]:
        return self._refused_total

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
        still = {entry.text for entry in entries}
        for entry in before:
            if entry.text not in still:
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
