"""Gemini's subset of an OpenAPI 3.0 schema as JSON Schema (draft 2020-12).

The subset differs in spelling only: types in upper case, `nullable` beside the type, bounds of lengths as decimal
strings (64-bit integers of protocol buffers), `example`, and `propertyOrdering`, which becomes the order of the
properties. Clients also send plain JSON Schema there (pydantic's), so unknown keywords pass as they are. The way
back is never needed: `responseJsonSchema` and `parametersJsonSchema` take JSON Schema itself.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import Json
from llmgw.dialects.gemini.spelling import camel
from llmgw.errors import InvalidRequest

_BOUNDS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_SCHEMAS: Final = frozenset(
    {"items", "additionalProperties", "not", "anyOf", "oneOf", "allOf", "prefixItems"}
)
_NAMED: Final = frozenset({"properties", "$defs", "defs", "definitions", "patternProperties"})
_TYPES: Final = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})


def to_json_schema(schema: Json, path: str) -> Json:
    """`schema` as JSON Schema.

    Args:
        path: where it stands in the request, for the error.

    Raises:
        InvalidRequest: it is no schema, or nested too deeply.
    """
    try:
        return _schema(schema, path)
    except RecursionError:
        raise InvalidRequest(f"The field {path!r} is nested too deeply.", param=path) from None


def _schema(schema: Json, path: str) -> Json:
    if type(schema) is bool:  # JSON Schema's own "anything" and "nothing"
        return schema
    if type(schema) is not dict:
        raise InvalidRequest(f"The field {path!r} must be an object.", param=path)
    found: dict[str, Json] = {}
    for name, value in schema.items():
        keyword = camel(name)
        if keyword == "example" and value is not None:
            found["examples"] = [value]
        elif value is not None and keyword != "nullable":
            found["$defs" if keyword == "defs" else keyword] = _keyword(keyword, value, f"{path}.{name}")
    if schema.get("nullable") is True:
        _allow_null(found)
    order = found.pop("propertyOrdering", None)
    properties = found.get("properties")
    if type(order) is list and type(properties) is dict:
        first = {name: properties[name] for name in order if type(name) is str and name in properties}
        found["properties"] = first | properties
    return found


def _keyword(name: str, value: Json, path: str) -> Json:
    if name == "type":
        return _types(value)
    if name in _BOUNDS and type(value) is str and value.isdigit():
        return int(value[:18])  # more digits than any length has
    if name in _SCHEMAS:
        return [_schema(one, path) for one in value] if type(value) is list else _schema(value, path)
    if name in _NAMED and type(value) is dict:
        return {key: _schema(one, f"{path}.{key}") for key, one in value.items()}
    return value


def _types(value: Json) -> Json:
    if type(value) is list:
        return [_types(one) for one in value]
    return value.lower() if type(value) is str and value in _TYPES else value


def _allow_null(schema: dict[str, Json]) -> None:
    kind = schema.get("type")
    if type(kind) is str and kind != "null":
        schema["type"] = [kind, "null"]
    elif type(kind) is list and "null" not in kind:
        schema["type"] = [*kind, "null"]
    elif kind is None and type(schema.get("anyOf")) is list:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    values = schema.get("enum")
    if type(values) is list and None not in values:
        schema["enum"] = [*values, None]


def described(schema: Json, description: str | None) -> Json:
    """`schema` with a description of its own, where it has none."""
    if type(schema) is not dict or description is None or "description" in schema:
        return schema
    return {**schema, "description": description}
