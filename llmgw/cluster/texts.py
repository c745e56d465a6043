"""Texts of clients in Postgres, which takes every character but NUL.

NUL is written as U+FDD0 and `0`, and U+FDD0, which Unicode has set aside for a program's own use, as itself and `1`.
"""

from __future__ import annotations

from typing import Final

_MARK: Final = "\ufdd0"


def to_store(text: str) -> str:
    """As it is stored."""
    if "\0" in text or _MARK in text:
        return text.replace(_MARK, _MARK + "1").replace("\0", _MARK + "0")
    return text


def from_store(text: str) -> str:
    """As it was."""
    if _MARK in text:
        return text.replace(_MARK + "0", "\0").replace(_MARK + "1", _MARK)
    return text
