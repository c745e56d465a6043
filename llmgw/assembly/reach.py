"""Asking providers whether they can be reached, by the way that calls take."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec
from msgspec import Struct

from llmgw.assembly.providers import provider as make
from llmgw.config import providers
from llmgw.config.schema import Config
from llmgw.dialects.anthropic.dialect import VERSION
from llmgw.errors import CallError
from llmgw.ports import Header, UpstreamRequest

REACH_S: Final = 5.0
"""How long `reach` waits for a provider's answer."""


class Reach(Struct, frozen=True, kw_only=True):
    """What came of asking a provider for its list of models. `clock_skew_s`: ours minus the provider's; `proven`:
    whether a secret of the configuration went along."""

    proven: bool = False
    status: int | None = None
    wait_s: float = 0.0
    clock_skew_s: float | None = None
    problem: str | None = None


def reach(config: Config) -> dict[str, Reach]:
    """Ask every provider, by the way that calls take: guard, transport, secret.

    Where requests are signed, listing models takes other rights than calling them, so `/` is asked for: that tries the
    address, and with Google also whether the secret gets a token.
    """

    async def ask_all() -> dict[str, Reach]:
        return {name: await _ask(name, settings) for name, settings in config.providers.items()}

    return asyncio.run(ask_all())


async def _ask(name: str, settings: providers.Provider) -> Reach:
    if settings.dialect == "simulator":
        return Reach()
    provider = make(name, settings, None)
    path = provider.base_path + (_LISTS[settings.dialect] if provider.signer is None else b"/")
    key = provider.keys[0]
    headers = (*key.headers, (b"accept-encoding", b"identity"))
    if settings.dialect == "anthropic":
        headers += ((b"anthropic-version", VERSION),)
    answer = _Answer()
    began = time.monotonic()
    try:
        async with asyncio.timeout(settings.timeouts.connect_s + REACH_S):
            request = UpstreamRequest(method=b"GET", target=path, headers=headers, body=b"")
            if provider.signer is not None and key.secret is not None:
                signed = await provider.signer.headers(key.secret, request, time.time())
                request = msgspec.structs.replace(request, headers=(*headers, *signed))
            transfer = await provider.upstream.send(
                request, answer, connect_timeout_s=settings.timeouts.connect_s
            )
            status, date = await answer.came
            transfer.abort()
    except CallError as error:
        return Reach(problem=error.detail or error.message)
    except TimeoutError:
        return Reach(problem=f"did not answer within {REACH_S:g} s")
    finally:
        await provider.aclose()
    skew = None if date is None else time.time() - parsedate_to_datetime(date).timestamp()
    return Reach(
        proven=bool(settings.secrets), status=status, wait_s=time.monotonic() - began, clock_skew_s=skew
    )


_LISTS: Final = {"openai": b"/models", "anthropic": b"/v1/models", "gemini": b"/v1beta/models"}


class _Answer:
    """A receiver that waits for the head alone."""

    def __init__(self) -> None:
        self.came: asyncio.Future[tuple[int, str | None]] = asyncio.get_running_loop().create_future()

    def head(self, status: int, headers: list[Header]) -> None:
        date = dict(headers).get(b"date")
        self.came.set_result((status, date.decode("latin-1") if date is not None else None))

    def data(self, data: bytes) -> None:
        """The body is of no interest."""

    def end(self) -> None:
        """Nor is its end."""

    def failed(self, error: CallError) -> None:
        if not self.came.done():
            self.came.set_exception(error)
