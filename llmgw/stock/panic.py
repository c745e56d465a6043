"""What every panic switch has: its file, and what a process does with what is on.

The file is replaced as a whole, and synced; who changed it stands in a log of lines behind it. The brake goes before
its paperwork: a log or a lock that cannot be had does not keep the file from being replaced.
"""

from __future__ import annotations

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


class State(Struct, frozen=True):
    """All that is on. `number` grows with every change, so that of two the newer is known."""

    entries: tuple[Entry, ...] = ()
    number: int = 0


class _Document(Struct, frozen=True):
    version: Literal[1]
    entries: tuple[Entry, ...]
    number: int = 0


_read: Final = msgspec.json.Decoder(_Document).decode


def decode(content: bytes) -> State:
    """ValueError where it is no such document."""
    try:
        document = _read(content)
    # msgspec lets UnicodeDecodeError, which is a ValueError, through for strings that are not UTF-8.
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    return State(document.entries, document.number)


def encode(state: State) -> bytes:
    return msgspec.json.encode(_Document(1, state.entries, state.number))


class _Change(Struct, frozen=True, kw_only=True):
    time: float
    actor: str
    did: str
    scope: str
    reason: str


class PanicFile:
    """Implements `ports.PanicSwitch` for the processes of one machine."""

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
        return self.state().entries

    def state(self) -> State:
        """What it says; OperatorError where that cannot be told."""
        try:
            return decode(self.path.read_bytes())
        except FileNotFoundError:
            return State()
        except (OSError, ValueError) as error:
            raise OperatorError(
                f"{self.path} cannot be read ({error}); 'llmgw panic off' writes it anew, with nothing on."
            ) from error

    def stamp(self) -> tuple[int, int, int]:
        """Differs whenever the file is another one; OSError where it cannot be looked at."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return 0, 0, 0
        return found.st_ino, found.st_mtime_ns, found.st_size

    def change(self, entries: Sequence[Entry], *, did: str, scope: str, actor: str, reason: str) -> None:
        try:
            self.put(State(tuple(entries)))
        except OSError as error:
            raise StoreUnavailable(
                f"Nothing was changed: {self.path} cannot be written ({error.strerror})."
            ) from error
        self.note(did=did, scope=scope, actor=actor, reason=reason)

    def put(self, state: State) -> None:
        """Have this in the file; OSError where the disk does not take it."""
        # A name of its own: where the lock could not be had, two commands must not write into one file.
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            with fresh.open("wb") as file:
                # Whatever the operator's umask: a server that runs as another user must be able to read it.
                os.fchmod(file.fileno(), 0o644)
                file.write(encode(state))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise

    def note(self, *, did: str, scope: str, actor: str, reason: str) -> None:
        """Write down who did it; StoreUnavailable, with what to do, where that is not possible."""
        line = _Change(time=time.time(), actor=actor, did=did, scope=scope, reason=reason)
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


class KnownPanic:
    """Implements `ports.Panic`, but for finding out."""

    def __init__(self) -> None:
        self._refusals: dict[str, int] = {}
        self._refused_total: dict[str, int] = {}
        self.on_change: Callable[[Sequence[Entry]], None] | None = None
        """Told of entries that came on."""
        self.entries: tuple[Entry, ...] = ()

    def refused(self, entry: Entry) -> None:
        for counts in (self._refusals, self._refused_total):
            counts[entry.text] = counts.get(entry.text, 0) + 1

    @property
    def refusals(self) -> Mapping[str, int]:
        return {entry.text: self._refusals.get(entry.text, 0) for entry in self.entries}

    @property
    def refused_total(self) -> Mapping[str, int]:
        return self._refused_total

    def have(self, entries: tuple[Entry, ...]) -> None:
        """From now on these are on."""
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
