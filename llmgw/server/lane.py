"""The hot path below ASGI: uvicorn's HTTP protocol, with the data plane served in its parser's callbacks.

When a request's head is complete, a data-plane path stays here and every other path goes to `super()` and so
to the ASGI application. One port, one process, one event loop. Everything uvicorn's protocol promises
(keep-alive, pipelining, HTTP/1.0, 100-continue) holds for both, and what it leaves open is closed here for
both: limits on the head, the body and the time they may take, and the order of answers.

Rules that protect the connection:
- answers leave in the order of their requests; a request that is complete while another is answered waits in
  `pipeline`, and reading pauses meanwhile;
- a malformed request is answered 400 and ends the connection, for its framing can be trusted no more
  (request smuggling, RFC 9112 section 11.2);
- the end of the client's stream is taken as its leaving: a proxy cannot tell a half-closed client from one
  that hung up, and paying a provider for nobody is worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from llmgw.errors import (
    CallError,
    HeadersTooLarge,
    InvalidRequest,
    RequestTimeout,
    RequestTooLarge,
)
from llmgw.flow.admit import Credential
from llmgw.rules import trace
from llmgw.server import paths
from llmgw.server.exchange import Exchange, combined
from llmgw.server.replies import reply
from llmgw.server.steps import Steps

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

    from llmgw.server.reload import Running

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a request's head; agents send long beta lists and tags, none near this."""
UNPROVEN_LIMIT: Final = 64 * 1024
"""Bytes of a body taken before the key is looked at: a stranger must not fill the memory."""
HEAD_S: Final = 15.0
"""Seconds a head may take from its first byte (slow-loris)."""
BODY_S: Final = 30.0
"""Seconds a whole request may take, and one more for every BODY_RATE bytes that came."""
BODY_RATE: Final = 16 * 1024
IDLE_S: Final = 75.0
"""Seconds an idle connection is kept: longer than the clients' own pools keep theirs, so that they close first."""
LINGER_S: Final = 2.0
"""Seconds in which a refused upload is read and thrown away, so that its sender can read the refusal instead
of a reset (RFC 9112 section 9.6)."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Lane(HttpToolsProtocol):
    """One client connection. `running` is set on the subclass that `lane_for` makes for one server."""

    running: Running

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.credential = Credential()
        self._answering: Exchange | RequestResponseCycle | None = None
        self._receiving: Exchange | None = None
        self._in_head = False
        self._head_bytes = 0
        self._message_at = self._idle_at = self.loop.time()
        self._discarding = False
        self._closing_at: float | None = None
        self._default_head: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")

    @property
    def write_paused(self) -> bool:
        """Whether the client is behind with reading."""
        return self.flow.write_paused

    def default_head(self) -> bytes:
        """The header lines of every answer (`date`), encoded once a second."""
        headers = self.server_state.default_headers
        if self._default_head[0] is not headers:
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            self._default_head = (headers, lines)
        return self._default_head[1]

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        if not self._in_head and self._receiving is None:
            self._message_at = self.loop.time()
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self.transport.abort()
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            self._refuse_message(InvalidRequest(f"The request is not valid HTTP/1.1: {error}."))
        else:
            if self._in_head and self._head_bytes > HEAD_LIMIT:
                self._refuse_message(_head_too_large())

    def eof_received(self) -> None:
        if (self._in_head or self._receiving is not None) and not self._discarding:
            self._refuse_message(InvalidRequest("The request ended before it was complete."))

    def connection_lost(self, exc: Exception | None) -> None:
        answering, self._answering = self._answering, None
        self._receiving = None
        self.pipeline.clear()
        if isinstance(answering, Exchange):
            answering.lost()
            answering = None
        self.cycle = answering  # type: ignore[assignment]  # uvicorn tells its own cycle, if one is at work
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if isinstance(self._answering, Exchange):
            self._answering.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if isinstance(self._answering, Exchange):
            self._answering.resume()

    # httptools callbacks

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # the parser stops here; `_ignore_upgrade` feeds the request again
        self._in_head = False
        path, _, query = self.url.partition(b"?")
        if not path.startswith(b"/"):
            path, query = self._absolute_form()
        if path.startswith(paths.PREFIX) or not self._application_can_read_url():
            self._open_exchange(path, query)
        else:
            self._to_application()

    def on_body(self, body: bytes) -> None:
        exchange = self._receiving
        if exchange is not None:
            exchange.size += len(body)
            exchange.body.append(body)
            if exchange.size > exchange.max_body_bytes:
                self._refuse_upload(exchange)
            elif exchange.size > UNPROVEN_LIMIT and not exchange.proven:
                self._prove(exchange, expects_continue=False)
        elif not isinstance(self.cycle, Exchange):
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self.parser.should_upgrade():
            return
        exchange, self._receiving = self._receiving, None
        if exchange is not None:
            self._begin(exchange)
        elif not isinstance(self.cycle, Exchange):
            super().on_message_complete()

    # requests, in order

    def _to_application(self) -> None:
        """Hand the request to uvicorn's own handling, which makes its scope on `on_message_begin`."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()
        if self.running.draining:
            self.cycle.keep_alive = False

    def _application_can_read_url(self) -> bool:
        """Whether uvicorn can make a scope of the URL; where it cannot it would raise."""
        try:
            path = httptools.parse_url(self.url).path
        except httptools.HttpParserInvalidURLError:
            return False
        return bool(path) and path.isascii()

    def _absolute_form(self) -> tuple[bytes, bytes]:
        """Path and query of a request line in absolute form (RFC 9112 section 3.2.2)."""
        try:
            url = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            return self.url, b""
        self.url = (url.path or b"/") + (b"?" + url.query if url.query else b"")
        return url.path or b"/", url.query or b""

    def _open_exchange(self, path: bytes, query: bytes) -> None:
        fields = dict(self.headers)
        if len(fields) != len(self.headers):
            fields = combined(self.headers)
        method = self.parser.get_method().decode("ascii")
        exchange = Exchange(
            self,
            self.running.gateway,
            paths.find(method, path, query, fields),
            method=method,
            query=query,
            fields=fields,
            version=self.parser.get_http_version(),
            keep_alive=self.parser.should_keep_alive() and not self.running.draining,
            previous=self.cycle,
        )
        self.cycle = exchange  # type: ignore[assignment]  # stands in uvicorn's order of cycles
        self._receiving = exchange
        length = fields.get(b"content-length")
        if self._head_bytes > HEAD_LIMIT and sum(map(len, fields.values())) > HEAD_LIMIT:
            self._refuse_rest(exchange, _head_too_large())
        elif length is not None and int(length) > exchange.max_body_bytes:
            self._refuse_upload(exchange)
        elif exchange.is_next:
            expects = b"expect" in fields and fields[b"expect"].lower() == b"100-continue"
            if length is not None and int(length) > UNPROVEN_LIMIT:
                self._prove(exchange, expects)
            elif expects:
                self.transport.write(_CONTINUE)

    def _prove(self, exchange: Exchange, expects_continue: bool) -> None:
        """Look at the key before more of a large body is taken; reading waits meanwhile."""
        exchange.proven = True
        self.flow.pause_reading()
        Steps(self._screen(exchange, expects_continue))()

    async def _screen(self, exchange: Exchange, expects_continue: bool) -> None:
        try:
            await exchange.authenticate()
        except CallError as error:
            if self._receiving is exchange:
                self._refuse_rest(exchange, error)
        else:
            if expects_continue and self._receiving is exchange:
                self.transport.write(_CONTINUE)
        finally:
            if not self.transport.is_closing():
                self.flow.resume_reading()

    def _begin(self, exchange: Exchange) -> None:
        """Serve `exchange` now, or when the answers before it are out."""
        if exchange.is_next:
            self._answering = exchange
            exchange.begin()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]

    def _start_asgi_task(self, cycle: RequestResponseCycle | Exchange, app: ASGI3Application) -> None:
        self._answering = cycle
        if isinstance(cycle, Exchange):
            cycle.begin()
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        answered, self._answering = self._answering, None
        if self.transport.is_closing():
            return
        if isinstance(answered, Exchange) and not answered.keep_alive:
            if self._discarding:
                self._linger()
            else:
                self.transport.close()
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.flow.resume_reading()
            self._idle_at = self.loop.time()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serve a request that offers another protocol as the plain request it also is.

        A server may ignore Upgrade (RFC 9110 section 7.8), and Java's HTTP client offers h2c on every
        cleartext request. The parser stops at such a head, so it is fed again without the offer.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":  # which is nothing but an upgrade (RFC 9110 section 9.3.6)
            self._refuse_message(InvalidRequest("This is no proxy: CONNECT is not served."))
            return
        lines = [method, b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name not in (b"upgrade", b"http2-settings", b"connection"):
                lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n", rest)
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join(lines))

    # refusals

    def _refuse_upload(self, exchange: Exchange) -> None:
        self._refuse_rest(
            exchange,
            RequestTooLarge(
                f"The request body is larger than the limit of {exchange.max_body_bytes} bytes; "
                "send less in one request."
            ),
        )

    def _refuse_rest(self, exchange: Exchange, error: CallError) -> None:
        """Answer a request before it is complete; nothing more is read from this connection."""
        exchange.refusal = error
        exchange.body = []
        exchange.keep_alive = False
        self._receiving = None
        self._discarding = True
        self._begin(exchange)

    def _refuse_message(self, error: CallError) -> None:
        """Answer what is no request, or whose framing cannot be trusted, and end the connection."""
        self._in_head = False
        self._discarding = True
        self._receiving = None
        answering = self._answering
        if answering is not None:
            answering.keep_alive = False  # the answer under way still goes out, and is the last
            return
        dialect = paths.dialect_of(self.url)
        status, headers, body = reply(dialect, error, "req_" + trace.begin(None, None).span_id)
        head = [STATUS_LINE[status], self.default_head()]
        for name, value in headers:
            head += (name, b": ", value, b"\r\n")
        head.append(b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
        self.transport.write(b"".join((*head, body)))
        self._linger()
        self.running.refused(error)

    def _linger(self) -> None:
        self._closing_at = self.loop.time() + LINGER_S
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # time

    def shutdown(self) -> None:
        """Let the answer under way be the last; an idle connection may bring one more request (`close_idle`)."""
        latest = self._latest
        if latest is not None and not latest.response_complete:
            latest.keep_alive = False

    def close_idle(self) -> None:
        """Close the connection unless a request is being received or answered."""
        latest = self._latest
        if not self._in_head and (latest is None or latest.response_complete):
            self.transport.close()

    @property
    def _latest(self) -> Exchange | RequestResponseCycle | None:
        return self.cycle

    def cut(self, error: CallError) -> None:
        """Stop the answer under way (the drain's time is up); with none, the connection ends."""
        if isinstance(self._answering, Exchange):
            self._answering.cut(error)
        elif self._answering is None:
            self.transport.close()

    def sweep(self, now: float) -> None:
        """Close what has waited too long; called about once a second for every connection."""
        if self._closing_at is not None:
            if now >= self._closing_at:
                self.transport.close()
        elif self._discarding:
            return
        elif self._in_head:
            if now - self._message_at > HEAD_S:
                self._refuse_message(RequestTimeout("The request's head took too long to arrive."))
        elif self._receiving is not None:
            if now - self._message_at > BODY_S + self._receiving.size / BODY_RATE:
                self._refuse_message(RequestTimeout("The request's body took too long to arrive."))
        elif self._answering is None and now - self._idle_at > IDLE_S:
            self.transport.close()


def lane_for(running: Running) -> type[Lane]:
    """The protocol class of one server, as uvicorn's `http=` takes it."""
    return type("Lane", (Lane,), {"running": running})


def _head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"The request's head is larger than the limit of {HEAD_LIMIT} bytes.")
