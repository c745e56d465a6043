"""From YAML nodes to typed values, guided by the schema's own types.

Nodes and not objects, because only nodes know their line, and because YAML 1.1 would turn `on`, `010` and `1:30`
into things nobody wrote: here a scalar is text until the schema says what it should be. Environment variables are
put into that text, so a value never turns into structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import yaml
from msgspec import inspect

from llmgw.config import units
from llmgw.config.faults import Faults, nearest
from llmgw.secret import Secret

NODE_LIMIT: Final = 100_000
"""Nodes looked at, aliases counted each time: a bound on expansion bombs."""

_MISSING: Final = object()
_variable: Final = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
_number: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,12})?").fullmatch


class Builder:
    """Builds one value; keeps the node of each path for the checks that follow."""

    def __init__(self, faults: Faults, env: Mapping[str, str]) -> None:
        self.nodes: dict[str, yaml.Node] = {}
        self._faults = faults
        self._env = env
        self._left = NODE_LIMIT

    def build(self, node: yaml.Node, wanted: inspect.Type, path: str) -> Any:
        """The value of `node` as `wanted`, or _MISSING where a fault was noted."""
        self._left -= 1
        if self._left < 0:
            if self._left == -1:
                self._faults.error(
                    node, path, "the file is too large, or its aliases multiply; write less of it."
                )
            return _MISSING
        self.nodes[path] = node
        unit = None
        while isinstance(wanted, inspect.Metadata):
            unit = unit or (wanted.extra or {}).get("unit")
            wanted = wanted.type
        match wanted:
            case inspect.StructType():
                return self._struct(node, wanted, path)
            case inspect.DictType():
                return self._mapping(node, wanted, path)
            case inspect.VarTupleType():
                return self._list(node, wanted, path)
            case inspect.UnionType():
                return self._union(node, wanted, path, unit)
        return self._scalar(node, wanted, path, unit)

    def _members(self, node: yaml.Node, path: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._faults.error(node, path, f"must be a mapping of names to values, not {_kind(node)}.")
            return []
        seen: dict[str, int] = {}
        members: list[tuple[str, yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._faults.error(key, path, "a key must be a plain name.")
            elif key.value == "<<" and key.style is None:
                self._faults.error(key, path, "merge keys (<<) are not supported; write the values out.")
            elif key.value in seen:
                self._faults.error(
                    key, _join(path, key.value), f"is there already, in line {seen[key.value]}."
                )
            else:
                seen[key.value] = key.start_mark.line + 1
                members.append((key.value, key, value))
        return members

    def _struct(self, node: yaml.Node, wanted: inspect.StructType, path: str) -> Any:
        if _is_null(node):
            self._faults.error(node, path, "is empty; write its settings below it, or leave it out.")
            return _MISSING
        fields = {field.encode_name: field for field in wanted.fields}
        values: dict[str, Any] = {}
        failed = not isinstance(node, yaml.MappingNode)
        for name, key, child in self._members(node, path):
            field = fields.get(name)
            if field is None:
                self._faults.error(key, _join(path, name), "is not a setting" + nearest(name, fields))
                failed = True
                continue
            value = self.build(child, field.type, _join(path, name))
            if value is _MISSING:
                failed = True
            else:
                values[field.name] = value
        for field in wanted.fields:
            if field.required and _join(path, field.encode_name) not in self.nodes:
                self._faults.error(node, _join(path, field.encode_name), "is missing.")
                failed = True
        return _MISSING if failed else wanted.cls(**values)

    def _mapping(self, node: yaml.Node, wanted: inspect.DictType, path: str) -> Any:
        if _is_null(node):
            return {}
        built = {
            name: self.build(child, wanted.value_type, _join(path, name))
            for name, _, child in self._members(node, path)
        }
        bad = not isinstance(node, yaml.MappingNode) or any(value is _MISSING for value in built.values())
        return _MISSING if bad else built

    def _list(self, node: yaml.Node, wanted: inspect.VarTupleType, path: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            self._faults.error(node, path, f"must be a list, not {_kind(node)}.")
            return _MISSING
        if len(node.value) < (wanted.min_length or 0):
            self._faults.error(node, path, "must not be empty.")
            return _MISSING
        built = tuple(
            self.build(child, wanted.item_type, f"{path}[{n}]") for n, child in enumerate(node.value)
        )
        return _MISSING if any(value is _MISSING for value in built) else built

    def _union(self, node: yaml.Node, wanted: inspect.UnionType, path: str, unit: str | None) -> Any:
        kinds = [kind for kind in wanted.types if not isinstance(kind, inspect.NoneType)]
        if len(kinds) < len(wanted.types) and _is_null(node):
            return None
        if len(kinds) == 1:
            if unit is not None and not isinstance(kinds[0], inspect.Metadata):
                return self._scalar(node, kinds[0], path, unit)
            return self.build(node, kinds[0], path)
        structs = [kind for kind in kinds if isinstance(_bare(kind), inspect.StructType)]
        if structs and isinstance(node, yaml.MappingNode):
            return self.build(node, structs[0], path)
        if not isinstance(node, yaml.ScalarNode):
            self._faults.error(node, path, f"must be a single value, not {_kind(node)}.")
            return _MISSING
        scalars = [kind for kind in kinds if kind not in structs]
        for kind in scalars:
            attempt = Faults()
            value = Builder(attempt, self._env).build(node, kind, path)
            if value is not _MISSING:
                return value
        self._faults.error(node, path, f"must be {' or '.join(_describe(kind) for kind in scalars)}.")
        return _MISSING

    def _scalar(self, node: yaml.Node, wanted: inspect.Type, path: str, unit: str | None) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            self._faults.error(node, path, f"must be a single value, not {_kind(node)}.")
            return _MISSING
        if isinstance(wanted, inspect.CustomType) and wanted.cls is Secret:
            return self._secret(node, path)
        if _is_null(node):
            self._faults.error(node, path, f"is empty; it must be {_describe(wanted, unit)}.")
            return _MISSING
        text = self._substituted(node, path)
        if text is None:
            return _MISSING
        value = _parse(text, wanted, unit)
        if value is _MISSING:
            shown = repr(text) if text == node.value else f"the value of {node.value}"
            self._faults.error(node, path, f"must be {_describe(wanted, unit)}, not {shown}.")
        return value

    def _secret(self, node: yaml.ScalarNode, path: str) -> Any:
        if _is_null(node):
            return None
        text = self._substituted(node, path)
        if text is None:
            return _MISSING
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            self._faults.error(
                node, path, "is no secret that a header can carry: empty, or with spaces or controls."
            )
            return _MISSING
        if "${" not in node.value:
            self._faults.warning(
                node,
                path,
                "stands in the file; keep it out with ${VARIABLE}, or store it: llmgw credentials set.",
            )
        return Secret(text)

    def _substituted(self, node: yaml.ScalarNode, path: str) -> str | None:
        missing: list[str] = []

        def value(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            found = self._env.get(match[1])
            if found is None or (found == "" and match[2] is not None):
                found = match[2]
            if found is None:
                missing.append(match[1])
                return ""
            return found

        text = _variable.sub(value, str(node.value))
        for name in missing:
            self._faults.error(
                node,
                path,
                f"needs the environment variable {name}, which is not set; set it, or write ${{{name}:-default}}.",
            )
        return None if missing else text


def is_missing(value: object) -> bool:
    """Whether `Builder.build` noted a fault instead of giving a value."""
    return value is _MISSING


def _parse(text: str, wanted: inspect.Type, unit: str | None) -> Any:
    value: Any = _MISSING
    match wanted:
        case inspect.StrType():
            value = text
        case inspect.BoolType():
            value = {"true": True, "false": False}.get(text, _MISSING)
        case inspect.LiteralType():
            value = next((choice for choice in wanted.values if str(choice) == text), _MISSING)
        case inspect.IntType() | inspect.FloatType():
            if unit == "duration":
                value = units.seconds(text)
            elif unit == "size":
                value = units.size(text)
            elif _number(text) and (isinstance(wanted, inspect.FloatType) or "." not in text):
                value = float(text) if isinstance(wanted, inspect.FloatType) else int(text)
            if value is None or (value is not _MISSING and not _in_range(value, wanted)):
                value = _MISSING
    return value


def _in_range(value: float, wanted: inspect.IntType | inspect.FloatType) -> bool:
    return (wanted.ge is None or value >= wanted.ge) and (wanted.le is None or value <= wanted.le)


def _describe(wanted: inspect.Type, unit: str | None = None) -> str:
    wanted = _bare(wanted)
    match wanted:
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType():
            return " or ".join(str(choice) for choice in wanted.values)
        case inspect.IntType() | inspect.FloatType():
            if unit == "duration":
                return "a duration with a unit, such as 500ms, 30s, 5m, 24h or 30d"
            if unit == "size":
                return "a size, such as 64KiB or 32MiB"
            kind = "a whole number" if isinstance(wanted, inspect.IntType) else "a number"
            if wanted.ge is not None and wanted.le is not None:
                return f"{kind} from {wanted.ge:g} to {wanted.le:g}"
            return f"{kind} of at least {wanted.ge:g}" if wanted.ge is not None else kind
    return "a value"


def _bare(wanted: inspect.Type) -> inspect.Type:
    while isinstance(wanted, inspect.Metadata):
        wanted = wanted.type
    return wanted


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in ("", "~", "null")


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def type_of(struct: type[msgspec.Struct]) -> inspect.Type:
    """The schema's type as `build` takes it."""
    return inspect.type_info(struct)
