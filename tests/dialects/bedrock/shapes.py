"""Checks JSON against the shapes of a service's published model (the AWS SDKs' `service-2.json`).

Held are required members, types, enumerations, lengths, patterns and bounds; that a union has exactly one member; and
that no member is there which the model does not know.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

_MODEL: Final = Path(__file__).resolve().parents[4] / "shared" / "schemas" / "bedrock-runtime-service-2.json"

Shape = dict[str, Any]


def present() -> bool:
    """Whether this checkout has the model."""
    return _MODEL.exists()


needed = pytest.mark.skipif(not present(), reason="the service's published model is not in this checkout")


@functools.cache
def shapes() -> dict[str, Shape]:
    """All shapes by name; those of the URL are no members of a body."""
    found: dict[str, Shape] = json.loads(_MODEL.read_bytes())["shapes"]
    return found


def faults(value: Any, name: str, path: str = "") -> list[str]:
    """What is wrong with `value` as the shape `name`."""
    shape = shapes()[name]
    if shape.get("document"):
        return []
    kind = shape["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{path}: {kind} expected, {value!r:.40} found"]
    if kind == "structure":
        return _structure(value, shape, path)
    if kind == "list":
        inner = shape["member"]["shape"]
        return _bounds(len(value), shape, path) + [
            fault for index, one in enumerate(value) for fault in faults(one, inner, f"{path}[{index}]")
        ]
    if kind == "map":
        return _bounds(len(value), shape, path) + [
            fault
            for key, one in value.items()
            for fault in faults(key, shape["key"]["shape"], path) + faults(one, shape["value"]["shape"], path)
        ]
    if kind == "string":
        return _string(value, shape, path)
    if kind == "blob":
        return _bounds(len(base64.b64decode(value, validate=True)), shape, path)
    return [] if kind == "boolean" else _bounds(value, shape, path)


_TYPES: Final[dict[str, Any]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


def _structure(value: dict[str, Any], shape: Shape, path: str) -> list[str]:
    members = {
        name: member for name, member in shape.get("members", {}).items() if member.get("location") is None
    }
    found = [f"{path}.{name}: not known" for name in value.keys() - members.keys()]
    wanted = [name for name in shape.get("required", ()) if name in members]
    found += [f"{path}.{name}: missing" for name in wanted if name not in value]
    if shape.get("union") and len(value) != 1:
        found.append(f"{path}: one member expected, {sorted(value)} found")
    for name in value.keys() & members.keys():
        found += faults(value[name], members[name]["shape"], f"{path}.{name}")
    return found


def _string(value: str, shape: Shape, path: str) -> list[str]:
    found = _bounds(len(value), shape, path)
    if "enum" in shape and value not in shape["enum"]:
        found.append(f"{path}: {value!r} is none of {shape['enum']}")
    if "pattern" in shape and re.fullmatch(shape["pattern"], value) is None:
        found.append(f"{path}: {value!r:.60} does not match {shape['pattern']}")
    return found


def _bounds(value: float, shape: Shape, path: str) -> list[str]:
    found = []
    if "min" in shape and value < shape["min"]:
        found.append(f"{path}: {value} is less than {shape['min']}")
    if "max" in shape and value > shape["max"]:
        found.append(f"{path}: {value} is more than {shape['max']}")
    return found
