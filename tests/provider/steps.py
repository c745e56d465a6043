"""What the server does on the wire, as data: an answer is a list of steps; the executor knows nothing else.

Every behaviour, however hostile, compiles to these; a test that needs one of its own sends the list itself.
The structs are the JSON of the control API (bytes travel as base64).
"""

from __future__ import annotations

from msgspec import Struct


class Send(Struct, tag="send", frozen=True):
    """Write `data`, as one write or in pieces of `piece` bytes with `gap_s` between them."""

    data: bytes
    piece: int = 0
    gap_s: float = 0.0


class Flood(Struct, tag="flood", frozen=True):
    """Write `data` `times` times (0: until the client leaves), never more than the client's TCP takes."""

    data: bytes
    times: int = 0
    gap_s: float = 0.0


class Wait(Struct, tag="wait", frozen=True):
    """Do nothing for a while."""

    seconds: float


class Gate(Struct, tag="gate", frozen=True):
    """Do nothing until the test calls `provider.release(name)`."""

    name: str


class Hang(Struct, tag="hang", frozen=True):
    """Do nothing until the client leaves; `deaf`: nor read what it sends until the gate `deaf` is released."""

    deaf: bool = False


class Fin(Struct, tag="fin", frozen=True):
    """Close the connection in good order once what was written has left."""


class Rst(Struct, tag="rst", frozen=True):
    """Break the connection off with a TCP reset."""


Step = Send | Flood | Wait | Gate | Hang | Fin | Rst
