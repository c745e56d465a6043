"""Providers whose requests are signed: Bedrock and Vertex AI, from every client, with official SDKs.

The test server keeps what it got, and the tests hold it against AWS's own signer, and against the tokens that a token
server on another socket gave, and to whom.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from google import genai
from google.genai import types

from llmgw.config.accounts import AwsKeys
from llmgw.secret import Secret
from tests.e2e.test_translation import CLIENTS, TEXT, Said, post
from tests.gateway import Gateway, House, installed
from tests.provider import Provider, canned, wait_until
from tests.provider.records import Seen
from tests.provider.tokens import Tokens, service_account, serving
from tests.upstream.signing.oracle import signature

REGION = "us-east-1"
KEYS = AwsKeys("ASIAEXAMPLEKEY", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCY"), Secret("session/token/of+acme=="))
AWS_SECRET = "ASIAEXAMPLEKEY:wJalrXUtnFEMI/K7MDENG+bPxRfiCY:session/token/of+acme=="
EMAIL = "gateway@acme.example"
NOVA = "us.amazon.nova-lite-v1:0"
VERTEX = "/v1/projects/acme-1/locations/us-central1/publishers"
GEMINI_PATH = VERTEX + "/google/models/gemini-2.5-flash"
CLAUDE_PATH = VERTEX + "/anthropic/models/claude-sonnet-4-5@20250929"


def providers(url: str, **secrets: str) -> dict[str, Any]:
    """All three in front of the test server; `secrets` go to each."""
    common = {"base_url": url, "allow_private": True}
    vertex = {**common, "project": "acme-1", "location": "us-central1"}
    return {
        "vertex": {"dialect": "gemini", "host": "vertex", **vertex, **secrets},
        "claudes": {"dialect": "anthropic", "host": "vertex-anthropic", **vertex, **secrets},
        "bedrock": {"dialect": "bedrock", "region": REGION, **common, **secrets},
    }


MODELS = {
    "gemini": {"targets": ["vertex/gemini-2.5-flash"]},
    "claude": {"targets": ["claudes/claude-sonnet-4-5@20250929"]},
    "nova": {"targets": [f"bedrock/{NOVA}"]},
}


@pytest.fixture(scope="module")
def tokens() -> Iterator[Tokens]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def house(
    provider_process: Provider, tokens: Tokens, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = providers(provider_process.url)
    for name in ("vertex", "claudes"):
        settings[name]["api_key"] = "${GOOGLE_ACCOUNT}"
    settings["bedrock"]["api_key"] = "${AWS_KEYS}"
    with installed(
        tmp_path_factory.mktemp("signed"),
        env={"GOOGLE_ACCOUNT": service_account(EMAIL, tokens.url), "AWS_KEYS": AWS_SECRET},
        providers=settings,
        models=MODELS,
        telemetry={"log_level": "debug"},
    ) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(house: House) -> Iterator[Gateway]:
    with house.serve() as running:
        yield running


def assert_signed(seen: Seen, keys: AwsKeys = KEYS) -> None:
    """The request carries the very signature that AWS's own SDK makes for it."""
    date, host, kind = (seen.header(name) for name in ("x-amz-date", "host", "content-type"))
    assert date is not None and host is not None and kind is not None
    now = datetime.strptime(date.decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    assert abs(now - datetime.now(UTC).timestamp()) < 60
    expected = signature(
        keys,
        seen.method,
        f"http://{host.decode()}{seen.target}",
        {"host": host.decode(), "content-type": kind.decode()},
        seen.body,
        region=REGION,
        service="bedrock",
        now=now,
    )
    assert {name: seen.header(name.decode()) for name in expected} == expected


def bearer(seen: Seen) -> str:
    value = seen.header("authorization")
    assert value is not None and value.startswith(b"Bearer ")
    return value.removeprefix(b"Bearer ").decode()


PATHS = {
    ("gemini", False): GEMINI_PATH + ":generateContent",
    ("gemini", True): GEMINI_PATH + ":streamGenerateContent?alt=sse",
    ("claude", False): CLAUDE_PATH + ":rawPredict",
    ("claude", True): CLAUDE_PATH + ":streamRawPredict",
    ("nova", False): "/model/us.amazon.nova-lite-v1%3A0/converse",
    ("nova", True): "/model/us.amazon.nova-lite-v1%3A0/converse-stream",
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_reaches_every_one(
    client: str, model: str, stream: bool, gateway: Gateway, house: House, provider: Provider, tokens: Tokens
) -> None:
    """The SDK reads text, finish reason and usage; the provider was asked at its own path, with a token or a signature
    of the gateway's account, and nothing of the client's key."""
    ask, finish = CLIENTS[client]
    assert ask(gateway, house.key, model, stream) == Said(TEXT, finish, 14 if model == "claude" else 9, 5)
    seen = provider.last()
    assert seen.target == PATHS[model, stream]
    if model == "nova":
        assert_signed(seen)
        assert not stream or seen.header("accept") == b"application/vnd.amazon.eventstream"
    else:
        assert tokens.given[bearer(seen)] == EMAIL
    if model == "claude":
        asked = seen.json()
        assert asked["anthropic_version"] == "vertex-2023-10-16" and "model" not in asked
        assert asked.get("stream", False) is stream
        assert seen.header("anthropic-version") is None
    assert house.key not in seen.body.decode() + seen.head.decode()


def test_one_token_serves_them_all(
    gateway: Gateway, house: House, provider: Provider, tokens: Tokens
) -> None:
    """A provider fetches its token once, however many calls come."""
    for _ in range(3):
        CLIENTS["gemini"][0](gateway, house.key, "gemini", False)
    assert len({bearer(seen) for seen in provider.seen()}) == 1
    assert len(tokens.forms) <= 2  # one for each of the two providers


def test_a_profile_of_ones_own_is_signed_for(gateway: Gateway, house: House, provider: Provider) -> None:
    """The colons and slashes of an ARN stand encoded in the path, and once more in what is signed."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"
    asked = {"model": f"bedrock/{arn}", "messages": [{"role": "user", "content": "x"}]}
    assert post(gateway, house.key, "/v1/chat/completions", asked).status_code == 200
    seen = provider.last()
    assert seen.target == (
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123def456/converse"
    )
    assert_signed(seen)


def test_no_secret_is_logged(gateway: Gateway, house: House, provider: Provider, tokens: Tokens) -> None:
    """Neither the keys nor the account nor a token stands in a log at debug level."""
    for client, model in (("chat", "nova"), ("chat", "gemini")):
        CLIENTS[client][0](gateway, house.key, model, False)
    text = gateway.text()
    assert "wJalrXUt" not in text and "PRIVATE KEY" not in text and "session/token" not in text
    assert not any(token in text for token in tokens.given)


def test_gemini_passes_as_it_is(gateway: Gateway, house: House, provider: Provider) -> None:
    """Within one dialect body and answer are untouched, plain, as events and as an array."""
    body = '{"contents" : [{"role":"user","parts":[{"text":"x"}]}],  "x_unknown":1.0}'
    with httpx.Client(base_url=gateway.url, headers={"x-goog-api-key": house.key}, timeout=20) as client:
        for method, query in (
            ("generateContent", ""),
            ("streamGenerateContent", "alt=sse"),
            ("streamGenerateContent", ""),
            ("countTokens", ""),
        ):
            url = f"/v1beta/models/gemini:{method}?key=mine&{query}"
            answer = client.post(url, content=body)
            seen = provider.last()
            assert seen.body.decode() == body
            assert seen.target == f"{GEMINI_PATH}:{method}" + (f"?{query}" if query else "")
            assert answer.content == canned.answer(seen.target.partition("?")[0], {}, query).body


CLAUDE_BODY = (
    '{ "max_tokens":16,  "model" : "claude", "messages":[{"role":"user","content":"\\u00e9 \\"model\\""}],'
    ' "x_unknown":1.0%s }'
)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_claude_passes_but_for_model_and_version(
    stream: bool, gateway: Gateway, house: House, provider: Provider
) -> None:
    """Within one dialect the model goes into the path and the version into the body; every other byte stays. The
    SDK's query and version header do not go on, betas do."""
    more = ', "stream":true' if stream else ""
    body = CLAUDE_BODY % more
    headers = {"x-api-key": house.key, "anthropic-version": "2023-06-01", "anthropic-beta": "one,two"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=20) as client:
        answer = client.post("/v1/messages?beta=true", content=body)
    seen = provider.last()
    expected = body.replace(',  "model" : "claude"', "")
    assert seen.body.decode() == expected[:-1] + ',"anthropic_version":"vertex-2023-10-16"}'
    assert seen.target == PATHS["claude", stream]
    assert seen.header("anthropic-version") is None and seen.header("anthropic-beta") == b"one,two"
    assert seen.header("x-api-key") is None
    assert answer.content == canned.answer(seen.target, {"stream": stream}).body


def test_claude_without_foreign_thoughts_is_edited_too(
    gateway: Gateway, house: House, provider: Provider
) -> None:
    """A history that is written anew without another provider's thoughts gets Vertex AI's form as well."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "llmgw:gemini:c2ln"}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "y"}]},
        {"role": "user", "content": "z"},
    ]
    answer = post(
        gateway, house.key, "/v1/messages", {"model": "claude", "max_tokens": 8, "messages": messages}
    )
    assert answer.status_code == 200 and answer.headers["x-llmgw-dropped"]
    sent = provider.last().json()
    assert "model" not in sent and sent["anthropic_version"] == "vertex-2023-10-16"
    assert "c2ln" not in provider.last().body.decode()


def test_tokens_are_counted(gateway: Gateway, house: House, provider: Provider) -> None:
    """Claude's and Gemini's by their provider, each in its own form; where it has no counter, as an estimate."""
    with anthropic.Anthropic(base_url=gateway.url, api_key=house.key, max_retries=0) as client:
        counted = client.messages.count_tokens(model="claude", messages=[{"role": "user", "content": "x"}])
        assert counted.input_tokens == 14
        seen = provider.last()
        assert seen.target == VERTEX + "/anthropic/models/count-tokens:rawPredict"
        assert seen.json()["model"] == "claude-sonnet-4-5@20250929"
        assert seen.json()["anthropic_version"] == "vertex-2023-10-16"
        question: Any = [{"role": "user", "content": "one two three"}]
        counted = client.messages.count_tokens(model="gemini", messages=question, system="be brief")
        assert counted.input_tokens == 14
        seen = provider.last()
        assert seen.target == f"{GEMINI_PATH}:countTokens"
        assert set(seen.json()) <= {"contents", "systemInstruction", "tools", "generationConfig"}
        assert seen.json()["contents"] and seen.json()["systemInstruction"]
        before = len(provider.seen())
        raw = client.messages.with_raw_response.count_tokens(model="nova", messages=question)
        assert raw.headers["x-llmgw-usage-source"] == "estimated"
        assert len(provider.seen()) == before


def test_embeddings_are_not_offered(gateway: Gateway, house: House, provider: Provider) -> None:
    """What a host has no endpoint for is refused, whatever its dialect has."""
    for path, body in (
        ("/v1/embeddings", {"model": "vertex/text-embedding-005", "input": "x"}),
        ("/v1/embeddings", {"model": "nova", "input": "x"}),
        ("/v1beta/models/gemini:embedContent", {"content": {"parts": [{"text": "x"}]}}),
    ):
        answer = post(gateway, house.key, path, body)
        assert answer.status_code == 400, answer.text
    assert not provider.seen()


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    "claude": ("/v1/messages", {"max_tokens": 8, "messages": [{"role": "user", "content": "x"}]}),
    "gemini": ("/v1beta/models/%s:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}),
}


def asked(gateway: Gateway, key: str, client: str, model: str) -> httpx.Response:
    path, body = ASKED[client]
    return post(
        gateway, key, path.replace("%s", model), {**body, "model": model} if client != "gemini" else body
    )


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("client", ASKED)
def test_a_refused_signature_is_the_gateways_fault(
    client: str, model: str, status: int, gateway: Gateway, house: House, provider: Provider
) -> None:
    """The provider's 401 or 403 is 502 in the client's dialect, without the provider's words."""
    provider.script("answer", status=status)
    answer = asked(gateway, house.key, client, model)
    assert answer.status_code == 502 and "upstream_credentials" in answer.text
    assert "scripted" not in answer.text


@pytest.fixture
def stored(provider: Provider, tmp_path: Path) -> Iterator[House]:
    """An installation whose providers take the calling organisation's own secret."""
    with installed(tmp_path, providers=providers(provider.url, credential="cloud"), models=MODELS) as made:
        yield made


def member(house: House, org: str, secret: str | None) -> str:
    """A key of an organisation with its own secret."""
    if org != "acme":
        house.run("orgs", "create", org)
    if secret is not None:
        house.run("credentials", "set", "cloud", "--org", org, stdin=secret)
    key: str = house.run("keys", "create", "--org", org, "--name", f"of-{org}", "--json").json["key"]
    return key


def test_organisations_never_share_a_token(stored: House, provider: Provider, tokens: Tokens) -> None:
    """Each organisation's calls carry the token that its own secret got, whoever asked before; one without a secret
    gets nobody's."""
    keys = {
        org: member(stored, org, service_account(f"{org}@example", tokens.url))
        for org in ("acme", "umbrella")
    }
    keys["nobody"] = member(stored, "nobody", None)
    with stored.serve() as gateway:
        for org in ("acme", "umbrella", "nobody") * 2:
            before = len(provider.seen())
            answer = asked(gateway, keys[org], "chat", "gemini")
            if org == "nobody":
                assert answer.status_code == 502 and "upstream_credentials" in answer.text
                assert len(provider.seen()) == before
            else:
                assert answer.status_code == 200
                assert tokens.given[bearer(provider.last())] == f"{org}@example"


def test_organisations_sign_with_their_own_keys(stored: House, provider: Provider) -> None:
    """Two organisations, two access keys; each request carries its own organisation's signature."""
    own = {
        org: AwsKeys(f"AKIA{org.upper()}", Secret(f"secret+of/{org}"), None) for org in ("acme", "umbrella")
    }
    texts = {org: f"{key.access_key_id}:{key.secret_access_key.reveal()}" for org, key in own.items()}
    keys = {org: member(stored, org, text) for org, text in texts.items()}
    with stored.serve() as gateway:
        for org in ("acme", "umbrella", "acme"):
            assert asked(gateway, keys[org], "claude", "nova").status_code == 200
            assert_signed(provider.last(), own[org])


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("model", MODELS)
def test_an_unusable_secret_is_told_the_operator(
    model: str, client: str, spoilt: Gateway, spoilt_house: House, provider: Provider
) -> None:
    """A stored text that is no secret of this cloud: 502 in the client's dialect, nothing is sent, and the log names
    the credential and what it must be, but not the text."""
    answer = asked(spoilt, spoilt_house.key, client, model)
    assert answer.status_code == 502 and "upstream_credentials" in answer.text
    assert not provider.seen()
    line = spoilt.wait_for_call(answer.headers["x-request-id"])
    assert "credential 'cloud' of organisation 'acme': the secret must be" in json.dumps(line)
    assert "sk-nonsense" not in spoilt.text()


@pytest.fixture(scope="module")
def spoilt_house(provider_process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with installed(
        tmp_path_factory.mktemp("spoilt"),
        providers=providers(provider_process.url, credential="cloud"),
        models=MODELS,
    ) as made:
        made.run("credentials", "set", "cloud", "--org", "acme", stdin="sk-nonsense")
        yield made


@pytest.fixture(scope="module")
def spoilt(spoilt_house: House) -> Iterator[Gateway]:
    with spoilt_house.serve() as running:
        yield running


def test_a_refused_account_is_told_the_operator(stored: House, provider: Provider, tokens: Tokens) -> None:
    """A service account that Google does not know: 502 with every SDK's own error, Google's words in the log alone."""
    document = json.loads(service_account("a@example", tokens.url))
    document["client_email"] = "b@example"  # whose key is another
    key = member(stored, "acme", json.dumps(document))
    with stored.serve() as gateway:
        with (
            genai.Client(
                api_key=key, http_options=types.HttpOptions(base_url=gateway.url), vertexai=False
            ) as google,
            pytest.raises(genai.errors.ServerError) as caught,
        ):
            google.models.generate_content(model="gemini", contents="x")
        assert caught.value.code == 502
        assert "JWT" not in str(caught.value) and not provider.seen()
        found = wait_until(lambda: [line for line in gateway.calls() if line["status"] == 502])
        assert "invalid_grant" in json.dumps(found)


def test_the_doctor_tries_address_and_token(house: House, provider: Provider, tokens: Tokens) -> None:
    """Signed providers answer the doctor; a token server that refuses the secret is a fault."""
    checks = {check["name"]: check for check in house.run("doctor", "--json").json["checks"]}
    for name in ("vertex", "claudes", "bedrock"):
        assert checks[f"provider {name}"]["state"] == "ok", checks
    assert {seen.target for seen in provider.seen()} == {"/"}
    tokens.answers += [(400, b'{"error": "invalid_grant"}')] * 2
    done = house.run("doctor", "--json", expect=1)
    states = {check["name"]: check["state"] for check in done.json["checks"]}
    assert states["provider vertex"] == states["provider claudes"] == "fault"
    assert states["provider bedrock"] == "ok"
