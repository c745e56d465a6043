"""Which target a conversation stays with, so that the provider's prompt cache stays warm.

A session is what a client's header says, or else how the conversation begins; it is a key's own, so that nobody can
move another's calls. It is pinned to the target that served it last, as long as it goes on.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

HEADERS: Final = (
    b"x-llmgw-session",
    b"x-claude-code-session-id",  # Claude Code (code.claude.com, "Gateway protocol reference")
    # opencode (packages/opencode/src/session/llm/request.ts): the first to its own service, the others to a provider
    # that the user has added, as this gateway is one.
    b"x-opencode-session",
    b"x-session-affinity",
    b"x-session-id",
    b"session-id",  # Codex CLI (codex-rs/codex-api/src/requests/headers.rs)
    b"session_id",  # the same, its earlier versions
)
"""Where clients name their sessions; the first that is there counts."""
IDLE_S: Final = 3600.0
"""A pin is forgotten after so long without a call: the longest that the providers' prompt caches live."""
LIMIT: Final = 100_000


def session(fields: Mapping[bytes, bytes]) -> bytes | None:
    """What a client says of its session, by lower-case name of the header field."""
    for name in HEADERS:
        value = fields.get(name)
        if value:
            return value[:512]
    return None


def digest(pool: str, key_id: str, session: bytes) -> bytes:
    """The name of a key's session in a pool."""
    return blake2b(b"\0".join((pool.encode(), key_id.encode(), session)), digest_size=16).digest()


class Pins:
    """Sessions and their targets; the longest unused goes first. Times are seconds of `time.monotonic`."""

    def __init__(self) -> None:
        self._pins: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def find(self, session: bytes, now: float) -> str | None:
        """The target of a session that goes on."""
        pin = self._pins.get(session)
        return None if pin is None or now - pin[1] > IDLE_S else pin[0]

    def put(self, session: bytes, target: str, now: float) -> None:
        """The session was served by that target."""
        self._pins[session] = (target, now)
        self._pins.move_to_end(session)
        if len(self._pins) > LIMIT:
            self._pins.popitem(last=False)


# What hosts write around the name of a model: a region's prefix, a maker's, a folder, a version, a date. A `-v3` alone
# is no host's version but the model's own (deepseek-v3), and so is what stands behind a colon, unless it is the size
# of a window or a way to be served: sizes of Ollama's models (llama3.1:8b) and fine-tuned ones (ft:gpt-4o:acme::a1).
_folders: Final = re.compile(r"^.*/")
_makers: Final = re.compile(r"^(?:(?:global|us-gov|us|eu|apac|jp|au|ca)\.)?(?:[a-z0-9-]+\.)?(?=[a-z])")
_versions: Final = re.compile(
    r"(?:(?:-v\d+)?:\d+|(?<=-\d{8})-v\d+|@\w+|:(?:free|nitro|floor|extended|latest)|-\d{8}|-\d{4}-\d{2}-\d{2}|-latest)+$"
)


def family(model: str) -> str:
    """What models have in common whose prompt caches are worth staying with: the name without host, version, date."""
    name = _folders.sub("", model.lower())
    if re.match(r"(?:[a-z-]+\.)+(?:claude|llama|mistral|nova|gpt|deepseek)", name):
        name = _makers.sub("", name)
    return _versions.sub("", name).replace(".", "-")


def is_one_family(models: Iterable[str]) -> bool:
    """Whether they are the same model, by whatever hosts."""
    return len({family(model) for model in models}) == 1
