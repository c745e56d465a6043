"""Access tokens of Google, one for each secret, fetched before the old one expires.

A token is good for about an hour. Within `EARLY_S` of its end a new one is fetched beside the calls, which go on with
the old one; only without a token that is good for `LEAST_S` more does a call wait. However many calls want a token, one
fetch is under way for a secret; a failed one is not repeated for `AGAIN_S`. Tokens are kept by the digest of the secret
that they were got with, so one organisation's can never serve another.

The fetch is a task of its own with a deadline (the caller may be no task), over the same guarded transports as calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from llmgw.config import accounts
from llmgw.config.accounts import AuthorizedUser, Bearer, ServiceAccount
from llmgw.errors import CallError, UpstreamCredentials, UpstreamFailed, UpstreamTimeout
from llmgw.keyring import assertion
from llmgw.ports import Header, Receiver, Upstream, UpstreamRequest
from llmgw.secret import Secret

FETCH_S: Final = 10.0
"""A fetch takes no longer."""
EARLY_S: Final = 300.0
"""So long before a token's end a new one is fetched; no longer than half its life."""
LEAST_S: Final = 30.0
"""A token that is good for less is not sent any more; no more than a tenth of its life."""
AGAIN_S: Final = 5.0
"""So long a failure stands before the next fetch."""
TOKENS_LIMIT: Final = 10_000
"""Secrets remembered; the one used longest ago is forgotten first."""
ORIGINS_LIMIT: Final = 8
"""Addresses of token servers with a transport kept; there is one, but for Google's partner clouds."""
ANSWER_LIMIT: Final = 64 * 1024
"""Bytes of a token server's answer at most."""

_UNUSABLE: Final = "The gateway has no usable credential for this model; tell the gateway's operator."
_UNREACHED: Final = "The gateway could not get an access token for this model's provider."

Account = ServiceAccount | AuthorizedUser


class GoogleTokens:
    """Implements `ports.Signer`.

    Args:
        connect: makes the transport to an origin, `scheme://host[:port]`.
        allow_private: whether a secret may name a token server that is not Google's.
        fetch_s: how long a fetch may take.
    """

    def __init__(
        self, connect: Callable[[str], Upstream], *, allow_private: bool, fetch_s: float = FETCH_S
    ) -> None:
        self._connect = connect
        self._fetch_s = fetch_s
        self._allow_private = allow_private
        self._tokens: OrderedDict[bytes, _Token] = OrderedDict()
        self._origins: dict[str, Upstream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def headers(self, secret: Secret, request: UpstreamRequest, now: float) -> tuple[Header, ...]:
        token = self._token(secret)
        if now < token.renew_at:
            return token.headers
        if token.fetch is None and now >= token.again_at:
            token.fetch = asyncio.get_running_loop().create_task(self._renew(token, now))
            self._tasks.add(token.fetch)
            token.fetch.add_done_callback(self._tasks.discard)
        if now < token.ends_at:
            return token.headers
        if token.fetch is not None:
            await asyncio.shield(token.fetch)
        if token.failure is not None:
            raise token.failure()
        return token.headers

    def refused(self, headers: Sequence[Header], now: float) -> None:
        # A token may be revoked before its end; the next call fetches another one.
        for token in self._tokens.values():
            if token.headers and token.headers[0] in headers:
                token.forget(now)

    async def aclose(self) -> None:
        for upstream in self._origins.values():
            await upstream.aclose()

    def _token(self, secret: Secret) -> _Token:
        text = secret.reveal()
        digest = hashlib.sha256(text.encode()).digest()
        token = self._tokens.get(digest)
        if token is not None:
            self._tokens.move_to_end(digest)
            return token
        try:
            account = accounts.google(text)
        except ValueError as error:
            raise UpstreamCredentials(_UNUSABLE, detail=f"the secret {error}") from None
        token = _Token(account)
        if not (token.account is None or self._allow_private or accounts.is_google(token.account.token_uri)):
            raise UpstreamCredentials(
                _UNUSABLE,
                detail="the secret names a token_uri that is not Google's; allow_private: true would allow it",
            )
        self._tokens[digest] = token
        if len(self._tokens) > TOKENS_LIMIT:
            self._tokens.popitem(last=False)
        return token

    async def _renew(self, token: _Token, now: float) -> None:
        """Fetch a token; never raises: what came of it is in `token`."""
        assert token.account is not None
        began = time.monotonic() - now
        try:
            async with asyncio.timeout(self._fetch_s):
                form = await asyncio.to_thread(_form, token.account, now)
                status, body = await self._post(token.account.token_uri, form)
            value, lifetime_s = _read(status, body)
        except TimeoutError:
            slow = f"the token server took more than {self._fetch_s:g} s"
            token.failed(UpstreamTimeout, slow, time.monotonic() - began)
        except CallError as error:
            token.failed(type(error), error.detail or error.message, time.monotonic() - began)
        except ValueError as error:
            token.failed(UpstreamCredentials, f"the secret {error}", time.monotonic() - began)
        else:
            token.renewed(value, lifetime_s, now)
        finally:
            token.fetch = None

    async def _post(self, token_uri: str, form: bytes) -> tuple[int, bytes]:
        parts = urlsplit(token_uri)
        answer = _Answer()
        request = UpstreamRequest(
            method=b"POST",
            target=(parts.path or "/").encode() + (f"?{parts.query}".encode() if parts.query else b""),
            headers=(
                (b"content-type", b"application/x-www-form-urlencoded"),
                (b"accept", b"application/json"),
                (b"accept-encoding", b"identity"),
            ),
            body=form,
        )
        upstream = await self._upstream(f"{parts.scheme}://{parts.netloc}")
        transfer = await upstream.send(request, answer, connect_timeout_s=self._fetch_s)
        try:
            return await answer.whole
        finally:
            transfer.abort()

    async def _upstream(self, origin: str) -> Upstream:
        found = self._origins.get(origin)
        if found is not None:
            return found
        if len(self._origins) >= ORIGINS_LIMIT:
            await self._origins.pop(next(iter(self._origins))).aclose()
        return self._origins.setdefault(origin, self._connect(origin))


class _Token:
    """What is known of one secret's token. Times are Unix seconds."""

    __slots__ = ("account", "again_at", "ends_at", "failure", "fetch", "fetched_at", "headers", "renew_at")

    def __init__(self, account: Account | Bearer) -> None:
        self.account = None if isinstance(account, Bearer) else account
        self.headers: tuple[Header, ...] = ()
        self.renew_at = self.ends_at = self.again_at = self.fetched_at = 0.0
        self.fetch: asyncio.Task[None] | None = None
        self.failure: Callable[[], CallError] | None = None
        if isinstance(account, Bearer):
            self._keep(account.token.reveal())
            self.renew_at = self.ends_at = float("inf")  # how long it is good is its giver's secret

    def _keep(self, value: str) -> None:
        self.headers = ((b"authorization", b"Bearer " + value.encode()),)

    def renewed(self, value: str, lifetime_s: float, now: float) -> None:
        self._keep(value)
        self.failure = None
        self.renew_at = now + lifetime_s - min(EARLY_S, lifetime_s / 2)
        self.ends_at = now + lifetime_s - min(LEAST_S, lifetime_s / 10)
        self.fetched_at = now

    def forget(self, now: float) -> None:
        """Have it fetched anew, unless it is new: then it is the account that is refused."""
        if self.account is not None and now - self.fetched_at >= AGAIN_S:
            self.renew_at = self.ends_at = 0.0

    def failed(self, kind: type[CallError], detail: str, now: float) -> None:
        """Note a failure; each caller gets an error of its own."""
        message = _UNUSABLE if kind is UpstreamCredentials else _UNREACHED
        self.failure = lambda: kind(message, detail=detail)
        self.again_at = now + AGAIN_S


class _Answer(Receiver):
    """Collects an answer."""

    def __init__(self) -> None:
        self.whole: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._body = bytearray()

    def head(self, status: int, headers: list[Header]) -> None:
        self._status = status

    def data(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > ANSWER_LIMIT:
            self.failed(UpstreamFailed(_UNREACHED, detail="the token server's answer is too large"))

    def end(self) -> None:
        if not self.whole.done():
            self.whole.set_result((self._status, bytes(self._body)))

    def failed(self, error: CallError) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)


def _form(account: Account, now: float) -> bytes:
    """What is asked: RFC 7523 section 2.1 of a service account, RFC 6749 section 6 of a person."""
    if isinstance(account, ServiceAccount):
        fields = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": assertion.sign(account, now).decode(),
        }
    else:
        fields = {
            "grant_type": "refresh_token",
            "client_id": account.client_id,
            "client_secret": account.client_secret.reveal(),
            "refresh_token": account.refresh_token.reveal(),
        }
    return urlencode(fields).encode()


def _read(status: int, body: bytes) -> tuple[str, float]:
    """The token and the seconds that it is good for (RFC 6749 section 5)."""
    said = _members(body)
    if status in (400, 401, 403):
        words = ": ".join(str(said[name])[:200] for name in ("error", "error_description") if name in said)
        raise UpstreamCredentials(_UNUSABLE, detail=f"the token server answered {status}: {words}")
    value, lifetime_s = said.get("access_token"), said.get("expires_in")
    if (
        status != 200
        or not (
            isinstance(value, str) and value and value.isascii() and value.isprintable() and " " not in value
        )
        or isinstance(lifetime_s, bool)
        or not isinstance(lifetime_s, int | float)
        or lifetime_s <= 0
    ):
        raise UpstreamFailed(_UNREACHED, detail=f"the token server answered {status}, and no access token")
    return value, float(lifetime_s)


def _members(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
