"""The published API descriptions as validators of what the codecs write.

The documents stand beside the checkout (`../shared/schemas`, see its README for their origin); a checkout without
them has no such tests. Each is parsed once per process. References are looked up by name instead of through a
registry, because the largest document has 1,400 components and a test looks at a few of them.

Two questions are asked of a value: `faults`, what is wrong with the members it has; and `strangers`, which
members no branch of the schema knows (most of the documents leave objects open, so that a misspelt member would
pass). The documents are stricter than the APIs in three ways, and real recorded answers fail them (test_schemas.py
holds that to these): a null stands where a member is optional, a member is absent that is required but may be
null, and members are missing from the documents (`ALLOWED`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml
from jsonschema.validators import Draft202012Validator, extend
from msgspec import Struct

SCHEMAS: Final = Path(__file__).resolve().parents[3] / "shared" / "schemas"

FILES: Final = {
    "openai": "openai-openapi.yaml",
    "anthropic": "anthropic-openapi.yaml",
    "gemini": "gemini-openapi.json",
}

PREFIX: Final = "#/components/schemas/"
ABSENT: Final = object()
NULL: Final = {"type": "null"}
TAGS: Final = ("type", "role", "object", "event")
"""Members whose constant tells the branches of a union apart."""


class Shape(Struct, frozen=True):
    """One component of one document."""

    document: str
    component: str


ANSWERS: Final = {
    "openai_chat": Shape("openai", "CreateChatCompletionResponse"),
    "openai_responses": Shape("openai", "Response"),
    "anthropic": Shape("anthropic", "BetaMessage"),
    "gemini": Shape("gemini", "GenerateContentResponse"),
}
EVENTS: Final = {
    "openai_chat": Shape("openai", "CreateChatCompletionStreamResponse"),
    "openai_responses": Shape("openai", "ResponseStreamEvent"),
    "anthropic": Shape("anthropic", "BetaMessageStreamEvent"),
    "gemini": Shape("gemini", "GenerateContentResponse"),
}
REQUESTS: Final = {
    "openai_chat": Shape("openai", "CreateChatCompletionRequest"),
    "openai_responses": Shape("openai", "CreateResponse"),
    "anthropic": Shape("anthropic", "BetaCreateMessageParams"),
    "gemini": Shape("gemini", "GenerateContentRequest"),
}
"""Anthropic's `Beta` components are the same API with the features a beta header opens."""

ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "openai_chat": frozenset(
        {
            # How thoughts and their signatures travel through a client of this API: DeepSeek's and OpenRouter's
            # members, and Google's of its OpenAI-compatible endpoint.
            "reasoning_content",
            "reasoning_details",
            "extra_content",
            # What a model draws, as OpenRouter gives it.
            "images",
            # OpenAI sends these in chunks.
            "obfuscation",
            "annotations",
        }
    ),
    "openai_responses": frozenset(
        {
            "obfuscation",
            # The real answer echoes more of the request than the document says.
            "billing",
            "store",
            "frequency_penalty",
            "presence_penalty",
            "tool_usage",
        }
    ),
    "anthropic": frozenset({"output_tokens_details", "abort_reason", "stop_reason"}),
    # Vertex, and Vertex's streamed arguments of calls.
    "gemini": frozenset({"createTime", "trafficType", "partialArgs", "willContinue"}),
}
"""Members that the documents lack, by dialect."""

OPTIONAL: Final = frozenset(
    {
        "cache_write_tokens",  # newer than most answers
        "web_fetch_requests",
        "skills",
        # Newer than the answers of recordings.
        "BetaResponseCharLocationCitation.file_id",
        "BetaResponsePageLocationCitation.file_id",
        "BetaResponseContentBlockLocationCitation.file_id",
        "BetaResponseCompactionBlock.encrypted_content",
        "BetaCompactionContentBlockDelta.encrypted_content",
        "ResponseTextDeltaEvent.logprobs",
        "ResponseTextDoneEvent.logprobs",
        "OutputTextContent.logprobs",
        "ReasoningItem.id",  # not known where nothing is stored
        "InputImageContent.detail",
        "LogProb.bytes",
        "OutputTextContent.annotations",
        "ResponseFunctionCallArgumentsDoneEvent.name",
        "WebSearchToolCall.action",
    }
)
"""Members that a document requires and its API leaves out or does without; of one component where it is named."""


ADDED: Final[Mapping[str, Mapping[str, Any]]] = {
    "CustomToolCall": {"status": {"enum": ["in_progress", "completed", "incomplete"]}},
}
"""Members of one component that its document lacks."""

BRANCHES: Final[Mapping[str, tuple[str, ...]]] = {
    # "Can also contain previous assistant responses", says the description, and so it is.
    "InputContent": ("OutputTextContent", "RefusalContent"),
}
"""Branches of a union that its document lacks."""


@functools.cache
def document(name: str) -> dict[str, Any]:
    """The components of a document. Skips the test where the file is absent."""
    path = SCHEMAS / FILES[name]
    if not path.exists():
        pytest.skip(f"the published schema {path.name} is not beside this checkout")
    raw = path.read_bytes()
    # One of the .yaml files is JSON, which the JSON parser reads 50 times as fast.
    parsed = json.loads(raw) if raw.lstrip().startswith(b"{") else yaml.load(raw, Loader=yaml.CSafeLoader)
    components: dict[str, Any] = parsed["components"]["schemas"]
    for of, members in ADDED.items():
        components.get(of, {"properties": {}})["properties"].update(members)
    for of, branches in BRANCHES.items():
        components.get(of, {"oneOf": []})["oneOf"].extend({"$ref": PREFIX + branch} for branch in branches)
    return components


@functools.cache
def component(name: str, of: str) -> Any:
    """One component with the habits of older OpenAPI turned into JSON Schema."""
    return _prepared(document(name)[of], of, name)


def _prepared(schema: Any, of: str, document_name: str) -> Any:
    if isinstance(schema, list):
        return [_prepared(one, of, document_name) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: _prepared(member, of, document_name) for name, member in value.items()}
        elif key in ("enum", "const", "default", "example"):
            made[key] = value
        else:
            made[key] = _prepared(value, of, document_name)
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(made.get(bound), bool):
            del made[bound]
    if made.get("$recursiveRef") == "#":
        made = {"$ref": PREFIX + of}
    # The protocol buffer mapping writes 64-bit numbers as strings and takes both.
    if made.get("format") in ("int64", "int32") and made.get("type") in ("string", "integer"):
        made["type"] = ["string", "integer"]
    if "properties" in made:
        _relax(made, of, document_name)
    if made.get("nullable") is True:
        del made["nullable"]
        made = {"anyOf": [NULL, made]}
    return made


def _relax(schema: dict[str, Any], of: str, document_name: str) -> None:
    """Null may stand for absent, and absent for null."""
    required = schema.get("required", ())
    for name, member in schema["properties"].items():
        if name not in required and isinstance(member, dict) and not _takes_null(member, document_name):
            schema["properties"][name] = {"anyOf": [NULL, member]}
    schema["required"] = [
        name
        for name in required
        if not OPTIONAL & {name, f"{of}.{name}"}
        and not _takes_null(schema["properties"].get(name, {}), document_name)
    ]


def _takes_null(schema: Any, document_name: str) -> bool:
    if "$ref" in schema:
        schema = document(document_name)[schema["$ref"][len(PREFIX) :]]
    if schema.get("nullable") is True or schema.get("type") == "null" or "null" in (schema.get("enum") or ()):
        return True
    if isinstance(schema.get("type"), list) and "null" in schema["type"]:
        return True
    return any(
        _takes_null(branch, document_name) for union in ("anyOf", "oneOf") for branch in schema.get(union, ())
    )


class Described:
    """One document's components as validators."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tags: dict[int, tuple[Any, dict[str, tuple[Any, ...]]]] = {}
        self._class: Any = extend(  # type: ignore[no-untyped-call]
            Draft202012Validator,
            {"$ref": self._reference, "oneOf": self._union, "anyOf": self._union},
        )

    def faults(self, of: str, value: Any) -> list[str]:
        """What is wrong with `value` as a component, each with its path."""
        validator = self._class({"$ref": PREFIX + of})
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]

    def strangers(self, of: str, value: Any, allowed: frozenset[str]) -> list[str]:
        """Paths of the members that no branch of the component knows."""
        return list(self._strange([{"$ref": PREFIX + of}], value, "$", allowed))

    def _resolve(self, schema: Any) -> Any:
        while isinstance(schema, dict) and str(schema.get("$ref", "")).startswith(PREFIX):
            schema = component(self._name, schema["$ref"][len(PREFIX) :])
        return schema

    def _reference(self, validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[Any]:
        del schema
        yield from validator.descend(instance, component(self._name, reference[len(PREFIX) :]))

    def _union(self, validator: Any, branches: list[Any], instance: Any, schema: Any) -> Iterator[Any]:
        """One branch must take the value. `oneOf` counts as `anyOf`: untagged branches of these documents overlap."""
        del schema
        candidates = self._candidates(branches, instance)
        if not candidates:
            tags = {tag: instance[tag] for tag in TAGS if tag in instance}
            yield jsonschema.ValidationError(f"no branch of the union is for {tags}")
            return
        best: list[Any] | None = None
        for branch in candidates:
            errors = list(validator.descend(instance, branch))
            if not errors:
                return
            if best is None or _depth(errors) > _depth(best):
                best = errors
        yield from best or ()

    def _candidates(self, branches: list[Any], instance: Any) -> list[Any]:
        """The branches whose tags the value has."""
        if not isinstance(instance, dict):
            return branches
        return [
            branch
            for branch in branches
            if all(instance.get(tag, ABSENT) in allowed for tag, allowed in self._tags_of(branch).items())
        ]

    def _tags_of(self, branch: Any) -> dict[str, tuple[Any, ...]]:
        """The values each tag may have in a branch, `ABSENT` among them where it may be left out."""
        known = self._tags.get(id(branch))
        if known is None:
            tags: dict[str, tuple[Any, ...]] = {}
            for part in self._flat(branch):
                for tag in TAGS:
                    said = self._resolve((part.get("properties") or {}).get(tag) or {})
                    absent = () if tag in part.get("required", ()) else (ABSENT,)
                    for one in (said, *said.get("anyOf", ())):
                        one = self._resolve(one)
                        if "const" in one:
                            tags[tag] = (one["const"], *absent)
                        elif "enum" in one:
                            tags[tag] = (*one["enum"], *absent)
            known = self._tags[id(branch)] = (
                branch,
                tags,
            )  # the branch is kept, so that its id stays its own
        return known[1]

    def _flat(self, schema: Any) -> Iterator[dict[str, Any]]:
        """The schema and everything it is composed of by `allOf`."""
        schema = self._resolve(schema)
        if isinstance(schema, dict):
            yield schema
            for part in schema.get("allOf", ()):
                yield from self._flat(part)

    def _applicable(self, schemas: list[Any], instance: Any) -> list[dict[str, Any]]:
        """Every subschema that may describe the value, unions taken apart by their tags."""
        found: list[dict[str, Any]] = []
        for schema in schemas:
            for part in self._flat(schema):
                found.append(part)
                for union in ("anyOf", "oneOf"):
                    if union in part:
                        found += self._applicable(self._candidates(part[union], instance), instance)
        return found

    def _strange(self, schemas: list[Any], value: Any, path: str, allowed: frozenset[str]) -> Iterator[str]:
        if isinstance(value, list):
            items = [part["items"] for part in self._applicable(schemas, value) if "items" in part]
            for index, item in enumerate(value):
                yield from self._strange(items, item, f"{path}[{index}]", allowed)
        elif isinstance(value, dict):
            parts = self._applicable(schemas, value)
            described = [part for part in parts if part.get("properties")]
            if not described or any(part.get("additionalProperties") for part in parts):
                return  # free form
            for name, member in value.items():
                of_member = [part["properties"][name] for part in described if name in part["properties"]]
                if of_member:
                    yield from self._strange(of_member, member, f"{path}.{name}", allowed)
                elif name not in allowed:
                    yield f"{path}.{name}"


def _depth(errors: list[Any]) -> tuple[int, int]:
    """The branch that is meant is the one whose faults lie deepest, and then the one with the fewest."""
    return max(len(error.absolute_path) for error in errors), -len(errors)


described: Final = functools.cache(Described)


def complaints(shape: Shape, value: Any, dialect: str) -> list[str]:
    """Everything that the published description has against `value`; skips where it is absent."""
    checked = described(shape.document)
    strangers = checked.strangers(shape.component, value, ALLOWED[dialect])
    return checked.faults(shape.component, value) + [f"{path}: not in the schema" for path in strangers]
