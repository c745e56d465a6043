"""What a wire format is to the rest of llmgw: data where data will do, and a few pure functions.

A `Dialect` knows how its clients expect errors, how its providers take credentials, and how to tell the
start-up, the end and the failure of its streams. An `Endpoint` is one POST path of the data plane. Nothing
here does I/O or reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from llmgw.dialects.body import FieldType
from llmgw.dialects.sse import ServerSentEvent
from llmgw.errors import CallError

Header = tuple[bytes, bytes]


class Endpoint(Struct, frozen=True, kw_only=True):
    """One POST path of the data plane."""

    name: str
    path: bytes
    """As clients ask for it."""
    suffix: bytes
    """Appended to the path of the provider's base URL; with `names_model`, behind `path` and the model."""
    names_model: bool = False
    """Whether the model stands in the path, between `path` and `suffix`, and not in the body."""
    streams: bool = False
    """With `names_model`: whether the answer is a stream; otherwise the body says so."""
    stream_type: bytes = b"text/event-stream"
    """The media type of its streams."""
    types: Mapping[str, FieldType] = {}
    """Fields whose JSON type is checked before anything is sent."""


class ModelCard(Struct, frozen=True, kw_only=True):
    """A model as a client may list it. `created` is Unix seconds."""

    id: str
    owned_by: str
    created: int


class Dialect(Protocol):
    """One provider API's wire format, towards clients and towards providers."""

    name: str
    endpoints: tuple[Endpoint, ...]
    forwarded: tuple[bytes, ...]
    """Request header fields that reach the provider as the client sent them."""

    def error(self, error: CallError, request_id: str) -> bytes:
        """The body of an error answer."""
        ...

    def stream_error(self, endpoint: Endpoint, error: CallError, request_id: str, last: bytes) -> bytes:
        """The in-band error event that ends a broken stream; `last` is the piece sent before it."""
        ...

    def credential(self, secret: str) -> tuple[Header, ...]:
        """The header fields that carry the provider's secret."""
        ...

    def may_refuse_credential(self, status: int) -> bool:
        """Whether its providers refuse the gateway's own credential with this status of the client's, too."""
        ...

    def refuses_credential(self, body: bytes) -> bool:
        """Whether an error's body says that it was the gateway's credential that is refused."""
        ...

    def is_start_up(self, event: ServerSentEvent) -> bool:
        """Whether the event comes before any content."""
        ...

    def ends(self, endpoint: Endpoint, piece: bytes) -> bool:
        """Whether `piece`, whole events, holds the stream's normal terminator."""
        ...

    def is_finished(self, endpoint: Endpoint, tail: bytes) -> bool:
        """Whether a stream that ended without its terminator still says that its answer is complete."""
        ...

    def error_message(self, body: bytes) -> str | None:
        """The message of a provider's error, in an answer's body or an event's data; None where it is none."""
        ...

    def models(self, cards: Sequence[ModelCard]) -> bytes:
        """The body of a list of models."""
        ...

    def model(self, card: ModelCard) -> bytes:
        """The body of one model."""
        ...
