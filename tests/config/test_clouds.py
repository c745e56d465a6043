"""Providers whose requests are signed: what they need is asked for by name, and a secret is judged unseen."""

from __future__ import annotations

import json

import pytest

from llmgw.assembly.providers import base_url
from llmgw.config import accounts
from llmgw.config.accounts import AwsKeys, Bearer
from llmgw.config.read import read
from tests.config.support import HEAD, config_of, faults

GOOGLE = {
    "type": "service_account",
    "private_key_id": "k1",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n",
    "client_email": "gateway@acme.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "d", "refresh_token": "r"}
ENV = {
    "KEYS": "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG",
    "TEMPORARY": json.dumps(
        {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "wJalrXUt", "SessionToken": "abc12345=="}
    ),
    "API_KEY": "ABSKQmVkcm9ja0FQSUtleQ==",
    "ACCOUNT": json.dumps(GOOGLE, indent=2),
    "ELSEWHERE": json.dumps({**GOOGLE, "token_uri": "https://tokens.example/token"}),
    "CLEAR": json.dumps({**GOOGLE, "token_uri": "http://oauth2.googleapis.com/token"}),
    "NOWHERE": json.dumps({**GOOGLE, "token_uri": "https://[::1/token"}),
    "PERSON": json.dumps(USER),
    "TOKEN": "ya29.a0AfB_byC",
    "OTHER": "sk-something",
    "EMPTY_DOCUMENT": "{}",
}
BEDROCK = "dialect: bedrock"
VERTEX = "dialect: gemini, host: vertex, project: acme-1, location: us-central1"


def provider(settings: str) -> str:
    return HEAD + "providers: {p: {" + settings + "}}"


@pytest.mark.parametrize(
    "settings",
    [
        BEDROCK + ", region: us-east-1, api_key: '${KEYS}'",
        BEDROCK + ", region: us-east-1, api_key: '${TEMPORARY}'",
        BEDROCK + ", region: us-east-1, api_key: '${API_KEY}'",
        BEDROCK + ", base_url: 'https://bedrock-runtime.eu-west-1.amazonaws.com', api_key: '${KEYS}'",
        BEDROCK + ", base_url: 'https://bedrock-runtime-fips.us-east-1.amazonaws.com', credential: aws",
        BEDROCK
        + ", base_url: 'https://vpce-0-x.bedrock-runtime.us-east-1.vpce.amazonaws.com', credential: aws",
        BEDROCK + ", host: bedrock, region: us-east-1, credential: aws",
        VERTEX + ", api_key: '${ACCOUNT}'",
        VERTEX + ", api_key: '${PERSON}'",
        VERTEX + ", api_key: '${TOKEN}'",
        VERTEX + ", api_key: '${ELSEWHERE}', allow_private: true",
        VERTEX.replace("acme-1", "example.com:acme-1").replace("us-central1", "global")
        + ", credential: google",
        "dialect: anthropic, host: vertex-anthropic, project: '123456', location: us-east5, credential: google",
    ],
)
def test_they_are_in_order(settings: str) -> None:
    """Every form of secret and address; nothing is said of them."""
    assert read(provider(settings), ENV).faults == ()


@pytest.mark.parametrize(
    ("settings", "field", "message"),
    [
        (BEDROCK + ", credential: x", "region", "is missing; name the AWS region"),
        (BEDROCK + ", base_url: 'https://proxy.example', credential: x", "region", "is missing"),
        (BEDROCK + ", region: 'us-east-1.evil.example/', credential: x", "region", "must be the AWS region"),
        (BEDROCK + ", region: us-east-1, project: x", "project", "goes with host: vertex"),
        (BEDROCK + ", region: us-east-1, location: x", "location", "goes with host: vertex"),
        (BEDROCK + ", region: us-east-1, host: openai", "host", "speaks the openai dialect"),
        (BEDROCK + ", region: us-east-1, api: responses", "api", "goes with dialect: openai"),
        (BEDROCK + ", region: us-east-1, api_key: '${OTHER}'", "api_key", "ACCESS_KEY_ID:SECRET_ACCESS_KEY"),
        (
            BEDROCK + ", region: us-east-1, api_key: '${EMPTY_DOCUMENT}'",
            "api_key",
            "ACCESS_KEY_ID:SECRET_ACCESS_KEY",
        ),
        (
            BEDROCK + ", region: us-east-1, api_key: '${ACCOUNT}'",
            "api_key",
            "ACCESS_KEY_ID:SECRET_ACCESS_KEY",
        ),
        ("dialect: openai, region: us-east-1", "region", "goes with dialect: bedrock"),
        ("dialect: gemini, project: x", "project", "goes with host: vertex"),
        (
            "dialect: gemini, host: vertex, location: global",
            "project",
            "is missing; name the Google Cloud project",
        ),
        ("dialect: gemini, host: vertex, project: x", "location", "is missing; name where the models run"),
        (
            "dialect: gemini, host: vertex, project: a/b, location: global",
            "project",
            "must be the Google Cloud project",
        ),
        (
            "dialect: gemini, host: vertex, project: x, location: a.b",
            "location",
            "must be where the models run",
        ),
        ("dialect: openai, host: vertex, project: x, location: global", "host", "speaks the gemini dialect"),
        (
            "dialect: gemini, host: vertex-anthropic, project: x, location: global",
            "host",
            "speaks the anthropic dialect",
        ),
        (
            "dialect: gemini, base_url: 'https://us-central1-aiplatform.googleapis.com'",
            "base_url",
            "is Vertex AI's; add host: vertex",
        ),
        (VERTEX + ", api_key: '${OTHER}'", "api_key", "the JSON of a service account's key"),
        (VERTEX + ", api_key: '${EMPTY_DOCUMENT}'", "api_key", "the JSON of a service account's key"),
        (VERTEX + ", api_key: '${ELSEWHERE}'", "api_key", "names a token_uri that is not Google's"),
        (VERTEX + ", api_key: '${CLEAR}'", "api_key", "names a token_uri that is not Google's"),
        (VERTEX + ", api_key: '${NOWHERE}'", "api_key", "names a token_uri that is no https:// address"),
        ("dialect: openai, api_key: '${ACCOUNT}'", "api_key", "is a JSON document"),
        ("dialect: gemini, host: vertx, project: x, location: global", "host", "must be"),
        ("dialect: simulator, region: x", "region", "has no meaning for the simulator"),
    ],
)
def test_what_is_wrong_is_named(settings: str, field: str, message: str) -> None:
    """One slip is one message at its setting; no message holds anything of a secret."""
    found = faults(provider(settings), env=ENV)
    assert [fault.path for fault in found] == [f"providers.p.{field}"], found
    assert message in found[0].message
    assert not any(value in found[0].message for value in ENV.values())


def test_a_document_is_kept_on_one_line() -> None:
    """However it is written, its meaning stays, private key included."""
    secret = config_of(provider(VERTEX + ", api_key: '${ACCOUNT}'"), ENV).providers["p"].api_key
    assert secret is not None
    assert "\n" not in secret.reveal() and json.loads(secret.reveal()) == GOOGLE
    assert accounts.one_line("{not json\n") == "{not json\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AKIDEXAMPLE:a/b+c=d123", ("AKIDEXAMPLE", "a/b+c=d123", None)),
        ("ASIAEXAMPLE:a/b+c=d123:e/f+g==12", ("ASIAEXAMPLE", "a/b+c=d123", "e/f+g==12")),
        (ENV["TEMPORARY"], ("ASIAEXAMPLE", "wJalrXUt", "abc12345==")),
    ],
)
def test_keys_are_read(text: str, expected: tuple[str, str, str | None]) -> None:
    """Both forms say the same."""
    keys = accounts.aws(text)
    assert isinstance(keys, AwsKeys)
    session = keys.session_token
    assert expected == (
        keys.access_key_id,
        keys.secret_access_key.reveal(),
        None if session is None else session.reveal(),
    )
    assert expected[1] not in repr(keys)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (BEDROCK + ", region: eu-west-1", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        (VERTEX, "https://us-central1-aiplatform.googleapis.com"),
        (VERTEX.replace("us-central1", "global"), "https://aiplatform.googleapis.com"),
        (VERTEX.replace("us-central1", "eu"), "https://aiplatform.eu.rep.googleapis.com"),
        (VERTEX + ", base_url: 'https://vertex.example'", "https://vertex.example"),
    ],
)
def test_the_address_follows_from_the_place(settings: str, url: str) -> None:
    """Region and location make the default base URL, where they are not elsewhere."""
    assert base_url(config_of(provider(settings), ENV).providers["p"]) == url


def test_api_keys_are_read() -> None:
    """They are tokens."""
    key = accounts.aws(ENV["API_KEY"])
    assert isinstance(key, Bearer) and key.token.reveal() == ENV["API_KEY"]
