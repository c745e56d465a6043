"""Arguments that Vertex AI streams piece by piece, put together into one object.

Each piece names the place of a value by a JSON path and brings it, or a further part of a string
(`willContinue`). Source: cloud.google.com, "Function calling", streaming of arguments, and recorded streams, in
which the last piece of a call, an empty `functionCall`, may be missing.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from llmgw.canonical import Json
from llmgw.dialects.gemini.spelling import ANSWER, Fields, json_text
from llmgw.errors import UpstreamFailed

_LIMIT: Final = 8 * 1024 * 1024
_step: Final = re.compile(
    r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]"""
).match
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")
_ESCAPE: Final = re.compile(r"\\(.)")


Place = tuple[dict[str, Json] | list[Json], str | int]


class PartialArguments:
    """The arguments of one call, growing."""

    __slots__ = ("_path", "_place", "_root", "_said", "_size")

    def __init__(self, start: dict[str, Json]) -> None:
        self._root: dict[str, Json] = start
        self._size = 0
        # The string that goes on: where it belongs, and its parts, joined only when it is complete.
        self._path = ""
        self._place: Place = (self._root, "")
        self._said: list[str] = []

    def add(self, piece: Fields) -> None:
        """Put a piece in its place.

        Raises:
            UpstreamFailed: it names no place that there can be, or brings no value.
        """
        path = piece.need_text("jsonPath")
        whole = piece.whole()
        names = [name for name in _VALUES if name in piece or (name == "nullValue" and name in whole)]
        if len(names) != 1:
            raise piece.wrong("jsonPath", "given with one value")
        value = _value(piece, names[0])
        if path != self._path or type(value) is not str:
            self._settle()
            self._path, self._place = path, self._find(path, piece)
            _set(*self._place, value, piece)
        if type(value) is str:
            self._said.append(value)
            self._size += len(value)
            if self._size > _LIMIT:
                raise UpstreamFailed("The provider sent arguments of a tool call beyond any measure.")
        if not piece.flag("willContinue"):
            self._settle()

    def _settle(self) -> None:
        if self._said:
            parent, key = self._place
            parent[key] = "".join(self._said)  # type: ignore[index]  # `_find` gave a key that fits
        self._path, self._said = "", []

    def text(self) -> str:
        """The arguments so far as JSON."""
        self._settle()
        return json_text(self._root, ANSWER)

    def _find(self, path: str, piece: Fields) -> Place:
        """The container that `path` ends in, made where it is missing, and the key or index in it."""
        keys = _keys(path)
        if not keys or type(keys[0]) is int:
            raise piece.wrong("jsonPath", "a JSON path")
        place: Json = self._root
        for key, following in pairwise(keys):
            value = _get(place, key)
            if value is None:
                value = [] if type(following) is int else {}
                _set(place, key, value, piece)
            place = value
        return place, keys[-1]


def _keys(path: str) -> list[str | int]:
    if not path.startswith("$"):
        return []
    keys: list[str | int] = []
    at = 1
    while at < len(path):
        step = _step(path, at)
        if step is None or len(keys) > 100:
            return []
        name, index, *quoted = step.groups()
        if index is not None:
            keys.append(int(index))
        else:
            keys.append(name or _ESCAPE.sub(r"\1", quoted[0] or quoted[1] or ""))
        at = step.end()
    return keys


def _get(place: Json, key: str | int) -> Json:
    if type(place) is dict and type(key) is str:
        return place.get(key)
    if type(place) is list and type(key) is int and key < len(place):
        return place[key]
    return None


def _set(place: Json, key: str | int, value: Json, piece: Fields) -> None:
    if isinstance(place, list) and isinstance(key, int) and key <= len(place):
        place[key : key + 1] = [value]
    elif isinstance(place, dict) and isinstance(key, str):
        place[key] = value
    else:
        raise piece.wrong("jsonPath", "a path into what came before")


def _value(piece: Fields, name: str) -> Json:
    if name == "stringValue":
        return piece.text(name)
    if name == "numberValue":
        return piece.number(name)
    if name == "boolValue":
        return piece.flag(name)
    return None
