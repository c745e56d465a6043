"""The `simulator` dialect: a provider inside the process, to try, demonstrate and load-test llmgw offline.

Strategy: an answer is computed from the request alone (`openai.py`, `anthropic.py`), so equal requests get
equal bytes; then it is played to the receiver by one timer per call, at the configured pace. Which calls fail
is drawn from a digest of the request and the number of the call: the shares are right over many calls, and a
run that is repeated fails at the same places.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from typing import Final

import msgspec

from llmgw.config.providers import Simulation
from llmgw.errors import UpstreamFailed
from llmgw.ports import Receiver, Transfer, UpstreamRequest
from llmgw.upstream.simulator import anthropic, openai
from llmgw.upstream.simulator.answer import BadRequest, Plain, Stream, digest

__all__ = ["Simulator"]

BURST: Final = 32
"""Tokens handed over at once where no pace is set; between two bursts the receiver can pause."""

_Answer = Callable[[bytes, str, int], Plain | Stream]
_Error = Callable[[int, str, str, str | None, str | None], Plain]

_ENDPOINTS: Final[dict[bytes, tuple[_Answer, _Error]]] = {
    b"/v1/chat/completions": (openai.chat, openai.error),
    b"/v1/completions": (openai.completion, openai.error),
    b"/v1/embeddings": (openai.embedding, openai.error),
    b"/v1/responses": (openai.response, openai.error),
    b"/v1/messages": (anthropic.messages, anthropic.error),
    b"/v1/messages/count_tokens": (anthropic.count_tokens, anthropic.error),
}

_field_of: Final = re.compile(r"`\$\.(\w+)").search


class Simulator:
    """Implements `ports.Upstream` without a network."""

    def __init__(self, settings: Simulation) -> None:
        self._settings = settings
        self._calls = 0

    async def send(
        self, request: UpstreamRequest, receiver: Receiver, *, connect_timeout_s: float
    ) -> Transfer:
        settings = self._settings
        self._calls += 1
        fails = cuts = False
        if settings.error_rate or settings.cut_rate:
            key = hashlib.blake2b(b"%d " % self._calls + request.body, digest_size=8).digest()
            fails = int.from_bytes(key[:4], "big") < settings.error_rate * 2**32
            cuts = not fails and int.from_bytes(key[4:], "big") < settings.cut_rate * 2**32
        answer = _answer(request, settings, fails)
        playback = _Playback(asyncio.get_running_loop(), receiver, answer, settings, cuts)
        playback.start()
        return playback

    async def aclose(self) -> None:
        """Nothing is held open; calls under way play to their end."""


def _answer(request: UpstreamRequest, settings: Simulation, fails: bool) -> Plain | Stream:
    path = request.target.partition(b"?")[0]
    name = digest(request.body)
    answer, error = _ENDPOINTS.get(path, (None, openai.error))
    if fails:
        failure = error(settings.error_status, "This failure is simulated.", name, None, None)
        if settings.error_status in (429, 503, 529):
            failure.headers.append((b"retry-after", b"1"))
        return failure
    if answer is None or request.method != b"POST":
        message = f"Unknown request URL: {request.method.decode()} {path.decode('latin-1')}."
        return error(404, message, name, None, "unknown_url")
    try:
        return answer(request.body, name, settings.output_tokens)
    except BadRequest as bad:
        return error(400, bad.message, name, bad.param, bad.code)
    except msgspec.ValidationError as bad:
        field = _field_of(str(bad))
        return error(400, f"Invalid request: {bad}.", name, field[1] if field else None, "invalid_type")
    except msgspec.DecodeError as bad:
        return error(400, f"The body of the request is not JSON: {bad}.", name, None, None)


class _Playback:
    """One answer on its way to a receiver; implements `ports.Transfer`.

    A token that is due while the receiver is paused is handed over on `resume`, with all that fell due since:
    the provider went on, only its connection was blocked.
    """

    __slots__ = (
        "_answer", "_at", "_begun", "_cuts", "_ended", "_loop", "_paused", "_rate", "_receiver", "_said",
        "_timer", "_wait_s",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receiver: Receiver,
        answer: Plain | Stream,
        settings: Simulation,
        cuts: bool,
    ) -> None:
        self._loop = loop
        self._receiver = receiver
        self._answer = answer
        self._cuts = cuts
        self._rate = settings.tokens_per_second
        self._wait_s = settings.first_token_s
        self._at = 0.0
        self._said = 0
        self._begun = self._paused = self._ended = False
        self._timer: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin in the next turn of the loop, when the caller of `send` has its transfer."""
        answer = self._answer
        if isinstance(answer, Plain):
            wait_s = self._wait_s + ((answer.tokens - 1) / self._rate if self._rate else 0.0)
            self._timer = (
                self._loop.call_later(wait_s, self._play) if wait_s else self._loop.call_soon(self._play)
            )
        else:
            self._timer = self._loop.call_soon(self._head, answer)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        if self._paused and not self._ended:
            self._paused = False
            if self._timer is None:
                self._timer = self._loop.call_soon(self._play)

    def abort(self) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head(self, answer: Stream) -> None:
        self._at = self._loop.time() + self._wait_s
        self._timer = (
            self._loop.call_at(self._at, self._play) if self._wait_s else self._loop.call_soon(self._play)
        )
        self._receiver.head(200, answer.headers)

    def _play(self) -> None:
        """Hand over what is due; wait for the rest."""
        self._timer = None
        if self._paused:
            return
        if isinstance(self._answer, Plain):
            self._play_plain(self._answer)
        else:
            self._play_stream(self._answer)

    def _play_plain(self, answer: Plain) -> None:
        receiver = self._receiver
        receiver.head(answer.status, answer.headers)
        body = answer.body[: len(answer.body) // 2] if self._cuts else answer.body
        if not self._ended:
            receiver.data(body)
        self._finish()

    def _play_stream(self, answer: Stream) -> None:
        said = self._said
        last = answer.tokens // 2 if self._cuts else answer.tokens
        due = said + BURST
        if self._rate:
            due = min(due, max(said, int((self._loop.time() - self._at) * self._rate)) + 1)
        due = min(due, last)
        pieces = [answer.token(index) for index in range(said, due)]
        if not self._begun:
            self._begun = True
            pieces.insert(0, answer.prelude)
        if due == answer.tokens:
            pieces.append(answer.coda)
        self._said = due
        # The timer before the data: the receiver may answer with `pause` or `abort`.
        if due < last:
            if self._rate:
                self._timer = self._loop.call_at(self._at + due / self._rate, self._play)
            else:
                self._timer = self._loop.call_soon(self._play)
        self._receiver.data(b"".join(pieces))
        if due == last:
            self._finish()

    def _finish(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._cuts:
            error = UpstreamFailed("The provider's answer broke off.", detail="a simulated cut (cut_rate)")
            self._receiver.failed(error)
        else:
            self._receiver.end()
