"""No known form of a secret passes through `redact`; what operators need does."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgw.keyring import token, virtual_key
from llmgw.telemetry.redact import redact, suspicious

KEY = "sk-llmgw-xr4t56lvtdvb-ffK8JoT2WF4mimTXVplGW7hUwfnzxQBT1rRi4m"

alphanumeric = st.text(st.sampled_from("abcxyzABCXYZ0189"), min_size=24, max_size=48)
"""What the secret part of a key is made of."""

forms = st.sampled_from(
    [
        "sk-{}",
        "sk-proj-{}",
        "sk-ant-api03-{}",
        "sk-or-v1-{}",
        "gsk_{}",
        "AIza{}",
        "ya29.a0{}",
        "ABSK{}==",
        "bedrock-api-key-{}",
        "-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\n{}",
        "Bearer {}",
        "authorization: {}",
        "Authorization: Basic {}",
        "x-api-key={}",
        "'X-Api-Key': '{}'",
        '{{"x-goog-api-key": "{}"}}',
        '{{\\"api_key\\": \\"{}\\"}}',
        "(b'authorization', b'Bearer {}')",
        "https://host.example/v1/models?alt=sse&key={}",
        "https://user:{}@host.example/v1",
        "aws_secret_access_key = {}",
        "set-cookie: session={}",
    ]
)
# What stands around a secret in a sentence, a header dump, a URL or a line of JSON; not a letter, which would
# make another word of a prefix as short as "sk-".
around = st.text(st.sampled_from(" \t\n\"'\\,;:()[]{}<>=&?/.!0123456789é"), max_size=20)


@given(around, forms, alphanumeric, around)
@example("", "https://user:{}@host.example/v1", "p@ss" * 6, "")
def test_no_known_form_survives(before: str, form: str, secret: str, after: str) -> None:
    """Whatever stands around it, the secret part of every known form is gone."""
    assert secret not in redact(before + form.format(secret) + after)


@pytest.mark.parametrize("mint", [virtual_key.mint, token.mint], ids=["key", "token"])
def test_our_own_keys_keep_their_public_id(mint: object) -> None:
    """Of a key or token of ours the public id stays, for the log has to say which one it was."""
    assert callable(mint)
    minted = mint()
    text = redact(f"presented {minted.key.reveal()}x")
    assert minted.public_id in text
    assert minted.key.reveal()[-38:] not in text
    assert minted.key.reveal()[-20:] not in text


@pytest.mark.parametrize(
    "secret", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"]
)
def test_ids_of_aws_and_web_tokens(secret: str) -> None:
    """Forms that no alphabet of ours makes."""
    assert secret not in redact(f"refused {secret}.")


@given(st.text())
@example(f"twice {KEY} https://a:b@c")
def test_once_is_enough(text: str) -> None:
    """Redacting what is redacted changes nothing."""
    once = redact(text)
    assert redact(once) == once


@given(around, forms, alphanumeric, st.text(max_size=20))
@example("", "{}", KEY, "")
def test_what_is_not_suspicious_needs_no_redaction(before: str, form: str, secret: str, after: str) -> None:
    """The cheap test never waves through what the thorough one would change."""
    for text in (before, after, before + form.format(secret) + after):
        assert suspicious(text) or redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "No API key was sent; send a virtual key as 'Authorization: Bearer sk-llmgw-...' or as 'x-api-key'.",
        "invalid_api_key: The API key is not valid; it may have been revoked or replaced.",
        "the task-based-scheduling-of-asyncio-streams and disk-space-is-running-low",
        "GET https://api.openai.com/v1/chat/completions?api-version=2024-06-01",
        "calls of a key are bearer of news",
        "listening on http://127.0.0.1:8080",
    ],
)
def test_plain_sentences_stay(text: str) -> None:
    """What holds no secret is not touched."""
    assert redact(text) == text
