"""The text of a control-plane token: `llmgw-adm-<public id>-<secret><checksum>`.

The form is the virtual key's with another prefix, so neither can pass for the other and one scanner rule
per prefix finds both. Stores keep the digest only.
"""

from __future__ import annotations

from typing import Final

from llmgw.keyring.virtual_key import Minted, compose

PREFIX: Final = "llmgw-adm-"
PATTERN: Final = r"llmgw-adm-[0-9a-z]{12}-[0-9A-Za-z]{38}"
"""Regular expression for secret scanners and log filters."""


def mint() -> Minted:
    """A new token; `Minted.key` is shown once."""
    return compose(PREFIX)
