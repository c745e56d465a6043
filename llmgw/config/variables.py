"""`${NAME}` and `${NAME:-default}` in a value; `$$` is a dollar. As in a shell, an empty variable takes the default.

Only the text of one value is touched, after YAML was parsed: what a variable holds never becomes structure, and
is not looked through for variables again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

PATTERN: Final = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}$]*)?\}"
"""One variable, for the JSON Schema."""

# A default holds no `$`: that leaves no doubt about nesting, and keeps the search linear.
_dollar: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<open>\{)(?:(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}$]*))?\})?)", re.ASCII
)


class Filled(Struct, frozen=True):
    """A value with its variables filled in.

    `unset`: variables that have neither a value nor a default. `malformed`: there is a `${` that is no variable.
    `from_env`: a variable's own value is part of the text.
    """

    text: str
    unset: tuple[str, ...]
    malformed: bool
    from_env: bool


def fill(text: str, env: Mapping[str, str]) -> Filled:
    """Put the variables' values into `text`."""
    unset: list[str] = []
    malformed = from_env = False

    def value(match: re.Match[str]) -> str:
        nonlocal malformed, from_env
        name, default = match["name"], match["default"]
        if name is None:
            malformed = malformed or match["open"] is not None
            return "$"
        found = env.get(name)
        if found is not None and (found or default is None):
            from_env = True
            return found
        if default is None:
            unset.append(name)
        return default or ""

    filled = _dollar.sub(value, text)
    return Filled(text=filled, unset=tuple(unset), malformed=malformed, from_env=from_env)


def escape(text: str) -> str:
    """The way to write `text` so that `fill` gives it back."""
    return re.sub(r"\$(?=[${])", "$$", text)


def holds_variable(text: str) -> bool:
    """Whether `fill` would look up a variable, or refuse."""
    return any(match["open"] is not None for match in _dollar.finditer(text))
