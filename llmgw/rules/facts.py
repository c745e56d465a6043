"""What is known of a call when it is decided where it goes, and whether it may.

What stands in the head of the request, or is known of its key, is given. The rest costs something: it is found out
through a `Source` when a rule first asks for it, and once. A configuration whose rules do not ask does not pay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final, Protocol

from llmgw.canonical.traits import Prompt, Shape
from llmgw.rules import complexity
from llmgw.rules.access import KeyRecord
from llmgw.rules.complexity import Complexity


class Source(Protocol):
    """What has to be found out about a call; each is asked for at most once."""

    def shape(self) -> Shape:
        """What its body asks for besides words."""
        ...

    def prompt(self) -> Prompt:
        """What its body says."""
        ...

    def input_tokens(self) -> int:
        """About how long its input is."""
        ...

    def budget_used(self) -> float | None:
        """The largest share, settled and held, of a budget that the call stands under, 1 being all; None: of none."""
        ...

    def session(self) -> bytes | None:
        """What all calls of one conversation have in common, the key apart; None where there is nothing."""
        ...


class Facts:
    """What is known of one call."""

    model: str
    """The name as the client asked for it."""
    key: KeyRecord
    tags: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    """By lower-case name."""
    body_bytes: int
    embeds: bool
    """Whether it asks for embeddings, not for text."""
    now: float
    """Unix seconds."""
    draw: float
    """A random number in [0, 1), for what belongs to no conversation."""
    shape: Shape
    prompt: Prompt
    input_tokens: int
    budget_used: float
    """0 where there is no budget."""
    complexity: Complexity
    session: bytes
    """Empty where the call belongs to no conversation."""
    seed: int | None
    """64 bits of the key's conversation, as good as random; None where there is none."""

    __slots__ = (*__annotations__, "_source")

    def __init__(
        self,
        *,
        model: str,
        key: KeyRecord,
        tags: Mapping[str, str],
        headers: Mapping[bytes, bytes],
        body_bytes: int,
        embeds: bool,
        now: float,
        draw: float,
        source: Source,
    ) -> None:
        self.model = model
        self.key = key
        self.tags = tags
        self.headers = headers
        self.body_bytes = body_bytes
        self.embeds = embeds
        self.now = now
        self.draw = draw
        self._source = source

    def __getattr__(self, name: str) -> object:
        # Python asks here for a slot that is still empty: afterwards, reading it costs what any attribute does.
        find = _FINDS.get(name)
        if find is None:
            raise AttributeError(name)
        found = find(self, self._source)
        setattr(self, name, found)
        return found


def _seed(session: bytes, key_id: str) -> int | None:
    if not session:
        return None
    hashed = blake2b(session, digest_size=8, person=key_id.encode()[-16:])
    return int.from_bytes(hashed.digest(), "big")


_FINDS: Final[Mapping[str, Callable[[Facts, Source], object]]] = {
    "shape": lambda facts, source: source.shape(),
    "prompt": lambda facts, source: source.prompt(),
    "input_tokens": lambda facts, source: source.input_tokens(),
    "budget_used": lambda facts, source: source.budget_used() or 0.0,
    "session": lambda facts, source: source.session() or b"",
    "seed": lambda facts, source: _seed(facts.session, facts.key.id),
    "complexity": lambda facts, source: complexity.classify(facts.prompt, facts.shape),
}
