"""From YAML nodes to typed values, guided by the schema's own types.

Nodes and not objects, because only nodes know their line, and because YAML 1.1 would turn `on`, `010` and `1:30`
into things nobody wrote: here a scalar is text until the schema says what it should be. What is at fault is
noted and left out, and building goes on, so that one reading finds every fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from msgspec import inspect

from llmgw.config import accounts, scalars, variables
from llmgw.config.document import IMPLICIT
from llmgw.config.faults import Faults, Place, TooMany, nearest
from llmgw.config.scalars import Option
from llmgw.secret import Secret

NODE_LIMIT: Final = 100_000
"""Nodes looked at, aliases counted each time: a bound on expansion bombs."""

KEY_LIMIT: Final = 256
TEXT_LIMIT: Final = 16 * 1024

MISSING: Final[Any] = object()
"""Stands for a value that could not be built; the fault is noted."""

_STORE_IT: Final = "store the secret with 'llmgw credentials set' and name it in credential"
_COMPOUND: Final = (inspect.StructType, inspect.DictType, inspect.VarTupleType)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})  # YAML 1.2.2 section 10.3.2


class Builder:
    """Builds one value; keeps what stands at each place for the checks that follow.

    `marks`: where a fault of a place is shown; of a mapping or a list that is its key, of a scalar itself.
    """

    def __init__(self, faults: Faults, env: Mapping[str, str]) -> None:
        self.nodes: dict[Place, yaml.Node] = {}
        self.marks: dict[Place, yaml.Mark] = {}
        self._faults = faults
        self._env = env
        self._unsound: set[Place] = set()

    def sound(self, place: Place) -> bool:
        """Whether nothing at this place or below it was at fault."""
        return place not in self._unsound

    def build(
        self, node: yaml.Node, wanted: inspect.Type, place: Place = (), key: yaml.Node | None = None
    ) -> Any:
        """The value of `node`, which `key` names, as `wanted`; or MISSING. A mapping with a fault in it is
        built without the member at fault, where that can be left out.

        Raises:
            TooMany: there are too many faults, or too many nodes.
        """
        if len(self.nodes) >= NODE_LIMIT:
            self._fail(
                node.start_mark, place, "the file is too large, or its aliases multiply; write less of it."
            )
            raise TooMany
        self.nodes[place] = node
        marked = node if key is None or isinstance(node, yaml.ScalarNode) else key
        self.marks[place] = marked.start_mark
        if node.tag != IMPLICIT:
            return self._fail(
                node.start_mark, place, "has a tag (!...); write the value alone, in quotes if need be."
            )
        options = list(_options(wanted))
        if _is_null(node) and any(isinstance(kind, inspect.NoneType) for kind, _ in options):
            return None
        compound = next((kind for kind, _ in options if isinstance(kind, _COMPOUND)), None)
        single = [option for option in options if not isinstance(option.kind, (*_COMPOUND, inspect.NoneType))]
        if compound is not None and (not single or isinstance(node, yaml.MappingNode)):
            return self._compound(node, compound, place)
        return self._scalar(node, single, place)

    def _fail(self, at: yaml.Mark, place: Place, message: str) -> Any:
        for length in range(len(place) + 1):
            self._unsound.add(place[:length])
        self._faults.error(at, place, message)
        return MISSING

    def _compound(self, node: yaml.Node, kind: inspect.Type, place: Place) -> Any:
        match kind:
            case inspect.StructType():
                return self._struct(node, kind, place)
            case inspect.DictType():
                return self._mapping(node, kind, place)
            case inspect.VarTupleType():
                return self._list(node, kind, place)
        raise TypeError(f"the schema has a type that is not read: {kind}")

    def _struct(self, node: yaml.Node, wanted: inspect.StructType, place: Place) -> Any:
        members = self._members(node, place)
        if members is None:
            return MISSING
        fields = {field.encode_name: field for field in wanted.fields}
        values: dict[str, Any] = {}
        for name, (key, child) in members.items():
            field = fields.get(name)
            if field is None:
                self._fail(key.start_mark, (*place, name), "is not a setting" + nearest(name, fields))
            else:
                values[field.name] = self.build(child, field.type, (*place, name), key)
        lacking = [field for field in wanted.fields if field.required and field.name not in values]
        for field in lacking:
            self._fail(self.marks[place], (*place, field.encode_name), "is missing; it has no default.")
        if lacking or any(values[field.name] is MISSING for field in wanted.fields if field.required):
            return MISSING
        return wanted.cls(**{name: value for name, value in values.items() if value is not MISSING})

    def _mapping(self, node: yaml.Node, wanted: inspect.DictType, place: Place) -> Any:
        members = self._members(node, place)
        if members is None:
            return MISSING
        built = {
            name: self.build(child, wanted.value_type, (*place, name), key)
            for name, (key, child) in members.items()
        }
        return {name: value for name, value in built.items() if value is not MISSING}

    def _list(self, node: yaml.Node, wanted: inspect.VarTupleType, place: Place) -> Any:
        if not isinstance(node, yaml.SequenceNode) and not _is_null(node):
            return self._fail(
                node.start_mark,
                place,
                f"must be a list, not {_kind(node)}; write [...], or lines that begin with -.",
            )
        children = node.value if isinstance(node, yaml.SequenceNode) else []
        if len(children) < (wanted.min_length or 0):
            return self._fail(self.marks[place], place, "must not be empty.")
        built = [self.build(child, wanted.item_type, (*place, n)) for n, child in enumerate(children)]
        return MISSING if any(value is MISSING for value in built) else tuple(built)

    def _members(self, node: yaml.Node, place: Place) -> dict[str, tuple[yaml.Node, yaml.Node]] | None:
        """Keys and values by name; an empty section is like one that is left out."""
        if _is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._fail(node.start_mark, place, f"must be a mapping (name: value), not {_kind(node)}.")
            return None
        members: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            problem = _problem_of_key(key)
            if problem is not None:
                self._fail(key.start_mark, place, problem)
            elif key.value in members:
                line = members[key.value][0].start_mark.line + 1
                self._fail(
                    key.start_mark,
                    (*place, key.value),
                    f"is there already, in line {line}; keep one of the two.",
                )
            else:
                members[key.value] = (key, value)
        return members

    def _scalar(self, node: yaml.Node, options: list[Option], place: Place) -> Any:
        wanted = scalars.describe(options)
        if not isinstance(node, yaml.ScalarNode):
            return self._fail(node.start_mark, place, f"must be {wanted}, not {_kind(node)}.")
        if _is_null(node):
            return self._fail(node.start_mark, place, f"is empty; it must be {wanted}.")
        if len(node.value) > TEXT_LIMIT:
            return self._fail(node.start_mark, place, f"is longer than {TEXT_LIMIT // 1024} KiB.")
        secret = any(isinstance(kind, inspect.CustomType) and kind.cls is Secret for kind, _ in options)
        filled = variables.fill(node.value, self._env)
        if filled.malformed:
            return self._fail(
                node.start_mark,
                place,
                "has a ${ that is neither ${NAME} nor ${NAME:-default}; write $$ for a dollar.",
            )
        for name in filled.unset:
            remedy = _STORE_IT if secret else f"write ${{{name}:-default}}"
            self._fail(
                node.start_mark,
                place,
                f"needs the environment variable {name}, which is not set; set it, or {remedy}.",
            )
        if filled.unset:
            return MISSING
        if secret:
            return self._secret(node, filled, place)
        value = scalars.parse(filled.text, options)
        if value is None:
            literal = filled.text == node.value
            return self._fail(
                node.start_mark, place, scalars.complaint(filled.text, options, literal=literal)
            )
        return value

    def _secret(self, node: yaml.ScalarNode, filled: variables.Filled, place: Place) -> Any:
        text = accounts.one_line(filled.text)
        document = text.startswith("{")  # of a cloud's account; it is not sent itself
        if not text or not text.isascii() or not text.isprintable() or (" " in text and not document):
            return self._fail(
                node.start_mark,
                place,
                "is no secret that a header can carry: it is empty, or has spaces or controls in it.",
            )
        if not filled.from_env:
            self._faults.warning(
                node.start_mark,
                place,
                f"stands in the file; keep secrets out of it: write ${{VARIABLE}}, or {_STORE_IT}.",
            )
        return Secret(text)


def _options(wanted: inspect.Type, unit: str | None = None) -> Iterator[Option]:
    """The types that a value may have, each with its unit."""
    match wanted:
        case inspect.Metadata():
            yield from _options(wanted.type, unit or (wanted.extra or {}).get("unit"))
        case inspect.UnionType():
            for kind in wanted.types:
                yield from _options(kind, unit)
        case _:
            yield Option(wanted, unit)


def _problem_of_key(key: yaml.Node) -> str | None:
    if not isinstance(key, yaml.ScalarNode) or key.tag != IMPLICIT:
        return "a key must be a plain name."
    if key.value == "<<" and key.style is None:
        return "merge keys (<<) are not supported; write the values out, or alias each one (*name)."
    if not 0 < len(key.value) <= KEY_LIMIT or not key.value.isprintable():
        return f"a key must have 1 to {KEY_LIMIT} printable characters."
    if variables.holds_variable(key.value):
        return "a key takes no variables; write the name out."
    return None


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
