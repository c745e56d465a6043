"""What is wrong with Postgres, in one sentence that says what to do; and what of it concerns the server as a whole.

The classes are those of SQLSTATE (PostgreSQL documentation, appendix A): a server that is going down or has no place
left answers too, but there is nothing to be had from it; a statement that waited too long for a lock, or one that
writes where only reading is allowed, says nothing about the next one.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Final, Literal
from urllib.parse import urlsplit

import asyncpg

Cause = Literal[
    "unreachable",  # nobody there, or somebody else
    "timeout",  # no answer in time
    "lost",  # the connection broke
    "refused",  # it is there and does not let us in: password, database, rights, TLS
    "full",  # every connection it has is taken
    "busy",  # every connection we may have is in use
    "slow",  # this statement took too long; the server is well
    "read_only",  # it can be read, not written
]


class Unavailable(Exception):
    """Postgres gives no answer. The text is the rest of a sentence that begins with the store's name."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause

    def again(self) -> Unavailable:
        """The same, to be raised once more."""
        return Unavailable(self.cause, str(self))


FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises; a TimeoutError is an OSError."""


def name(url: str) -> str:
    """The server and the database, without the password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def diagnose(error: BaseException) -> Unavailable | None:
    """What an error of asyncpg says of the server; None where it is the statement that is wrong, or its data."""
    if isinstance(error, TimeoutError):
        return Unavailable("timeout", "does not answer in time; see whether it is overloaded or cut off.")
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return Unavailable(
            "refused", f"cannot be reached by TLS ({reason}); see sslmode and sslrootcert of store.url."
        )
    if isinstance(error, socket.gaierror):
        return Unavailable("unreachable", "cannot be reached: its host name is not known; check store.url.")
    if isinstance(error, asyncpg.ClientConfigurationError):
        return Unavailable(
            "refused", f"cannot be reached by store.url: {str(error).splitlines()[0].rstrip('.')}."
        )
    if isinstance(error, OSError) and "rejected SSL" in str(error):
        return Unavailable(
            "refused", "does not speak TLS; set ssl = on there, or change sslmode of store.url."
        )
    if isinstance(
        error, asyncpg.PostgresConnectionError | asyncpg.InternalClientError | ConnectionResetError
    ):
        return Unavailable("lost", "broke the connection off; try again.")
    if isinstance(error, OSError):
        # The system's own words: event loops have others, that repeat the address.
        reason = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
        return Unavailable("unreachable", f"cannot be reached ({reason}); start it, or check store.url.")
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return Unavailable(
            "refused", "is at none of its hosts as target_session_attrs of store.url wants it."
        )
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error)
    if isinstance(error, asyncpg.InterfaceError) and "clos" in str(error):
        return Unavailable("lost", "broke the connection off; try again.")
    return None


def concerns_server(found: Unavailable) -> bool:
    """Whether other statements fare no better just now."""
    return found.cause not in ("slow", "read_only", "busy")


def _of_state(error: asyncpg.PostgresError) -> Unavailable | None:
    state = error.sqlstate or ""
    words = str(error).rstrip(".")
    if state == "53300":
        return Unavailable(
            "full",
            f"has no connection left ({words}); raise its max_connections, or run fewer processes or smaller pools.",
        )
    if state == "25006":
        return Unavailable(
            "read_only",
            "is read-only: a standby, or one whose disk is full; point store.url at the primary, or make it writable.",
        )
    if state in ("57014", "55P03", "40P01"):
        return Unavailable("slow", f"did not come to an end in time ({words}); try again.")
    if state in ("57P01", "57P02", "57P03", "57P05"):
        return Unavailable("lost", f"is starting or stopping ({words}); try again.")
    if state in ("53100", "53200", "53400"):
        return Unavailable("read_only", f"takes no more ({words}); make room on its machine.")
    if state == "3D000":
        return Unavailable("refused", f"does not exist ({words}); create it, or check store.url.")
    if state[:2] in ("28", "08") or state == "42501":
        return Unavailable("refused", f"refuses ({words}); check user, password and rights of store.url.")
    return None
