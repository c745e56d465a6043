"""Takes secrets out of text that is about to be logged.

The first wall is the type `Secret`, which prints nothing. This is the second, for text that others made: messages of
libraries, of providers, of exceptions. Known forms are cut out wherever they stand; it costs a few microseconds and so
is not done to the fields of a call that cannot hold a secret.
"""

from __future__ import annotations

import re
from typing import Final

from llmgw.secret import REDACTED

_secret: Final = re.compile(
    r"""
      (?:sk|rk|pk)-[A-Za-z0-9_-]{6,}                    # OpenAI, Anthropic, llmgw, and whoever copied them
    | llmgw-adm-[A-Za-z0-9-]+
    | (?:gsk|xai|r8|hf|glpat|ghp|gho|ghs|pplx|nvapi)[-_][A-Za-z0-9_-]{8,}
    | AIza[A-Za-z0-9_-]{20,}                            # Google
    | (?:AKIA|ASIA)[A-Z0-9]{16}                         # AWS
    | eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]* # JSON web tokens
    """,
    re.VERBOSE,
)
_named: Final = re.compile(
    r"""((?:proxy-)?authorization|x-api-key|x-goog-api-key|api[-_]?key|cookie|password|secret|token)"""
    r"""(["'\]]*\s*[:=,]\s*[b"'\[(]*)(?:(?:bearer|basic)\s+)?[^\s"',;)\]}]+""",
    re.IGNORECASE,
)
_bearer: Final = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_userinfo: Final = re.compile(r"://[^/\s:@]*:[^/\s@]+@")


def redact(text: str) -> str:
    """`text` with every known form of a secret replaced."""
    text = _secret.sub(REDACTED, text)
    text = _userinfo.sub(f"://{REDACTED}@", text)
    text = _bearer.sub(rf"\1 {REDACTED}", text)
    return _named.sub(rf"\1\2{REDACTED}", text)
