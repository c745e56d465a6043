"""Access tokens: one fetch for many callers, renewed in time, never another secret's, errors that say whose fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from llmgw.errors import CallError, UpstreamCredentials, UpstreamFailed, UpstreamTimeout
from llmgw.ports import UpstreamRequest
from llmgw.secret import Secret
from llmgw.upstream.http1 import Http1Client
from llmgw.upstream.signing.google import AGAIN_S, EARLY_S, LEAST_S, GoogleTokens
from tests.provider import eventually
from tests.provider.tokens import GRANT, Tokens, service_account, serving

pytestmark = pytest.mark.anyio

NOW = 1_760_000_000.0
LIFE_S = 3600.0
REQUEST = UpstreamRequest(method=b"POST", target=b"/", headers=(), body=b"{}")


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    with serving() as server:
        yield server


@pytest.fixture
async def signer() -> AsyncIterator[GoogleTokens]:
    made = GoogleTokens(partial(Http1Client, allow_private=True), allow_private=True)
    yield made
    await made.aclose()


def secret(tokens: Tokens, email: str = "a@acme.example") -> Secret:
    return Secret(service_account(email, tokens.url))


async def ask(signer: GoogleTokens, of: Secret, now: float = NOW) -> str:
    """The token that a call gets."""
    ((name, value),) = await signer.headers(of, REQUEST, now)
    assert name == b"authorization"
    return value.decode().removeprefix("Bearer ")


async def test_many_callers_one_fetch(tokens: Tokens, signer: GoogleTokens) -> None:
    """Fifty calls at once have one token fetched, with a statement that Google's library verifies."""
    of = secret(tokens)
    got = await asyncio.gather(*(ask(signer, of) for _ in range(50)))
    assert set(got) == {"ya29.token-1"} and len(tokens.forms) == 1
    assert tokens.forms[0]["grant_type"] == GRANT
    assert tokens.given == {"ya29.token-1": "a@acme.example"}
    assert await ask(signer, of, NOW + LIFE_S - EARLY_S - 1) == "ya29.token-1"
    assert len(tokens.forms) == 1


async def test_it_is_renewed_beside_the_calls(tokens: Tokens, signer: GoogleTokens) -> None:
    """Near its end the old token still serves while a new one is fetched, once; then the new one does."""
    of = secret(tokens)
    await ask(signer, of)
    tokens.gate.clear()
    late = NOW + LIFE_S - EARLY_S
    assert [await ask(signer, of, late) for _ in range(5)] == ["ya29.token-1"] * 5
    await eventually(lambda: len(tokens.forms) == 2)
    tokens.gate.set()
    await eventually(lambda: len(tokens.given) == 2)
    assert await ask(signer, of, NOW + LIFE_S) == "ya29.token-2"
    assert len(tokens.forms) == 2


async def test_a_token_that_is_refused_is_fetched_anew(tokens: Tokens, signer: GoogleTokens) -> None:
    """It may have been revoked before its end. One that was just fetched stays: then it is the account that is refused,
    and fetching without end would help nobody. Another secret's token is none of it."""
    of, other = secret(tokens), secret(tokens, "b@acme.example")
    assert [await ask(signer, of), await ask(signer, other)] == ["ya29.token-1", "ya29.token-2"]
    sent = await signer.headers(of, REQUEST, NOW + 1)
    signer.refused((*sent, (b"accept", b"*/*")), NOW + 1)
    assert await ask(signer, of, NOW + 1) == "ya29.token-1"
    signer.refused(sent, NOW + AGAIN_S)
    assert [await ask(signer, of, NOW + AGAIN_S), await ask(signer, other, NOW + AGAIN_S)] == [
        "ya29.token-3",
        "ya29.token-2",
    ]


async def test_an_expired_token_is_never_sent(tokens: Tokens, signer: GoogleTokens) -> None:
    """Without a good token a call waits for the next one."""
    of = secret(tokens)
    await ask(signer, of)
    assert await ask(signer, of, NOW + LIFE_S - LEAST_S) == "ya29.token-2"


async def test_a_failed_renewal_costs_nothing_while_the_old_token_is_good(
    tokens: Tokens, signer: GoogleTokens
) -> None:
    """The old token serves on; when it ends, the failure is told."""
    of = secret(tokens)
    await ask(signer, of)
    tokens.answers.append((500, b"oops"))
    late = NOW + LIFE_S - EARLY_S
    assert await ask(signer, of, late) == "ya29.token-1"
    await eventually(lambda: len(tokens.forms) == 2)
    tokens.answers.append((503, b"oops"))
    with pytest.raises(UpstreamFailed):
        await ask(signer, of, NOW + LIFE_S)
    assert await ask(signer, of, NOW + LIFE_S + AGAIN_S + 5) == f"ya29.token-{len(tokens.forms)}"


async def test_secrets_do_not_share_tokens(tokens: Tokens, signer: GoogleTokens) -> None:
    """Each organisation's calls carry the token that its own secret got."""
    own = {email: secret(tokens, email) for email in ("a@acme.example", "b@umbrella.example")}
    for _ in range(2):
        got = await asyncio.gather(*(ask(signer, of) for of in own.values()))
        assert [tokens.given[token] for token in got] == list(own)
    assert len(tokens.forms) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_secret_is_the_gateways_fault(
    status: int, tokens: Tokens, signer: GoogleTokens
) -> None:
    """UpstreamCredentials, with Google's words for the operator alone; the next fetch comes only after a while."""
    of = secret(tokens)
    refusal = json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    tokens.answers.append((status, refusal.encode()))
    for _ in range(3):
        with pytest.raises(UpstreamCredentials) as caught:
            await ask(signer, of)
        assert "invalid_grant: Invalid JWT" in str(caught.value.detail)
        assert "JWT" not in caught.value.message
    assert len(tokens.forms) == 1
    assert await ask(signer, of, NOW + AGAIN_S + 5) == "ya29.token-2"


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"oops"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"access_token": "ya29.x"}'),
        (200, b'{"access_token": "", "expires_in": 3600}'),
        (200, b'{"access_token": "a\\r\\nb", "expires_in": 3600}'),
        (200, b'{"access_token": "ya29.x", "expires_in": true}'),
        (200, b'{"access_token": "ya29.x", "expires_in": -1}'),
        (200, b" " * 100_000),
        (302, b""),
    ],
)
async def test_garbage_is_no_token(answer: tuple[int, bytes], tokens: Tokens, signer: GoogleTokens) -> None:
    """What is no token is never sent as one."""
    tokens.answers.append(answer)
    with pytest.raises(UpstreamFailed):
        await ask(signer, secret(tokens))


async def test_a_slow_server_has_a_deadline(tokens: Tokens) -> None:
    """A call waits no longer than a fetch may take; a caller that leaves takes nothing from the others."""
    signer = GoogleTokens(partial(Http1Client, allow_private=True), allow_private=True, fetch_s=0.3)
    tokens.gate.clear()
    leaving = asyncio.create_task(ask(signer, secret(tokens)))
    staying = asyncio.create_task(ask(signer, secret(tokens)))
    await eventually(lambda: len(tokens.forms) == 1)
    leaving.cancel()
    with pytest.raises(UpstreamTimeout):
        await staying
    assert leaving.cancelled() and len(tokens.forms) == 1


async def test_an_unreachable_server_is_an_upstream_failure(tokens: Tokens, signer: GoogleTokens) -> None:
    """Nobody listens there."""
    with serving() as gone:
        of = Secret(service_account("a@acme.example", gone.url))
    with pytest.raises(UpstreamFailed):
        await ask(signer, of)


@pytest.mark.parametrize(
    "token_uri",
    ["https://tokens.example/token", "http://oauth2.googleapis.com/token", "https://googleapis.com.example/"],
)
async def test_a_secret_is_shown_to_google_alone(token_uri: str) -> None:
    """Another token server needs allow_private."""

    def connect(origin: str) -> Http1Client:
        raise AssertionError(origin)

    signer = GoogleTokens(connect, allow_private=False)
    with pytest.raises(UpstreamCredentials, match="credential") as caught:
        await ask(signer, Secret(service_account("a@acme.example", token_uri)))
    assert "token_uri" in str(caught.value.detail)


async def test_a_persons_consent_is_refreshed(tokens: Tokens, signer: GoogleTokens) -> None:
    """The document of the command line's login has its refresh token sent."""
    document = {
        "type": "authorized_user",
        "client_id": "c.apps.example",
        "client_secret": "d-secret",
        "refresh_token": "1//refresh",
        "token_uri": tokens.url,
    }
    assert await ask(signer, Secret(json.dumps(document))) == "ya29.token-1"
    assert tokens.forms == [
        {
            "grant_type": "refresh_token",
            "client_id": "c.apps.example",
            "client_secret": "d-secret",
            "refresh_token": "1//refresh",
        }
    ]


async def test_a_ready_token_is_used_as_it_is(signer: GoogleTokens) -> None:
    """Nobody is asked."""
    assert await ask(signer, Secret("ya29.a0AfB_byC")) == "ya29.a0AfB_byC"


@pytest.mark.parametrize(
    "text", ["sk-something", "{", "[1]", '{"type": "service_account"}', '{"type": "external_account"}']
)
async def test_another_secret_is_no_secret(text: str, signer: GoogleTokens) -> None:
    """It is the gateway's fault and not the client's."""
    with pytest.raises(CallError) as caught:
        await ask(signer, Secret(text))
    assert isinstance(caught.value, UpstreamCredentials) and text not in str(caught.value.detail)
