"""Hosts are rows: what each says is used, and a provider's row is found."""

from __future__ import annotations

from typing import get_args

import pytest

from llmgw.config.providers import HostName
from llmgw.dialects import auth, hosts
from llmgw.dialects.known import DIALECTS, PLAIN, STREAMED


def test_the_configuration_knows_every_row() -> None:
    """`host:` takes the names of the table and no others."""
    assert set(get_args(HostName)) == set(hosts.HOSTS)


@pytest.mark.parametrize("row", hosts.HOSTS.values(), ids=lambda row: row.name)
def test_rows_are_sound(row: hosts.Host) -> None:
    """Endpoints, paths and ways of authentication that a row names exist."""
    if row.dialect in DIALECTS:
        known = {endpoint.name for endpoint in DIALECTS[row.dialect].endpoints}
    else:
        known = {PLAIN[row.dialect].name, STREAMED[row.dialect].name}
    assert row.endpoints <= known
    assert set(row.paths) <= known
    assert set(row.stream_paths) <= set(row.paths)
    assert set(row.edits or ()) <= known
    assert not set(row.renamed) & row.unsupported
    assert row.auth in ("sigv4", "google") or auth.credential(row.auth, "secret")
    assert (row.auth == "sigv4") == bool(row.signs_for)
    if row.base_url is not None and row.domains:
        assert hosts.of(row.dialect, row.base_url) is row


@pytest.mark.parametrize(
    ("dialect", "url", "name"),
    [
        ("openai", None, "openai"),
        ("openai", "https://API.GROQ.com/openai/v1", "groq"),
        ("openai", "https://acme.openai.azure.com", "azure"),
        ("openai", "https://acme.openai.azure.com/openai/v1/", "azure-v1"),
        ("openai", "https://openai.azure.com.evil.example/", "openai"),
        ("openai", "https://notapi.groq.com/v1", "openai"),
        ("openai", "http://127.0.0.1:8000/v1", "openai"),
        ("anthropic", "https://api.groq.com", "anthropic"),
        ("gemini", None, "gemini"),
        ("bedrock", None, "bedrock"),
        ("bedrock", "https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "bedrock"),
    ],
)
def test_a_host_is_recognised_by_its_domain(dialect: str, url: str | None, name: str) -> None:
    """The whole domain counts, within one dialect; what is unknown is the dialect's own."""
    assert hosts.of(dialect, url).name == name
