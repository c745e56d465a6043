"""Whether a value certainly breaks a JSON Schema, in a bounded number of steps, whatever the schema.

The schema comes from a client and is looked at on the event loop, so what a validator may do is not enough of a
promise: nothing is fetched, no regular expression is run, and every step is counted. What cannot be judged within
that is neither kept nor broken but unknown, and unknown goes through `not`, `oneOf` and `if` as such. So a finding is
never a guess: of an answer that is said to break its schema, any validator says the same.

Keywords are those of draft 2020-12; `format` is an annotation, as it is there. An older draft is read by the same
words, and where they mean something else (`items` as a list) they are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from llmgw.canonical import Json

STEPS: Final = 20_000
"""At most; an object of ten members takes about seventy."""
DEPTH: Final = 100
"""Schemas within schemas, references followed included."""
_OLD_DRAFTS: Final = ("draft-03", "draft-04", "draft-05", "draft-06", "draft-07")

Held = bool | None
"""True: kept. False: broken. None: unknown."""
Members = Mapping[str, Json]
Kinds = frozenset[type]


class Finding(NamedTuple):
    """What came of a check."""

    held: Held
    why: str | None = None
    """What was not judged, where that leaves it open."""
    steps: int = 0
    """Taken."""


def check(schema: Json, value: Json, *, steps: int = STEPS) -> Finding:
    """Hold decoded JSON against a decoded schema within `steps`; never raises."""
    checker = _Check(schema, steps)
    try:
        held = checker.holds(schema, value)
    except _Beyond as limit:
        return Finding(None, str(limit), steps)
    except RecursionError:
        return Finding(None, "the answer or its schema is nested too deeply", steps)
    return Finding(held, checker.unknown if held is None else None, steps - checker.left)


class _Beyond(Exception):
    """A limit is reached; its text says which."""


class _Check:
    """One check. `unknown` is what was met first that cannot be judged, `left` the steps that are left."""

    __slots__ = ("_depth", "_ref_stands_alone", "_root", "_targets", "left", "unknown")

    def __init__(self, root: Json, steps: int) -> None:
        self._root = root
        self._depth = 0
        self.left = steps
        self._targets: dict[str, Json] = {}
        named = root.get("$schema") if type(root) is dict else None
        # Up to draft 7 a reference hides its siblings.
        self._ref_stands_alone = type(named) is str and any(draft in named for draft in _OLD_DRAFTS)
        self.unknown: str | None = None

    def holds(self, schema: Json, value: Json) -> Held:
        """Whether `value` keeps to `schema`."""
        self._depth += 1
        if self._depth > DEPTH:
            raise _Beyond(f"the schema is nested more than {DEPTH} deep")
        held = schema if type(schema) is bool else self._holds(schema, value)
        self._depth -= 1
        return held

    def _holds(self, schema: Json, value: Json) -> Held:
        if type(schema) is not dict:
            return self.unjudged("a schema that is none")
        self.spend(1 + len(schema))
        if "$id" in schema and schema is not self._root:
            return self.unjudged("$id")  # references within it have another base
        if self._ref_stands_alone and "$ref" in schema:
            return _ref(self, schema["$ref"], value, schema)
        kind = type(value)
        found: Held = True
        for name, said in schema.items():
            rule = _RULES.get(name)
            if rule is None or kind not in rule[0]:
                continue
            held = rule[1](self, said, value, schema)
            if held is None:
                found = None
            elif not held:
                if value is None and schema.get("nullable") is True:
                    return self.unjudged("nullable")  # OpenAPI's word, which some hosts honour
                return False
        return found

    def all_hold(self, pairs: Iterable[tuple[Json, Json]]) -> Held:
        """Whether each value of the (schema, value) pairs keeps to its schema."""
        found: Held = True
        for schema, value in pairs:
            held = self.holds(schema, value)
            if held is False:
                return False
            if held is None:
                found = None
        return found

    def unjudged(self, what: str) -> Held:
        """Unknown, because of `what`."""
        if self.unknown is None:
            self.unknown = f"{what} is not judged"
        return None

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise _Beyond(f"it takes more than {STEPS} steps")

    def target(self, reference: str) -> Json:
        """The schema that a reference within the document leads to; None where there is none."""
        if reference in self._targets:
            return self._targets[reference]
        self.spend(1 + (len(reference) >> 4))
        found = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if type(found) is dict:
                found = found.get(name)
            elif type(found) is list and name.isascii() and name.isdigit() and len(name) < 9:
                found = found[int(name)] if int(name) < len(found) else None
            else:
                found = None
        self._targets[reference] = found
        return found

    def same(self, one: Json, other: Json) -> bool:
        """Equality of JSON: 1 is 1.0 and is not true."""
        if type(one) is dict:
            if type(other) is not dict or len(one) != len(other):
                return False
            return all(name in other and self.same(value, other[name]) for name, value in one.items())
        if type(one) is list:
            if type(other) is not list or len(one) != len(other):
                return False
            return all(self.same(value, theirs) for value, theirs in zip(one, other, strict=True))
        if type(one) is bool or type(other) is bool:
            return one is other
        self.spend(1 + (len(one) >> 8 if type(one) is str else 0))
        return bool(one == other)


Rule = Callable[[_Check, Json, Json, Members], Held]
"""Takes the check, what the keyword says, the value, and the schema around it."""


def _type(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    names = [said] if type(said) is str else said
    if type(names) is not list:
        return check.unjudged("type")
    check.spend(len(names))
    strange = False
    for name in names:
        kinds = _TYPES.get(name) if type(name) is str else None
        if kinds is None:
            strange = True
        elif type(value) in kinds and (name != "integer" or type(value) is int or value.is_integer()):
            return True
    return check.unjudged("type") if strange else False


def _enum(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not list:
        return check.unjudged("enum")
    check.spend(len(said))
    return any(check.same(one, value) for one in said)


def _const(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    return check.same(said, value)


def _ref(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not str or (said != "#" and not said.startswith("#/")) or "%" in said:
        return check.unjudged("a $ref to another document or to an anchor")
    target = check.target(said)
    if target is None:
        return check.unjudged("a $ref that leads nowhere")
    return check.holds(target, value)


def _all_of(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not list:
        return check.unjudged("allOf")
    return check.all_hold((one, value) for one in said)


def _any_of(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not list or not said:
        return check.unjudged("anyOf")
    found: Held = False
    for one in said:
        held = check.holds(one, value)
        if held:
            return True
        if held is None:
            found = None
    return found


def _one_of(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not list or not said:
        return check.unjudged("oneOf")
    kept, unknown = 0, False
    for one in said:
        held = check.holds(one, value)
        if held is None:
            unknown = True
        kept += held is True
        if kept > 1:
            return False
    return None if unknown else kept == 1


def _not(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    held = check.holds(said, value)
    return None if held is None else not held


def _if(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    held = check.holds(said, value)
    return None if held is None else check.holds(schema.get("then" if held else "else", True), value)


def _bound(
    breaks: Callable[[Json, Json], bool], measure: Callable[[Json], Json], *, is_count: bool = False
) -> Rule:
    """A keyword whose number the measure of the value must not break."""
    kinds = (int,) if is_count else (int, float)

    def judge(check: _Check, said: Json, value: Json, schema: Members) -> Held:
        if type(said) not in kinds:  # draft 4 has booleans for two of them
            return check.unjudged("a bound that is no number")
        return not breaks(measure(value), said)

    return judge


def _itself(value: Json) -> Json:
    return value


def _below(measured: Json, bound: Json) -> bool:
    return bool(measured < bound)


def _above(measured: Json, bound: Json) -> bool:
    return bool(measured > bound)


def _multiple_of(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) not in _NUMBER or said <= 0:
        return check.unjudged("multipleOf")
    if max(abs(value), said) >= 1 << 64:  # dividing has a price here, and floats no precision
        return check.unjudged("multipleOf of a large number")
    try:
        # As it was written: 0.3 is a multiple of 0.1, which their binary fractions are not.
        return Decimal(repr(value)) % Decimal(repr(said)) == 0
    except InvalidOperation:
        return check.unjudged("multipleOf")


def _required(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not list:
        return check.unjudged("required")
    check.spend(len(said))
    return all(type(name) is not str or name in value for name in said)


def _properties(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not dict:
        return check.unjudged("properties")
    check.spend(len(value))
    return check.all_hold(((said[name], member) for name, member in value.items() if name in said))


def _additional(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if said is True:
        return True
    known = schema.get("properties", {})
    if type(known) is not dict:
        return check.unjudged("properties")
    check.spend(len(value))
    others = [member for name, member in value.items() if name not in known]
    if others and schema.get("patternProperties"):
        return check.unjudged("patternProperties")
    return check.all_hold((said, member) for member in others)


def _names(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    return check.all_hold((said, name) for name in value)


def _items(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    before = schema.get("prefixItems", [])
    if type(said) is list or type(before) is not list:
        return check.unjudged("items") if value else True
    return check.all_hold((said, value[at]) for at in range(len(before), len(value)))


def _prefix(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if type(said) is not list:
        return check.unjudged("prefixItems")
    return check.all_hold(zip(said, value, strict=False))


def _unique(check: _Check, said: Json, value: Json, schema: Members) -> Held:
    if said is False:
        return True
    check.spend(len(value))
    if said is not True or any(type(item) in (dict, list) for item in value):
        return check.unjudged("uniqueItems of objects or arrays") if len(value) > 1 else True
    return len({(type(item) is bool, item) for item in value}) == len(value)


def _not_judged(what: str) -> Rule:
    def judge(check: _Check, said: Json, value: Json, schema: Members) -> Held:
        return check.unjudged(what)

    return judge


_NUMBER: Final[Kinds] = frozenset({int, float})
_TEXT: Final[Kinds] = frozenset({str})
_LIST: Final[Kinds] = frozenset({list})
_OBJECT: Final[Kinds] = frozenset({dict})
_ANY: Final[Kinds] = frozenset({int, float, str, list, dict, bool, type(None)})
_TYPES: Final[Mapping[str, Kinds]] = {
    "null": frozenset({type(None)}),
    "boolean": frozenset({bool}),
    "integer": _NUMBER,
    "number": _NUMBER,
    "string": _TEXT,
    "array": _LIST,
    "object": _OBJECT,
}
_RULES: Final[Mapping[str, tuple[Kinds, Rule]]] = {
    "type": (_ANY, _type),
    "enum": (_ANY, _enum),
    "const": (_ANY, _const),
    "$ref": (_ANY, _ref),
    "allOf": (_ANY, _all_of),
    "anyOf": (_ANY, _any_of),
    "oneOf": (_ANY, _one_of),
    "not": (_ANY, _not),
    "if": (_ANY, _if),
    "minimum": (_NUMBER, _bound(_below, _itself)),
    "maximum": (_NUMBER, _bound(_above, _itself)),
    "exclusiveMinimum": (_NUMBER, _bound(lambda value, bound: bool(value <= bound), _itself)),
    "exclusiveMaximum": (_NUMBER, _bound(lambda value, bound: bool(value >= bound), _itself)),
    "multipleOf": (_NUMBER, _multiple_of),
    "minLength": (_TEXT, _bound(_below, len, is_count=True)),
    "maxLength": (_TEXT, _bound(_above, len, is_count=True)),
    "minItems": (_LIST, _bound(_below, len, is_count=True)),
    "maxItems": (_LIST, _bound(_above, len, is_count=True)),
    "minProperties": (_OBJECT, _bound(_below, len, is_count=True)),
    "maxProperties": (_OBJECT, _bound(_above, len, is_count=True)),
    "items": (_LIST, _items),
    "prefixItems": (_LIST, _prefix),
    "uniqueItems": (_LIST, _unique),
    "required": (_OBJECT, _required),
    "properties": (_OBJECT, _properties),
    "additionalProperties": (_OBJECT, _additional),
    "propertyNames": (_OBJECT, _names),
    # A client's expression can take longer than the universe has (Python's `re` backtracks).
    "pattern": (_TEXT, _not_judged("pattern")),
    "patternProperties": (_OBJECT, _not_judged("patternProperties")),
    "unevaluatedProperties": (_OBJECT, _not_judged("unevaluatedProperties")),
    "unevaluatedItems": (_LIST, _not_judged("unevaluatedItems")),
    # Rare where models are asked for JSON; a rule each would be code for nobody.
    "contains": (_LIST, _not_judged("contains")),
    "dependencies": (_OBJECT, _not_judged("dependencies")),
    "dependentRequired": (_OBJECT, _not_judged("dependentRequired")),
    "dependentSchemas": (_OBJECT, _not_judged("dependentSchemas")),
    "$dynamicRef": (_ANY, _not_judged("$dynamicRef")),
    "$recursiveRef": (_ANY, _not_judged("$recursiveRef")),
    "extends": (_ANY, _not_judged("extends")),
    "disallow": (_ANY, _not_judged("disallow")),
}
"""By keyword: the types of values that it is for, and its rule. A keyword that is not here is an annotation."""
