"""The configuration written out again, and its JSON Schema for editors. Names and units are the file's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import NODEFAULT, Struct, inspect

from llmgw.config import units, variables
from llmgw.config.schema import Config
from llmgw.config.section import without_password
from llmgw.secret import Secret

_VARIABLE = {"type": "string", "pattern": variables.PATTERN}


def dump(config: Config) -> dict[str, Any]:
    """The effective configuration in JSON's own types: defaults filled in, secrets redacted, durations and
    sizes as text. Read again, it gives the same configuration but for the secrets."""
    return _members(config)


def _members(section: Struct) -> dict[str, Any]:
    kind = inspect.type_info(type(section))
    assert isinstance(kind, inspect.StructType)
    return {
        field.encode_name: _shown(getattr(section, field.name), _unit(field.type)) for field in kind.fields
    }


def _shown(value: Any, unit: str | None) -> Any:
    match value:
        case Secret():
            return str(value)
        case Struct():
            return _members(value)
        case dict():
            return {name: _shown(member, None) for name, member in value.items()}
        case tuple():
            return [_shown(member, None) for member in value]
        case str():
            return variables.escape(without_password(value))
        case float() if unit == "duration":
            return units.duration_text(value)
        case int() if unit == "size":
            return units.size_text(value)
    return value


def _unit(kind: inspect.Type) -> str | None:
    """`duration` or `size` where a value of this type is written with one."""
    match kind:
        case inspect.Metadata():
            unit: str | None = (kind.extra or {}).get("unit")
            return unit or _unit(kind.type)
        case inspect.UnionType():
            return next((unit for member in kind.types if (unit := _unit(member)) is not None), None)
    return None


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the file, as YAML parsers hand it to editors."""
    schema = _schema(inspect.type_info(Config))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "llmgw.yaml", **schema}


def _schema(kind: inspect.Type, unit: str | None = None) -> dict[str, Any]:
    match kind:
        case inspect.Metadata():
            inner = _schema(kind.type, unit or (kind.extra or {}).get("unit"))
            return {**inner, **(kind.extra_json_schema or {})}
        case inspect.StructType():
            return _object(kind)
        case inspect.DictType():
            return {"type": ["object", "null"], "additionalProperties": _schema(kind.value_type)}
        case inspect.VarTupleType():
            # An empty section reads as one that is left out; a list that needs a member does not.
            types: Any = "array" if kind.min_length else ["array", "null"]
            found = {"type": types, "items": _schema(kind.item_type)}
            return {**found, "minItems": kind.min_length} if kind.min_length else found
        case inspect.UnionType():
            return _any([_schema(member, unit) for member in kind.types])
        case inspect.NoneType():
            return {"type": "null"}
        case inspect.BoolType():
            return _any([{"type": "boolean"}, _VARIABLE])
        case inspect.LiteralType():
            return _any([{"enum": list(kind.values)}, _VARIABLE])
        case inspect.IntType() | inspect.FloatType():
            return _any([*_numbers(kind, unit), _VARIABLE])
        case inspect.StrType() if unit == "usd":
            # Text, so that no float comes between, but written as a number.
            return {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 1}]}
        case inspect.StrType(min_length=int(least)):
            return {"type": "string", "minLength": least}
    return {"type": "string"}


def _any(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several, those of a nested choice among them."""
    flat: list[dict[str, Any]] = []
    for choice in choices:
        for member in choice["anyOf"] if choice.keys() == {"anyOf"} else [choice]:
            if member not in flat:
                flat.append(member)
    return {"anyOf": flat}


def _numbers(kind: inspect.IntType | inspect.FloatType, unit: str | None) -> list[dict[str, Any]]:
    if unit == "duration":
        text = {"type": "string", "pattern": units.DURATION_PATTERN}
        return [text] if kind.gt is not None else [text, {"const": 0}]
    bounds: Mapping[str, float | None] = {"minimum": kind.ge, "maximum": kind.le}
    number: dict[str, Any] = {"type": "integer" if isinstance(kind, inspect.IntType) else "number"}
    number |= {name: bound for name, bound in bounds.items() if bound is not None}
    return [number, {"type": "string", "pattern": units.SIZE_PATTERN}] if unit == "size" else [number]


def _object(kind: inspect.StructType) -> dict[str, Any]:
    required = [field.encode_name for field in kind.fields if field.required]
    found: dict[str, Any] = {
        "type": "object" if required else ["object", "null"],
        "description": " ".join((kind.cls.__doc__ or "").split()),
        "properties": {field.encode_name: _property(field) for field in kind.fields},
        "additionalProperties": False,
    }
    return {**found, "required": required} if required else found


def _property(field: inspect.Field) -> dict[str, Any]:
    schema = _schema(field.type)
    if field.default is NODEFAULT or field.default is None or isinstance(field.default, Struct):
        return schema
    return {**schema, "default": _shown(field.default, _unit(field.type))}
