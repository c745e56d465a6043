"""One request of the lane and the response to it being written; implements `ports.Client`.

It takes the place of uvicorn's request-response cycle in the connection's order of answers, so that pipelined
requests of the lane and of the ASGI application queue up behind each other. Small pieces are written at once:
the head goes out together with the first piece of the body.
"""

from __future__ import annotations

import re
import time
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from llmgw.errors import CallError
from llmgw.flow import chat
from llmgw.flow.admit import authenticate
from llmgw.flow.call import Call
from llmgw.flow.gateway import Gateway
from llmgw.ports import Header, Source
from llmgw.rules import trace
from llmgw.server.paths import Found
from llmgw.server.replies import reply
from llmgw.server.steps import Steps

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from llmgw.server.lane import Lane

_request_id: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch
"""A client's own request id is taken when it is plain: it goes into headers and logs as it is."""

JOIN_LIMIT: Final = 64 * 1024
"""Bytes up to which head and body are joined into one write; above it copying costs more than a second one."""


class Exchange:
    """Receives a request, has it served, writes the answer."""

    __slots__ = (
        "_chunked",
        "_head",
        "_open",
        "_previous",
        "_source",
        "_steps",
        "body",
        "dialect",
        "endpoint",
        "fields",
        "gateway",
        "gone",
        "keep_alive",
        "lane",
        "max_body_bytes",
        "method",
        "model",
        "proven",
        "query",
        "refusal",
        "request_id",
        "response_complete",
        "size",
        "started",
        "version",
    )  # fmt: skip

    def __init__(
        self,
        lane: Lane,
        gateway: Gateway,
        found: Found,
        *,
        method: str,
        query: bytes,
        fields: dict[bytes, bytes],
        version: str,
        keep_alive: bool,
        previous: Exchange | RequestResponseCycle | None,
    ) -> None:
        self.lane = lane
        self.gateway = gateway
        self.dialect, self.endpoint, self.refusal, self.model = found
        self.method = method
        self.query = query
        self.fields = fields
        self.version = version
        self.keep_alive = keep_alive
        self.request_id = ""
        self._previous = previous
        self.max_body_bytes = gateway.config.server.max_body_bytes
        self.body: list[bytes] = []
        self.size = 0
        self.proven = False
        """Whether the key was looked at before the body was complete."""
        self.gone = False
        self.started = False
        self.response_complete = False
        self._source: Source | None = None
        self._steps: Steps | None = None
        self._head: list[bytes] | None = None
        self._chunked = False
        self._open = True

    @property
    def is_next(self) -> bool:
        """Whether every answer before this one is out."""
        if self._previous is not None and self._previous.response_complete:
            self._previous = None
        return self._previous is None

    def begin(self) -> None:
        """Serve the request; its body is complete (or it is refused)."""
        self._previous = None
        fields = self.fields
        context = trace.begin(fields.get(b"traceparent"), fields.get(b"tracestate"))
        given = fields.get(b"x-request-id")
        plain = given is not None and _request_id(given) is not None
        self.request_id = given.decode() if given is not None and plain else "req_" + context.span_id
        call = Call(
            time=time.time(),
            request_id=self.request_id,
            trace_id=context.trace_id,
            span_id=context.span_id,
            trace=context,
            method=self.method,
            dialect=self.dialect,
            endpoint=self.endpoint.name,
            operation=self.endpoint,
            received_at=time.monotonic(),
            request_bytes=self.size,
        )
        self._steps = Steps(chat.serve(self.gateway, call, self, self._work(call)))
        self._steps()

    async def authenticate(self) -> None:
        """Raise the CallError that the key deserves, if any; the call itself will look again."""
        await authenticate(
            self.gateway.directory, self.lane.credential, presented_key(self.fields), time.time()
        )

    def _work(self, call: Call) -> Coroutine[Any, Any, None]:
        if self.refusal is not None:
            return chat.refuse(self.refusal)
        presented = presented_key(self.fields)
        if self.method == "GET":
            return chat.models(
                self.gateway,
                call,
                self,
                credential=self.lane.credential,
                presented=presented,
                model_id=self.model,
            )
        body = self.body
        raw = body[0] if len(body) == 1 else b"".join(body)
        self.body = []
        return chat.chat(
            self.gateway,
            call,
            self,
            credential=self.lane.credential,
            presented=presented,
            fields=self.fields,
            query=self.query,
            model=self.model,
            raw=raw,
        )

    # ports.Client

    def attach(self, source: Source) -> None:
        self._source = source
        if self.lane.write_paused:
            source.pause()

    def refuse(self, error: CallError) -> None:
        status, headers, body = reply(self.dialect, error, self.request_id)
        self.start(status, headers, len(body))
        if self.method != "HEAD":  # RFC 9110 section 9.3.2
            self.write(body)
        self.end()

    def start(self, status: int, headers: Sequence[Header], length: int | None) -> None:
        self.started = True
        head = [STATUS_LINE[status], self.lane.default_head(), b"x-request-id: ", self.request_id.encode()]
        for name, value in headers:
            head += (b"\r\n", name, b": ", value)
        if length is not None:
            if status >= 200 and status != 204 and status != 304:  # RFC 9110 section 8.6
                head.append(b"\r\ncontent-length: %d" % length)
        elif self.version == "1.0":
            self.keep_alive = False  # a body of unknown length ends with the connection
        else:
            self._chunked = True
            head.append(b"\r\ntransfer-encoding: chunked")
        if not self.keep_alive:
            head.append(b"\r\nconnection: close")
        elif self.version == "1.0":
            head.append(b"\r\nconnection: keep-alive")
        head.append(b"\r\n\r\n")
        self._head = head

    def write(self, data: bytes) -> None:
        if not self._open:
            return
        transport = self.lane.transport
        parts: list[bytes] = self._head or []
        if self._chunked:
            parts += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            parts.append(data)
        self._head = None
        if len(data) > JOIN_LIMIT:
            transport.writelines(parts)
        else:
            transport.write(b"".join(parts))

    def end(self) -> None:
        if not self._open:
            return
        if self._head is not None or self._chunked:
            parts = self._head or []
            self._head = None
            if self._chunked:
                parts.append(b"0\r\n\r\n")
            self.lane.transport.write(b"".join(parts))
        self._complete()
        self.lane.on_response_complete()

    def abort(self) -> None:
        if self._open:
            self._complete()
            self.lane.transport.abort()

    def _complete(self) -> None:
        self._open = False
        self._source = None
        self.response_complete = True

    # the connection's side

    def pause(self) -> None:
        """The client reads too slowly."""
        if self._source is not None:
            self._source.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._source is not None:
            self._source.resume()

    def lost(self) -> None:
        """The client has gone."""
        self.gone = True
        self._open = False
        self.response_complete = True
        source, self._source = self._source, None
        goes_on = source is not None and source.abandon()
        if self._steps is not None and not goes_on:
            self._steps.cancel()  # it may still be connecting

    def cut(self, error: CallError) -> None:
        """Stop the call now (shutdown)."""
        self.keep_alive = False
        if self._source is not None:
            self._source.fail(error)


def presented_key(fields: dict[bytes, bytes]) -> bytes | None:
    """The virtual key in a request's header fields, wherever its SDK puts it."""
    bearer = fields.get(b"authorization")
    if bearer is not None and bearer[:7].lower() == b"bearer ":
        return bearer[7:].strip()
    return fields.get(b"x-api-key") or fields.get(b"x-goog-api-key")


def combined(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Repeated fields as one list (RFC 9110 section 5.3); of a credential only the first counts."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in fields:
            fields[name] = value
        elif name not in (b"authorization", b"x-api-key", b"x-goog-api-key"):
            fields[name] += b", " + value
    return fields
