"""What people may call things, and how a name and an id are told apart.

A name is kept in Unicode's composed form (NFC), so that the same letters typed on two systems are one name.
Characters that do not show, or change the direction of the text, are refused: a name must look like what it
is in a terminal, a log and a URL path.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from llmgw.errors import UsageError
from llmgw.ids import PREFIXES

LENGTH_LIMIT: Final = 64


def checked(name: str, what: str) -> str:
    """`name` in its stored form; `what` says in the error whose name it is ("an organisation").

    Raises:
        UsageError: saying which rule it breaks.
    """
    name = normal(name)
    if not 1 <= len(name) <= LENGTH_LIMIT:
        raise UsageError(f"The name of {what} has 1 to {LENGTH_LIMIT} characters; this one has {len(name)}.")
    for character in name:
        # Categories C: control, format, surrogate, unassigned; Z: separators, of which only the space shows.
        if character != " " and unicodedata.category(character)[0] in "CZ":
            raise UsageError(f"The name of {what} may not contain {character!a}, which does not show.")
    if name != name.strip():
        raise UsageError(f"The name of {what} may not begin or end with a space.")
    if "/" in name:
        raise UsageError(f"The name of {what} may not contain '/'.")
    if name.startswith(PREFIXES):
        raise UsageError(
            f"The name of {what} may not begin with {name[: name.index('_') + 1]}: so begin ids."
        )
    return name


def normal(name: str) -> str:
    """The form in which names are stored and looked up."""
    return unicodedata.normalize("NFC", name)
