"""Requests made from the published descriptions: each member of each API, in each of its forms.

Recordings show what people do send; these show what they may. A sample is the plainest request of an API with one
thing more in it: one branch of one union, one value of one enumeration, one optional member of one object, to a
depth. Texts that have a meaning (ids that tie a result to its call, names, URLs, base64) are given by member name.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any, Final

from tests.translation.plainest import CALLED, PARAMETERS, PLAIN, SAID, TOOLS, TURNS
from tests.translation.schemas import ANSWERS, PREFIX, REQUESTS, component
from tests.translation.strategies import PNG

Json = Any
DEPTH: Final = 7
"""How many objects deep the members are varied; below, only what is required."""
WIDE: Final = 60
"""Variants of one member at most."""

TEXTS: Final = {
    "tool_call_id": "call_1",
    "tool_use_id": "call_1",
    "call_id": "call_1",
    "id": "call_1",
    "name": "f",
    "model": "m",
    "url": "https://example.com/a.png",
    "image_url": "https://example.com/a.png",
    "file_url": "https://example.com/a.pdf",
    "fileUri": "https://example.com/a.png",
    "data": PNG,
    "file_data": f"data:application/pdf;base64,{PNG}",
    "filename": "a.pdf",
    "mimeType": "image/png",
    "arguments": '{"a":1}',
    "text": "some words",
    "thoughtSignature": PNG,
    "media_type": "image/png",
    "title": "a title",
    "stop": "END",
    "definition": "start: /a+/",
    "role": "user",
    "allowedFunctionNames": "f",
}
OBJECTS: Final = {
    "tools": {"type": "function", "name": "f"},
    "parameters": PARAMETERS,
    "parametersJsonSchema": PARAMETERS,
    "input_schema": PARAMETERS,
    "schema": PARAMETERS,
    "responseJsonSchema": PARAMETERS,
    "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
    "input": {"a": 1},
    "args": {"a": 1},
    "response": {"output": "42"},
    "metadata": {"k": "v"},
}
"""Free-form members."""

NEEDED: Final = {
    "functionDeclarations": ("name",),
    "functionCall": ("name",),
    "functionResponse": ("name", "response"),
    "inlineData": ("mimeType", "data"),
    "fileData": ("fileUri",),
    "functionCallingConfig": ("mode",),
    "candidates": ("finishReason",),
    "parameters": ("type",),
    "responseSchema": ("type",),
    "file": ("file_data", "filename"),
}
"""What an object of that name cannot do without, where its description does not say so."""
NEEDED_BY_TYPE: Final = {
    "input_image": ("image_url",),
    "input_file": ("file_data", "filename"),
    "function_call_output": ("call_id",),
}
"""The same by the object's `type`."""
CHOSEN: Final = {"mode": "ANY", "type": "OBJECT", "finishReason": "STOP"}
"""Values of such members, where the first of an enumeration means nothing."""


def members(dialect: str) -> list[str]:
    """The members of a request."""
    shape = REQUESTS[dialect]
    return sorted(
        {
            name
            for part in _flat(component(shape.document, shape.component), shape.document)
            for name in part.get("properties", {})
        }
    )


def samples(dialect: str, member: str) -> list[Json]:
    """Requests that have this member, each in another form; each form once."""
    shape = REQUESTS[dialect]
    found: dict[str, Json] = {}
    for part in _flat(component(shape.document, shape.component), shape.document):
        if member in part.get("properties", {}):
            for value in itertools.islice(
                _variants(part["properties"][member], shape.document, member, DEPTH), WIDE * 8
            ):
                if not _is_meant(member, value):
                    continue
                request = _request(dialect, member, copy.deepcopy(value))
                found.setdefault(json.dumps(request, sort_keys=True), request)
    return list(found.values())


def answer_members(dialect: str) -> list[str]:
    """The members of an answer."""
    shape = ANSWERS[dialect]
    parts = _flat(component(shape.document, shape.component), shape.document)
    # A response with an error is none, and neither is one that goes on.
    aside = {"id", "model", "created", "error", "status"}
    return sorted({name for part in parts for name in part.get("properties", {})} - aside)


def answer_samples(dialect: str, member: str) -> list[Json]:
    """Answers that have this member, each in another form; each form once."""
    shape = ANSWERS[dialect]
    found: dict[str, Json] = {}
    for part in _flat(component(shape.document, shape.component), shape.document):
        if member in part.get("properties", {}):
            values = _variants(part["properties"][member], shape.document, member, DEPTH)
            for value in itertools.islice(values, WIDE * 8):
                text = json.dumps(value)
                # Responses are described as any part, and said by clients only; an answer that is whole has a reason.
                if "functionResponse" in text or "FINISH_REASON_UNSPECIFIED" in text:
                    continue
                value = json.loads(text.replace('"role": "user"', '"role": "model"'))
                answer = {**copy.deepcopy(SAID[dialect]), member: value}
                found.setdefault(json.dumps(answer, sort_keys=True), answer)
    return list(found.values())


def _is_meant(member: str, value: Json) -> bool:
    """Gemini describes instructions as any content, and they are text; and parameters as any schema, and they are
    an object's."""
    if member == "systemInstruction":
        return all("text" in part for part in value.get("parts", ()))
    if member == "tools" and "functionDeclarations" in json.dumps(value):
        roots = [one.get("parameters", {}) for tool in value for one in tool.get("functionDeclarations", ())]
        return all(root.get("type", "OBJECT") == "OBJECT" for root in roots)
    return True


def _request(dialect: str, member: str, value: Json) -> Json:
    request = copy.deepcopy(PLAIN[dialect])
    turns = TURNS[dialect]
    if member == turns and isinstance(value, list):
        request[turns] += [*_asked(dialect, value), *value]
        return request
    request[member] = value
    if "tool" in member.lower() and member != "tools":
        request["tools"] = TOOLS[dialect]
    if member == "function_call":
        request["functions"] = [{"name": name} for name in "fg"]
    if member == "generationConfig" and not {"responseSchema", "responseJsonSchema"}.isdisjoint(value):
        value.setdefault("responseMimeType", "application/json")  # without which the API takes no schema
    return request


def _asked(dialect: str, turns: list[Json]) -> list[Json]:
    """The call that these turns answer, if they do."""
    text = json.dumps(turns)
    if _calls(text):
        return []
    if '"role": "function"' in text:
        return [{"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1}'}}]
    return [CALLED[dialect]] if "call_1" in text or "functionResponse" in text else []


def _calls(text: str) -> bool:
    """Whether the sampled turn is itself the call."""
    marks = ("tool_calls", "tool_use", "functionCall", "function_call", "custom_tool_call")
    return any(f'"{mark}"' in text for mark in marks)


def _resolve(schema: Json, document: str) -> Json:
    while isinstance(schema, dict) and str(schema.get("$ref", "")).startswith(PREFIX):
        schema = component(document, schema["$ref"][len(PREFIX) :])
    return schema


def _flat(schema: Json, document: str) -> Iterator[dict[str, Json]]:
    schema = _resolve(schema, document)
    yield schema
    for part in schema.get("allOf", ()):
        yield from _flat(part, document)


def _variants(schema: Json, document: str, name: str, depth: int) -> Iterator[Json]:
    """Values of the schema, the plainest first."""
    parts = list(_flat(schema, document))
    unions = [part[kind] for part in parts for kind in ("anyOf", "oneOf") if kind in part]
    described = [part for part in parts if "properties" in part]
    merged: dict[str, Json] = {}
    for part in parts:
        merged |= {key: value for key, value in part.items() if key not in ("properties", "required")}
    if "const" in merged:
        yield merged["const"]
    elif "enum" in merged:
        yield from [one for one in merged["enum"] if one != "TYPE_UNSPECIFIED"][:8]
    elif described:
        yield from _objects(described, document, name, depth)
    elif unions:
        for branch in unions[0]:
            if _resolve(branch, document).get("type") != "null":
                yield from _variants(branch, document, name, depth)
    else:
        yield from _leaves(merged, document, name, depth)


def _leaves(schema: Json, document: str, name: str, depth: int) -> Iterator[Json]:
    kind = schema.get("type")
    if isinstance(kind, list):  # a number of protocol buffers, or a member that may be null
        kind = next(one for one in reversed(kind) if one != "null")
    if kind == "array":
        for item in _variants(schema.get("items", {}), document, name, depth):
            yield [item] * max(1, schema.get("minItems", 1))
    elif kind == "string":
        yield TEXTS.get(name, "words")
    elif kind == "integer":
        yield max(1, schema.get("minimum", 1))
    elif kind == "number":
        yield max(0.5, schema.get("minimum", 0.5))
    elif kind == "boolean":
        yield True
        yield False
    else:
        yield OBJECTS.get(name, {"k": "v"})


def _objects(parts: list[Json], document: str, name: str, depth: int) -> Iterator[Json]:
    if name in OBJECTS and any(part.get("additionalProperties") for part in parts):
        yield OBJECTS[name]
        return
    required = [member for part in parts for member in part.get("required", ())]
    required += [member for member in NEEDED.get(name, ()) if member not in required]
    properties: dict[str, Json] = {}
    for part in parts:
        properties |= part["properties"]
    base: dict[str, Json] = {}
    for member in required:
        if member in properties:
            plain = next(_variants(properties[member], document, member, 0), None)
            base[member] = CHOSEN.get(member, plain) if name in NEEDED else plain
    for tag in ("type", "role"):  # a tag that may be left out says what the object is
        if tag in properties and tag not in base:
            base[tag] = next(_variants(properties[tag], document, tag, 0), None)
    for member in NEEDED_BY_TYPE.get(base.get("type", ""), ()):
        if member in properties:
            base[member] = next(_variants(properties[member], document, member, 0), None)
    if base or depth == 0:
        yield base
    if depth:
        for member, schema in properties.items():
            for value in itertools.islice(_variants(schema, document, member, depth - 1), WIDE):
                if base.get(member) != value:
                    yield {**base, member: value}
