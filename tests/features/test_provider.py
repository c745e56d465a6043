"""The gateway's flags through OpenFeature's own API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from llmgw.config.flags import Flag
from llmgw.features import DOMAIN, registered
from llmgw.rules.access import KeyRecord
from llmgw.standalone.flags import SqliteFlags

FLAGS = {
    "everyone": Flag(default=True),
    "nobody": Flag(),
    "acme": Flag(orgs=("acme",)),
    "app": Flag(keys=("app",)),
    "half": Flag(percentage=50),
}
CALLER = EvaluationContext("key_1", {"org": "acme", "org_id": "org_1", "key": "app"})


@pytest.fixture
def flags(tmp_path: Path) -> SqliteFlags:
    return SqliteFlags(tmp_path / "none.db", FLAGS)


@pytest.fixture
def client(flags: SqliteFlags) -> Iterator[OpenFeatureClient]:
    with registered(flags):
        yield api.get_client(DOMAIN)


def test_it_says_what_calls_are_told(client: OpenFeatureClient, flags: SqliteFlags) -> None:
    """For every flag and a hundred keys; by organisation and name of the key, too."""
    for n in range(100):
        key = KeyRecord(id=f"key_{n}", public_id="p", org_id="org_2", org="other", name="x", terms=())
        context = EvaluationContext(key.id, {"org": key.org, "org_id": key.org_id, "key": key.name})
        for name in FLAGS:
            assert client.get_boolean_value(name, False, context) is flags.is_on(name, key)
    assert client.get_boolean_value("acme", False, CALLER) is True
    assert client.get_boolean_value("app", False, CALLER) is True
    assert client.get_boolean_value("nobody", True, CALLER) is False


def test_what_it_cannot_say_is_an_error_with_the_default(client: OpenFeatureClient) -> None:
    """As the specification wants it: no such flag, no key to look at, another type."""
    found = client.get_boolean_details("unheard-of", True, CALLER)
    assert (found.value, found.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    found = client.get_boolean_details("half", True)
    assert (found.value, found.error_code) == (True, ErrorCode.TARGETING_KEY_MISSING)
    assert client.get_string_details("half", "x", CALLER).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_integer_details("half", 1, CALLER).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_float_details("half", 1.0, CALLER).error_code is ErrorCode.TYPE_MISMATCH
    assert client.get_object_details("half", [], CALLER).error_code is ErrorCode.TYPE_MISMATCH


def test_it_answers_for_as_long_as_it_is_registered(flags: SqliteFlags) -> None:
    with registered(flags):
        assert api.get_client(DOMAIN).get_boolean_value("everyone", False, CALLER) is True
    assert api.get_client(DOMAIN).get_boolean_value("everyone", False, CALLER) is False
