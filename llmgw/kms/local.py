"""Wraps data keys under a keyring kept in a file on this machine.

The file is the root of every stored secret, so it is read only when no one else can read or replace it:
a regular file, of this user or root, mode 0600. Root may also give it to the group that this process is in, to
read (0440), and it may be reached through symbolic links that no one else can change: so Kubernetes mounts a
secret, a link to a link to the file, of root and the pod's group. It is created whole or not at all (written and synced
under another name, then linked) and never replaces one that is there: a lost keyring cannot be made again.

    {"format": "llmgw-keyring/1", "current": 1,
     "terms": [{"version": 1, "created_at": "2026-01-31T12:00:00Z", "key": "<base64, 32 bytes>"}]}
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, Self

import msgspec
from msgspec import Struct

from llmgw.errors import AlreadyExists, IntegrityError, OperatorError, StoreUnavailable
from llmgw.keyring import envelope
from llmgw.keyring.ring import Keyring, Term

FORMAT: Final = "llmgw-keyring/1"
_SIZE_LIMIT: Final = 1024 * 1024
_LINK_LIMIT: Final = 16


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["llmgw-keyring/1"]
    current: int
    terms: tuple[Term, ...]


class LocalKms:
    """Implements `ports.Kms` over a Keyring. Term names are `local:<version>`."""

    def __init__(self, keyring: Keyring) -> None:
        self._current = f"local:{keyring.current}"
        self._terms = {f"local:{term.version}": term for term in keyring.terms}

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keyring in the file at `path`.

        Raises:
            StoreUnavailable: it is not there or cannot be read.
            OperatorError: others can read or replace it, or it is not a keyring.
        """
        return cls(_parse(path, _read_private(path)))

    @property
    def current(self) -> str:
        return self._current

    def terms(self) -> Sequence[str]:
        return list(self._terms)

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        current = self._current
        return current, envelope.seal(self._terms[current].key, data_key, _identity(current, context))

    def unwrap(self, term: str, wrapped: bytes, context: bytes) -> bytes:
        known = self._terms.get(term)
        if known is None:
            raise IntegrityError(f"the keyring holds no term {term!r} (it has {', '.join(self._terms)}).")
        return envelope.unseal(known.key, wrapped, _identity(term, context))


def create(path: Path) -> None:
    """Write a new keyring of one random term to `path`, mode 0600.

    Raises:
        AlreadyExists: something is there; it is left alone.
        OperatorError: the file cannot be written.
    """
    ring = Keyring.generate()
    text = msgspec.json.format(msgspec.json.encode(_File(FORMAT, ring.current, ring.terms)), indent=2) + b"\n"
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write_synced(draft, text)
            os.link(draft, path)  # unlike a rename, a link never replaces what is there
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise AlreadyExists(f"{path} is there already and is kept.") from error
    except OSError as error:
        raise OperatorError(f"Cannot write the keyring {path}: {error.strerror}.") from error


def _identity(term: str, context: bytes) -> bytes:
    return envelope.identity_of("llmgw kek", term) + context


def _read_private(path: Path) -> bytes:
    """The file's bytes, once its owner, type and mode are known to be safe (checked on the open file)."""
    try:
        file = os.open(_followed(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise StoreUnavailable(
            f"The keyring {path} does not exist; bring it back from your backup, or make a new "
            "installation with 'llmgw init'."
        ) from error
    except OSError as error:
        raise StoreUnavailable(f"Cannot read the keyring {path}: {error.strerror}.") from error
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise OperatorError(f"The keyring {path} is not a regular file.")
        if found.st_uid not in (0, os.geteuid()):
            raise OperatorError(
                f"The keyring {path} belongs to user {found.st_uid}, who could replace it; run llmgw as that "
                f"user, or: chown {os.geteuid()} {path}"
            )
        if found.st_mode & (0o037 if _given_to_our_group(found) else 0o077):
            raise OperatorError(
                f"The keyring {path} can be reached by other users (mode {stat.S_IMODE(found.st_mode):04o}); "
                f"run: chmod 600 {path}"
            )
        with os.fdopen(file, "rb", closefd=False) as opened:
            return opened.read(_SIZE_LIMIT + 1)
    finally:
        os.close(file)


def _followed(path: Path) -> Path:
    """The file that `path` leads to, itself no link, where nobody else can change a link on the way from it.

    The folders of `path` are as the operator names them; what a link names is looked at step by step.
    """
    here = path.parent.resolve()
    steps = [path.name]
    links = 0
    while steps:
        step = steps.pop()
        here = here.parent if step == ".." else here / step
        if not here.is_symlink():
            continue
        links += 1
        if links > _LINK_LIMIT:
            raise OperatorError(f"The keyring {path} is a symbolic link that leads nowhere.")
        _check_link(path, here)
        target = here.readlink()
        here = Path(target.anchor) if target.is_absolute() else here.parent
        steps += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return here


def _check_link(path: Path, link: Path) -> None:
    """OperatorError where others could make `link`, on the way to the keyring at `path`, lead elsewhere."""
    trusted = (0, os.geteuid())
    folder = link.parent.stat()
    if link.lstat().st_uid not in trusted or folder.st_uid not in trusted:
        changed_by = "belongs to another user"
    elif folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        changed_by = "is in a folder that other users may write to"
    else:
        return
    raise OperatorError(
        f"The keyring {path} is reached through the symbolic link {link}, which {changed_by}, who could make it "
        f"lead elsewhere; name the file itself: {path.resolve()}"
    )


def _given_to_our_group(found: os.stat_result) -> bool:
    """Whether root owns the file and has given it to a group of this process, which root itself has no need of."""
    return (
        os.geteuid() != 0
        and found.st_uid == 0
        and found.st_gid != 0
        and found.st_gid in (os.getegid(), *os.getgroups())
    )


def _parse(path: Path, text: bytes) -> Keyring:
    # msgspec's messages name the place and the type, never the value, so they are safe to show.
    try:
        if len(text) > _SIZE_LIMIT:
            raise ValueError("it is larger than 1 MiB")
        file = msgspec.json.decode(text, type=_File)
        return Keyring(file.terms, file.current)
    except (ValueError, msgspec.MsgspecError) as error:
        raise OperatorError(f"{path} is not a keyring of this version: {error}.") from error


def _write_synced(path: Path, text: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as opened:
        os.fchmod(opened.fileno(), 0o600)  # whatever the umask took away
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_directory(path: Path) -> None:
    """Make a new name in the directory survive a power cut."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
