"""One wire API as a reader and a writer of the neutral model, in both directions.

A `Codec` is all that a new API has to bring: every client API then reaches every provider API through
`canonical`, N + M pieces of code instead of N x M. Everything here is pure: bytes and values in, bytes and
values out; ids and times come in as a `Stamp`.

The rule of translation: a writer takes each field of what it is given and carries it, converts it, or hands
it to `Losses`. Nothing else may happen to it; `docs/dialects.md` has the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from llmgw.canonical import Answer, Chat, Event, Native, NativePart, ProviderError
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.hosts import Host
from llmgw.errors import CallError, UnsupportedParameter


class Recipient(Struct, frozen=True, kw_only=True):
    """Who a request is written for. Wire format (the codec), host and model are three different things."""

    model: str
    host: Host
    capabilities: Capabilities


class Stamp(Struct, frozen=True, kw_only=True):
    """What a written answer needs that no answer brings along."""

    id: str
    """Letters, digits, `-` and `_`; unique among all calls. Ids of answers and tool calls are made from it."""
    created: int
    """Unix seconds."""


class Losses:
    """What a target cannot honour: refused, unless the operator said `on_unsupported: drop`.

    Attributes:
        dropped: the fields left out, by the names the client knows them by, in order, each once.
    """

    __slots__ = ("_drop", "_names", "_target", "dropped")

    def __init__(self, names: Mapping[str, str], *, target: str, drop: bool) -> None:
        """
        Args:
            names: the client's own names of canonical fields, as `Codec.names`.
            target: the target's name as the client may see it, for the message.
            drop: leave fields out instead of refusing the request.
        """
        self._names = names
        self._target = target
        self._drop = drop
        self.dropped: list[str] = []

    def refuse(self, field: str, why: str) -> None:
        """A field that would change the answer cannot be expressed.

        Args:
            field: of `Chat` ("top_k"), of a part ("part.audio", "part.citations"), of a tool ("tool.strict"),
                of a message ("message.name"); or of `native`, by the client's own name.
            why: one clause that completes "... is not supported by this model: ".

        Raises:
            UnsupportedParameter: unless fields are to be dropped.
        """
        name = self._names.get(field, field)
        if not self._drop:
            raise UnsupportedParameter(
                f"{name!r} is not supported by the model {self._target!r}: {why}. Leave it out, or ask for "
                "another model; the gateway's operator can have it dropped (on_unsupported: drop).",
                param=name,
            )
        self.advise(field)

    def advise(self, field: str) -> None:
        """A field that cannot change the answer (a cache marker, an end user's id) is left out and reported,
        but is no reason to refuse."""
        name = self._names.get(field, field)
        if name not in self.dropped:
            self.dropped.append(name)

    def refuse_native(self, native: Native, advisory: frozenset[str] = frozenset(), prefix: str = "") -> None:
        """Account for every member of a `native` mapping that comes from another dialect.

        Args:
            native: the members. Null says nothing, so it is no loss.
            advisory: names of members that cannot change the answer.
            prefix: what stands before a member's name to make its path ("messages[].").
        """
        for name, value in native.items():
            if value is None:
                continue
            if name in advisory:
                self.advise(prefix + name)
            else:
                self.refuse(prefix + name, "it has no counterpart there")

    def refuse_part(self, part: NativePart, where: str = "part.") -> None:
        """A part that only another dialect has."""
        self.refuse(where + part.kind, "it has no counterpart there")


class StreamReader(Protocol):
    """Turns a provider's stream into events, whatever pieces it comes in. Emits Start first, End last."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes.

        Raises:
            UpstreamFailed: the stream is no such stream (garbage, wrong types, an event over the cap).
        """
        ...

    def end(self) -> list[Event]:
        """The framing ended; what is left, with End or Failure as the last event of the stream.

        Raises:
            UpstreamFailed: the answer is not complete.
        """
        ...


class StreamWriter(Protocol):
    """Turns events into a client's stream."""

    def write(self, event: Event) -> bytes:
        """What the client gets for `event`, perhaps nothing.

        End brings the normal terminator. Failure brings the in-band error and no terminator after it.
        """
        ...

    def broken(self, error: CallError, request_id: str) -> bytes:
        """The in-band error that ends a stream which can go on no more, without its normal terminator."""
        ...


class ProviderCodec(Protocol):
    """One wire API towards providers."""

    name: str
    """As `Chat.dialect` has it: openai_chat, openai_responses, anthropic, gemini, bedrock."""

    def write_request(self, chat: Chat, to: Recipient, losses: Losses) -> bytes:
        """The body of the request that `chat` becomes for `to`; `chat.dialect` may be this very one.

        Raises:
            UnsupportedParameter: through `losses`.
            InvalidRequest: the request contradicts itself (a tool result without its call).
        """
        ...

    def read_answer(self, body: bytes) -> Answer:
        """Read a provider's plain answer.

        Raises:
            UpstreamFailed: it is no such answer; says what was wrong with it.
        """
        ...

    def stream_reader(self) -> StreamReader: ...

    def read_error(self, status: int, body: bytes) -> ProviderError:
        """Read an error answer; never raises: what is not in the API's shape gives a message of its status."""
        ...


class Codec(ProviderCodec, Protocol):
    """One wire API, towards clients too."""

    names: Mapping[str, str]
    """This API's own names of canonical fields where they differ, for errors: {"stop": "stop_sequences"}."""

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None, query: bytes = b""
    ) -> Chat:
        """Read a client's request.

        Args:
            body: JSON, already known to be one object.
            model: from the URL, where the API has it there.
            stream: the same.
            query: the query string without `?`.

        Raises:
            InvalidRequest: names the field and what it must be.
        """
        ...

    def write_answer(self, answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
        """The body of a plain answer to `chat`. What the API cannot show goes to `losses.advise`: an answer
        is never refused for it."""
        ...

    def stream_writer(self, chat: Chat, stamp: Stamp, losses: Losses) -> StreamWriter:
        """What the API cannot show goes to `losses.advise`, as in `write_answer`."""
        ...
