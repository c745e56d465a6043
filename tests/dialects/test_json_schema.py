"""The schema check against the reference implementation, and against schemas that mean harm."""

from __future__ import annotations

import socket
import threading
from time import perf_counter
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.dialects import json_schema
from llmgw.dialects.json_schema import STEPS, check

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 4),
    st.sampled_from([0.5, 1.0, -2.5]),
    st.sampled_from(["", "a", "bcd"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
COUNTS = st.integers(0, 3)


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of some keywords, each with fitting arguments, those that are never judged among them."""
    several = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True)),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "minimum": st.integers(-2, 2),
            "exclusiveMaximum": st.sampled_from([-1, 0.5, 2]),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": st.just("^a"),
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "uniqueItems": st.booleans(),
            "items": inner,
            "prefixItems": several,
            "contains": inner,
            "minProperties": COUNTS,
            "required": st.lists(NAMES, max_size=2, unique=True),
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "patternProperties": st.dictionaries(st.just("^a"), inner, max_size=1),
            "additionalProperties": inner,
            "unevaluatedProperties": st.booleans(),
            "propertyNames": inner,
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b/items"]),
            "title": st.just("annotation"),
        },
    )


SCHEMAS = st.recursive(st.booleans(), schemas, max_leaves=6)


@settings(max_examples=600, deadline=None)
@given(schema=SCHEMAS, value=VALUES, named=SCHEMAS)
def test_never_contradicts_the_reference(schema: Any, value: Any, named: Any) -> None:
    """What is said to be kept or broken is so for the reference implementation; only `unknown` is free."""
    if isinstance(schema, dict):
        leaf = {"type": "integer"}
        schema = {
            **schema,
            "$defs": {"a": leaf, "b": {"items": {"not": leaf}}},
            "allOf": [*schema.get("allOf", []), named],
        }
    held, why, _ = check(schema, value)
    assert (held is None) == (why is not None)
    if held is not None:
        assert held == jsonschema.Draft202012Validator(schema).is_valid(value)


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "uniqueItems": True},
        "boss": {"$ref": "#"},
        "price": {"multipleOf": 0.01},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ({"name": "Ada", "age": 36, "tags": ["x", "y"], "boss": {"name": "Bo"}, "price": 19.99}, True),
        ({"name": "Ada", "age": 36.0}, True),
        ({"name": ""}, False),
        ({"age": 3}, False),
        ({"name": "Ada", "age": True}, False),
        ({"name": "Ada", "age": None}, True),
        ({"name": "Ada", "tags": ["x", "x"]}, False),
        ({"name": "Ada", "tags": ["z"]}, False),
        ({"name": "Ada", "boss": {"name": 1}}, False),
        ({"name": "Ada", "price": 0.005}, False),
        ({"name": "Ada", "shoe": 42}, False),
        ([], False),
    ],
)
def test_an_everyday_schema(value: Any, held: bool) -> None:
    """Kept and broken, as everybody would say."""
    assert check(PERSON, value)[:2] == (held, None)


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        ({"pattern": "^a"}, "b", "pattern"),
        ({"not": {"pattern": "^a"}}, "b", "pattern"),
        ({"oneOf": [{"pattern": "^a"}, {"type": "string"}]}, "b", "pattern"),
        ({"$ref": "https://example.com/schema"}, 1, "another document"),
        ({"$ref": "other.json#/a"}, 1, "another document"),
        ({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}, 1, "anchor"),
        ({"$ref": "#/$defs/none"}, 1, "nowhere"),
        ({"items": {"$id": "https://example.com/", "type": "string"}}, [1], "$id"),
        ({"items": [{"type": "string"}]}, [1], "items"),
        ({"type": "STRING"}, 1, "type"),
        ({"minimum": "1"}, 0, "bound"),
        ({"exclusiveMinimum": True, "minimum": 0}, 1, "bound"),
        ({"type": "string", "nullable": True}, None, "nullable"),
        ({"multipleOf": 7}, 10**30, "multipleOf"),
        ({"uniqueItems": True}, [{}, {}], "uniqueItems"),
        ([], 1, "none"),
    ],
)
def test_what_cannot_be_judged_is_unknown(schema: Any, value: Any, why: str) -> None:
    """Neither kept nor broken, also where it is negated; and it is said why."""
    held, said, _ = check(schema, value)
    assert held is None
    assert said is not None and why in said


def test_what_is_broken_beside_something_unknown_is_broken() -> None:
    """A pattern that is not judged does not hide a member that is missing."""
    schema = {"properties": {"a": {"pattern": "x"}}, "required": ["b"]}
    assert check(schema, {"a": "y"}).held is False


def test_siblings_of_a_reference_count_by_its_draft() -> None:
    """Up to draft 7 a reference stands alone; since then its siblings hold too."""
    schema = {"$ref": "#/definitions/any", "type": "string", "definitions": {"any": True}}
    assert check(schema, 1).held is False
    assert check({"$schema": "http://json-schema.org/draft-07/schema#", **schema}, 1).held is True


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def deep_schema(depth: int) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


DOUBLING = {
    "$defs": {
        "0": {"type": "string"},
        **{str(n): {"anyOf": [{"$ref": f"#/$defs/{n - 1}"}] * 2} for n in range(1, 40)},
    },
    "$ref": "#/$defs/39",
}
HOSTILE = {
    "catastrophic pattern": ({"pattern": "^(a+)+$"}, "a" * 60 + "!"),
    "catastrophic names": ({"patternProperties": {"^(a+)+$": False}}, {"a" * 60 + "!": 1}),
    "reference to itself": ({"$ref": "#"}, 1),
    "references in a circle": ({"$ref": "#/a", "a": {"allOf": [{"$ref": "#/b"}]}, "b": {"$ref": "#/a"}}, 1),
    "two to the power of forty": (DOUBLING, 1),
    "a tree of itself": ({"items": {"$ref": "#"}, "anyOf": [{"items": {"$ref": "#"}}] * 9}, nested(90)),
    "deep schema": (deep_schema(5000), nested(5000)),
    "wide union": ({"items": {"anyOf": [{"type": "string"}] * 50_000}}, list(range(1000))),
    "wide enum": ({"items": {"enum": list(range(50_000))}}, [-1] * 1000),
    "long equal texts": (
        {"items": {"enum": ["x" * 50_000 + str(n) for n in range(100, 200)]}},
        ["x" * 50_000 + "199"] * 100,
    ),
    "deep constant": ({"const": nested(900)}, nested(900)),
    "many names": ({"required": [str(n) for n in range(10**6)]}, {str(n): 1 for n in range(10**6)}),
    "many keywords": ({"items": {str(n): 1 for n in range(10**5)}}, [1] * 10**5),
    "long reference": ({"items": {"$ref": "#" + "/a" * 10**6}}, [1] * 10**5),
    "many unique": ({"items": {"uniqueItems": True}}, [list(range(10**4))] * 100),
    "large numbers": ({"items": {"multipleOf": 3}}, [10**4000] * 5000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_judged_in_bounded_time(name: str) -> None:
    """Whatever the schema, a check ends within a few milliseconds (0.5 s here, for slow machines), unknown."""
    schema, value = HOSTILE[name]
    began = perf_counter()
    held, why, _ = check(schema, value)
    assert perf_counter() - began < 0.5
    assert held is None
    assert why


def test_the_limit_is_said() -> None:
    """Steps that run out are named, so an operator can tell it from a schema that was kept."""
    assert check({"items": {"type": "string"}}, ["x"] * STEPS).why == f"it takes more than {STEPS} steps"
    assert check({"items": {"type": "string"}}, ["x"] * (STEPS // 4)).held is True


def test_nothing_is_fetched() -> None:
    """No reference of a schema opens a connection, wherever it stands."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        came = threading.Event()

        def listen() -> None:
            server.settimeout(0.3)
            try:
                server.accept()[0].close()
            except TimeoutError:
                return
            came.set()

        listener = threading.Thread(target=listen)
        listener.start()
        for schema in (
            {"$ref": address},
            {"$schema": address, "type": "string"},
            {"$id": address, "$ref": "#/$defs/a"},
            {"$id": address, "$ref": "other.json"},
            {"$dynamicRef": address},
            {"allOf": [{"$ref": address + "#/$defs/a"}]},
        ):
            check(schema, {"a": 1})
        listener.join()
        assert not came.is_set()


@given(
    schema=st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(sorted(json_schema._RULES)), inner, max_size=4),
        ),
        max_leaves=12,
    ),
    value=VALUES,
)
@settings(max_examples=400, deadline=None)
def test_a_schema_that_is_none_never_raises(schema: Any, value: Any) -> None:
    """Every keyword with an argument of any type."""
    assert check(schema, value).held in (True, False, None)
