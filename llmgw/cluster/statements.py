"""A file of SQL as its statements, each with the line it begins in.

Only as much of SQL's lexical rules as tells where a statement ends (PostgreSQL documentation, section 4.1): quoted
names and strings, dollar-quoted bodies, comments, which nest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Statement(NamedTuple):
    """`line` counts from 1."""

    line: int
    text: str
    """As it stands, with its comments, without the semicolon."""
    plain: str
    """In lower case, without comments and without what is quoted, its words one space apart."""


_TOKEN: Final = re.compile(
    r"""
    (?P<comment> --[^\n]* )
    | (?P<block> /\* )
    | (?P<string> [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' )
    | (?P<name> "(?:[^"]|"")*" )
    | (?P<body> (?P<tag> \$(?:[A-Za-z_]\w*)?\$ ) .*? (?P=tag) )
    | (?P<end> ; )
    | (?P<other> \w+ | \s+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)


def statements(text: str) -> Iterator[Statement]:
    """Every statement of `text`, in order; empty ones are none."""
    position, begin, plain = 0, 0, ""
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None, "every character is a token"
        position = token.end()
        kind = token.lastgroup
        if kind == "block":
            position = _behind_comment(text, position)
            plain += " "
        elif kind == "end":
            yield from _statement(text, begin, token.start(), plain)
            begin, plain = position, ""
        elif kind == "string":
            plain += "''"
        elif kind in ("body", "tag"):
            plain += "$$"
        elif kind == "name":
            plain += token.group()
        elif kind != "comment":
            plain += token.group().lower()
    yield from _statement(text, begin, len(text), plain)


def _statement(text: str, begin: int, end: int, plain: str) -> Iterator[Statement]:
    words = " ".join(plain.split())
    if words:
        first = begin + _blank(text[begin:end])
        yield Statement(text.count("\n", 0, first) + 1, text[begin:end].strip(), words)


def _blank(text: str) -> int:
    """How much of the beginning is no statement yet."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None
        if token.lastgroup == "block":
            position = _behind_comment(text, token.end())
        elif token.lastgroup == "comment" or token.group().isspace():
            position = token.end()
        else:
            break
    return position


def _behind_comment(text: str, position: int) -> int:
    """Behind a comment in blocks that has begun before `position`."""
    depth = 1
    while depth:
        mark = re.compile(r"/\*|\*/").search(text, position)
        if mark is None:
            return len(text)
        depth += 1 if mark.group() == "/*" else -1
        position = mark.end()
    return position
