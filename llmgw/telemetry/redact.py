"""Takes secrets out of text that is about to be logged: the last line of defence, not the first.

Secrets travel as `llmgw.secret.Secret`, which prints nothing. What remains are the words of others: a provider
that quotes the key it refuses, a library that logs a header, a URL with a password in it. The forms of the
secrets that pass through this gateway are known, so they are found by form. Where a form has a public part
(the id of a virtual key) that part stays, for an operator needs it.
"""

from __future__ import annotations

import re
from typing import Final

from llmgw.secret import REDACTED

_MARKS: Final = (
    "sk-", "llmgw-adm-", "aiza", "akia", "asia", "eyj", "bearer", "auth", "api", "access", "session",
    "cookie", "passw", "?key", "&key", "://", "gsk_", "xai-", "hf_", "pplx-", "r8_",
    "ya29.", "absk", "private key",
)  # fmt: skip
"""Lower case. Every form below holds one of them; most lines hold none, and a search for these is cheap."""

# Words that name a secret; `invalid_api_key` is an error code of ours.
_NAMES: Final = (
    r"(?:proxy-)?authorization|(?<!invalid_)(?:x-)?(?:goog-)?api[-_]?key|secret[-_]access[-_]key"
    r"|access[-_]token|session[-_]token|(?:set-)?cookie|password|(?<=[?&])key"
)
# What stands between the name and its value: `x-api-key: v`, `api_key=v`, `"authorization": "v"` (also escaped
# inside JSON), `(b'authorization', b'v')`. Possessive, so that a scheme is never taken for the value.
_BETWEEN: Final = (
    r"""(?:\\?['"]\s*,\s*b?\\?['"]|\\?['"]?\s*[:=]\s*(?:b?\\?['"])?)(?:(?:bearer|basic|token)\s+)?+"""
)
_VALUE: Final = r"""[^\s'"\\,;&]{4,}"""

# A text of ours that explains a key's form ("sk-llmgw-...") holds no secret.
_NOT_A_SAMPLE: Final = r"(?![\w-]*\.\.\.)"

_FORMS: Final = (
    # Ours; the public id stays. Source: llmgw.keyring.virtual_key, llmgw.keyring.token.
    (re.compile(r"((?:sk-llmgw|llmgw-adm)-[0-9a-z]{12}-)[0-9A-Za-z]+"), rf"\1{REDACTED}"),
    # OpenAI, Anthropic, DeepSeek, OpenRouter and others.
    (re.compile(r"((?<![A-Za-z])sk-|sk-ant-|sk-proj-)(?!llmgw-)[A-Za-z0-9_-]{8,}"), rf"\1{REDACTED}"),
    # Groq, xAI, Hugging Face, Perplexity, NVIDIA, Replicate.
    (re.compile(r"(?<![A-Za-z])(gsk_|xai-|hf_|pplx-|nvapi-|r8_)[A-Za-z0-9_-]{16,}"), rf"\1{REDACTED}"),
    # Google: AIza and 35 more. AWS: the id of a long-lived or a temporary access key.
    (re.compile(r"AIza[A-Za-z0-9_-]{20,}"), f"AIza{REDACTED}"),
    (re.compile(r"(AKIA|ASIA)[A-Z0-9]{12,}"), rf"\1{REDACTED}"),
    # Google's access tokens, the key of a service account (RFC 7468), Bedrock's API keys.
    (re.compile(r"ya29\.[A-Za-z0-9._-]{8,}"), f"ya29.{REDACTED}"),
    (re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL), rf"\1{REDACTED}"),
    (re.compile(r"(ABSK|bedrock-api-key-)[A-Za-z0-9+/]{16,}=*"), rf"\1{REDACTED}"),
    # A JSON Web Token, RFC 7519 section 3: three parts, the first of which begins with `{"`.
    (re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
    (re.compile(rf"(?i)(?<![a-z])(bearer)\s+{_NOT_A_SAMPLE}[A-Za-z0-9._~+/=-]{{8,}}"), rf"\1 {REDACTED}"),
    (re.compile(rf"(?i)({_NAMES})({_BETWEEN}){_NOT_A_SAMPLE}{_VALUE}"), rf"\1\2{REDACTED}"),
    # RFC 3986 section 3.2.1: user and password before the host.
    (re.compile(r"(?<=://)[^\s/?#'\"\\]+@"), f"{REDACTED}@"),
)


def suspicious(text: str) -> bool:
    """Whether `redact` could change `text`; False is certain, True is not."""
    lowered = text.lower()
    for mark in _MARKS:  # noqa: SIM110 - this is done for every call, and any() takes twice the time
        if mark in lowered:
            return True
    return False


def redact(text: str) -> str:
    """`text` without the secrets in it. Pure; doing it twice changes nothing more."""
    for form, replacement in _FORMS:
        text = form.sub(replacement, text)
    return text
