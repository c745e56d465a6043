"""Signatures for AWS, held against the signer of AWS's own SDK."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.accounts import AwsKeys
from llmgw.errors import UpstreamCredentials
from llmgw.ports import UpstreamRequest
from llmgw.secret import Secret
from llmgw.upstream.signing.sigv4 import SigV4, sign
from tests.upstream.signing.oracle import signature

NOW = 1_760_000_000.75
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
KEYS = AwsKeys("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), None)


def ours(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, **kw: Any) -> Any:
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    arguments: dict[str, Any] = {"keys": KEYS, "region": "us-east-1", "service": "bedrock", "now": NOW, **kw}
    return dict(sign(method.encode(), path.encode(), query.encode(), fields, body, **arguments))


secrets = st.text("ABCDEFabcdef0123456789+/", min_size=8, max_size=60)
segments = st.text(min_size=0, max_size=12).filter(lambda text: text.isprintable())
paths = st.lists(st.one_of(segments, st.sampled_from([".", "..", ""])), max_size=5).map(
    lambda parts: "/" + "/".join(quote(part, safe="@") for part in parts)
)
queries = st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=5).map(
    lambda pairs: "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)
fields = st.dictionaries(
    st.from_regex(r"x-[a-z][a-z0-9-]{0,10}", fullmatch=True).filter(
        lambda name: not name.startswith(("x-amz", "x-amzn"))
    )
    | st.just("content-type"),
    values,
    max_size=5,
)


@given(
    path=paths,
    query=queries,
    headers=fields,
    body=st.binary(max_size=200),
    secret=secrets,
    session=st.none() | secrets,
    now=st.floats(0, 4_000_000_000),
    region=st.sampled_from(["us-east-1", "eu-central-1"]),
    service=st.sampled_from(["bedrock", "kms"]),
)
def test_it_is_what_the_sdk_signs(
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    secret: str,
    session: str | None,
    now: float,
    region: str,
    service: str,
) -> None:
    """Any path, query, header fields, body, key and time: the same header fields, to the byte."""
    keys = AwsKeys("AKIDEXAMPLE", Secret(secret), None if session is None else Secret(session))
    url = f"https://{HOST}{path}" + (f"?{query}" if query else "")
    headers = {**headers, "host": HOST}
    expected = signature(keys, "POST", url, headers, body, region=region, service=service, now=now)
    assert (
        ours("POST", path, query, headers, body, keys=keys, region=region, service=service, now=now)
        == expected
    )


@pytest.mark.parametrize(
    "model",
    [
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456",
    ],
)
def test_a_models_path_is_encoded_twice(model: str) -> None:
    """Colons and slashes of a model's id are signed as the SDK signs the path that stands in the request line."""
    path = f"/model/{quote(model, safe='')}/converse"
    headers = {"content-type": "application/json", "host": HOST}
    expected = signature(
        KEYS, "POST", f"https://{HOST}{path}", headers, b"{}", region="us-east-1", service="bedrock", now=NOW
    )
    assert ours("POST", path, "", headers, b"{}") == expected


def test_the_published_example() -> None:
    """AWS's own test suite, get-vanilla."""
    added = ours(
        "GET",
        "/",
        "",
        {"host": "example.amazonaws.com"},
        b"",
        keys=AwsKeys("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), None),
        service="service",
        now=datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC).timestamp(),
    )
    assert added[b"authorization"] == (
        b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        b"SignedHeaders=host;x-amz-date, "
        b"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


REQUEST = UpstreamRequest(
    method=b"POST",
    target=b"/model/m%3A0/converse",
    headers=((b"content-type", b"application/json"), (b"user-agent", b"x"), (b"accept", b"*/*")),
    body=b"{}",
)
DOCUMENT = json.dumps(
    {
        "Version": 1,
        "AccessKeyId": "ASIAEXAMPLE1",
        "SecretAccessKey": "a/secret+key",
        "SessionToken": "session/token==",
        "Expiration": "2026-01-01T00:00:00Z",
    }
)


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["ASIAEXAMPLE1:a/secret+key:session/token==", DOCUMENT])
async def test_a_request_is_signed_with_the_keys_of_the_secret(text: str) -> None:
    """Temporary keys, as text or as the command line prints them; the signature covers host, type and time."""
    signer = SigV4("localhost:8000", "us-east-1", "bedrock")
    added = dict(await signer.headers(Secret(text), REQUEST, NOW))
    keys = AwsKeys("ASIAEXAMPLE1", Secret("a/secret+key"), Secret("session/token=="))
    headers = {"content-type": "application/json", "host": "localhost:8000"}
    expected = signature(
        keys,
        "POST",
        "http://localhost:8000/model/m%3A0/converse",
        headers,
        b"{}",
        region="us-east-1",
        service="bedrock",
        now=NOW,
    )
    assert added == expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text", ["ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3M"]
)
async def test_an_api_key_goes_as_it_is(text: str) -> None:
    """Bedrock's own API keys are bearer tokens and sign nothing."""
    signer = SigV4(HOST, "us-east-1", "bedrock")
    assert await signer.headers(Secret(text), REQUEST, NOW) == (
        (b"authorization", b"Bearer " + text.encode()),
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "sk-something",
        "AKIDEXAMPLE",
        "AKIDEXAMPLE:",
        ":secret12",
        "a b:secret12",
        "{",
        "[]",
        '{"a":1}',
        "ABSK:x",
    ],
)
async def test_another_secret_is_no_secret(text: str) -> None:
    """It is the gateway's fault and not the client's; nobody reads the secret in the error."""
    with pytest.raises(UpstreamCredentials) as caught:
        await SigV4(HOST, "us-east-1", "bedrock").headers(Secret(text), REQUEST, NOW)
    assert text not in str(caught.value.detail).split()
