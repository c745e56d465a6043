"""What is wrong with a provider whose requests are signed: places that are missing or misplaced, a secret that is none.

Region, location and project stand in host names and paths, so their form is held to what the clouds give out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from llmgw.config import accounts, endpoints
from llmgw.config.providers import Provider

_VERTEX: Final = frozenset({"vertex", "vertex-anthropic"})
_VERTEX_DOMAIN: Final = "aiplatform.googleapis.com"
_place: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
_project: Final = re.compile(r"(?:[a-z0-9.-]{1,100}:)?[a-z0-9-]{1,63}").fullmatch
"""cloud.google.com, "Creating and managing projects"; a domain may stand before it, or it is a number."""

_REGION: Final = "the AWS region, such as us-east-1"
_PROJECT: Final = "the Google Cloud project, such as my-project-123"
_LOCATION: Final = "where the models run, such as us-central1 or global"

Fault = tuple[str, str]


def find(provider: Provider) -> Iterator[Fault]:
    """Every fault: the field, and what to say of it; also of fields that belong to another host."""
    url = provider.base_url or ""
    bedrock, vertex = provider.dialect == "bedrock", provider.host in _VERTEX
    if not bedrock:
        if provider.region is not None:
            yield "region", "goes with dialect: bedrock."
    elif provider.region is not None or accounts.region(url) is None:
        yield from _required("region", provider.region, _place, _REGION)
    if vertex:
        yield from _required("project", provider.project, _project, _PROJECT)
        yield from _required("location", provider.location, _place, _LOCATION)
    else:
        for field in ("project", "location"):
            if getattr(provider, field) is not None:
                yield field, "goes with host: vertex or host: vertex-anthropic."
        if _is_vertex(url):
            yield "base_url", "is Vertex AI's; add host: vertex, or host: vertex-anthropic."
    field = "api_keys" if provider.api_keys else "api_key"
    for secret in provider.secrets:
        problem = _problem(provider, secret.reveal(), bedrock, vertex)
        if problem is not None:
            yield field, problem


def _required(field: str, value: str | None, form: Callable[[str], object], what: str) -> Iterator[Fault]:
    if value is None:
        yield field, f"is missing; name {what}."
    elif not form(value):
        yield field, f"must be {what}."


def _problem(provider: Provider, text: str, bedrock: bool, vertex: bool) -> str | None:
    """What is wrong with a secret."""
    try:
        if bedrock:
            accounts.aws(text)
        elif vertex:
            token_uri = getattr(accounts.google(text), "token_uri", accounts.GOOGLE_TOKEN_URI)
            if not provider.allow_private and not accounts.is_google(token_uri):
                return "names a token_uri that is not Google's; if it is meant, add allow_private: true."
        elif text.startswith("{"):
            return "is a JSON document, which goes with dialect: bedrock and host: vertex alone."
    except ValueError as error:
        return str(error)
    return None


def _is_vertex(base_url: str) -> bool:
    parts = endpoints.parse(base_url, ("https", "http"))
    return not isinstance(parts, str) and (parts.hostname or "").endswith(_VERTEX_DOMAIN)
