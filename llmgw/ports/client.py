"""The way back to a client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llmgw.errors import CallError
from llmgw.ports.upstream import Header


class Source(Protocol):
    """What feeds a client, told how the client fares. Calls come from the event loop and do not block."""

    def pause(self) -> None:
        """The client reads too slowly: stop feeding it soon."""
        ...

    def resume(self) -> None:
        """The client has caught up."""
        ...

    def abandon(self) -> bool:
        """The client has gone: break off whatever was fetched for it, now.

        Returns:
            Whether it is fetched to its end all the same, for the sake of its bill; nothing is sent any more.
        """
        ...

    def fail(self, error: CallError) -> None:
        """Stop, and tell the client why if it can still be told (shutdown)."""
        ...


class Client(Protocol):
    """The answer to one client, being written. Calls after the client has gone are silent no-ops."""

    @property
    def gone(self) -> bool:
        """Whether the client has hung up."""
        ...

    @property
    def started(self) -> bool:
        """Whether a head has been sent, so that the status can change no more."""
        ...

    def attach(self, source: Source) -> None:
        """From now on tell `source` how the client fares."""
        ...

    def refuse(self, error: CallError) -> None:
        """Answer with an error in the client's dialect; only before `start`."""
        ...

    def start(self, status: int, headers: Sequence[Header], length: int | None) -> None:
        """The head. `length` is the body's length in bytes; None frames it as it comes."""
        ...

    def write(self, data: bytes) -> None:
        """A piece of the body."""
        ...

    def end(self) -> None:
        """The body is complete."""
        ...

    def abort(self) -> None:
        """Break the connection off so that the body cannot look complete."""
        ...
