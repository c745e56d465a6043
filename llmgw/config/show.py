"""The configuration written out again, and its JSON Schema for editors. Names and units are the file's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import NODEFAULT, Struct, inspect

from llmgw.config import units
from llmgw.config.schema import Config
from llmgw.secret import Secret

_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}


def dump(config: Config) -> dict[str, Any]:
    """The effective configuration, defaults filled in and secrets redacted, in JSON's own types."""
    shown = _dump(config, inspect.type_info(Config), None)
    assert isinstance(shown, dict)
    return shown


def _dump(value: Any, kind: inspect.Type, unit: str | None) -> Any:
    while isinstance(kind, inspect.Metadata):
        unit = unit or (kind.extra or {}).get("unit")
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        inner = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        kind = inner[0] if len(inner) == 1 else kind
        if isinstance(kind, inspect.Metadata) and value is not None:
            return _dump(value, kind, unit)
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, Struct):
        struct = inspect.type_info(type(value))
        assert isinstance(struct, inspect.StructType)
        return {
            field.encode_name: _dump(getattr(value, field.name), field.type, None) for field in struct.fields
        }
    if isinstance(value, dict):
        inner_kind = kind.value_type if isinstance(kind, inspect.DictType) else inspect.AnyType()
        return {name: _dump(member, inner_kind, None) for name, member in value.items()}
    if isinstance(value, tuple):
        inner_kind = kind.item_type if isinstance(kind, inspect.VarTupleType) else inspect.AnyType()
        return [_dump(member, inner_kind, None) for member in value]
    if unit == "duration" and value is not None:
        return units.duration_text(value)
    if unit == "size" and value is not None:
        return units.size_text(value)
    return value


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the file."""
    schema = _schema(inspect.type_info(Config), None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "llmgw.yaml", **schema}


def _schema(kind: inspect.Type, unit: str | None) -> dict[str, Any]:
    described: dict[str, Any] = {}
    while isinstance(kind, inspect.Metadata):
        unit = unit or (kind.extra or {}).get("unit")
        described = {**(kind.extra_json_schema or {}), **described}
        kind = kind.type
    match kind:
        case inspect.StructType():
            return {**_object(kind), **described}
        case inspect.DictType():
            found: dict[str, Any] = {"type": "object", "additionalProperties": _schema(kind.value_type, None)}
        case inspect.VarTupleType():
            found = {"type": "array", "items": _schema(kind.item_type, None)}
        case inspect.UnionType():
            found = {"anyOf": [_schema(member, unit) for member in kind.types]}
        case inspect.NoneType():
            found = {"type": "null"}
        case inspect.BoolType():
            found = {"anyOf": [{"type": "boolean"}, _VARIABLE]}
        case inspect.LiteralType():
            found = {"anyOf": [{"enum": list(kind.values)}, _VARIABLE]}
        case inspect.IntType() | inspect.FloatType():
            found = {"anyOf": [_number(kind, unit), _VARIABLE]}
        case _:
            found = {"type": "string"}
    return {**found, **described}


def _number(kind: inspect.IntType | inspect.FloatType, unit: str | None) -> dict[str, Any]:
    if unit == "duration":
        return {"type": ["string", "integer"], "pattern": units.DURATION_PATTERN, "maximum": 0}
    if unit == "size":
        return {"type": ["string", "integer"], "pattern": units.SIZE_PATTERN}
    found: dict[str, Any] = {"type": "integer" if isinstance(kind, inspect.IntType) else "number"}
    bounds: Mapping[str, float | None] = {"minimum": kind.ge, "maximum": kind.le}
    return {**found, **{name: bound for name, bound in bounds.items() if bound is not None}}


def _object(kind: inspect.StructType) -> dict[str, Any]:
    properties = {}
    for field in kind.fields:
        properties[field.encode_name] = _schema(field.type, None)
        simple = isinstance(field.default, str | int | float | bool) and not isinstance(field.default, float)
        if field.default is not NODEFAULT and simple:
            properties[field.encode_name]["default"] = field.default
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [field.encode_name for field in kind.fields if field.required]
    if required:
        found["required"] = required
    if kind.cls.__doc__:
        found["description"] = " ".join(kind.cls.__doc__.split())
    return found
