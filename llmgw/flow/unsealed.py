"""A request within one dialect that holds other providers' thoughts, which the client got from an earlier answer.

As it came, the provider would refuse it: a thought's proof means nothing to anybody but its maker. So the client's own
codec reads it and writes it again without them, and the client is told in the answer's head. All else about such a
call is as within one dialect: the answer passes byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmgw.canonical import Chat
from llmgw.dialects import origin
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.codec import Codec, Losses, Recipient
from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.errors import InvalidRequest
from llmgw.flow.answer import Head
from llmgw.flow.gateway import Target
from llmgw.flow.passage import Unchanged
from llmgw.flow.translation import dropped
from llmgw.ports import Header


class Unsealed(Unchanged):
    """Implements `Passage`. `body` is the provider's request."""

    __slots__ = ("_losses", "body")

    def __init__(self, dialect: Dialect, endpoint: Endpoint, body: bytes, losses: Losses) -> None:
        super().__init__(dialect, endpoint)
        self._losses = losses
        self.body = body

    @property
    def dropped(self) -> Sequence[str]:
        return self._losses.dropped

    def headers(self, head: Head) -> Sequence[Header]:
        return (*head.passed, *dropped(self._losses))


def unsealed(
    codec: Codec,
    write: Callable[[Chat, Recipient, Losses], bytes],
    dialect: Dialect,
    endpoint: Endpoint,
    target: Target,
    raw: bytes,
    name: str,
) -> Unsealed | None:
    """The call without foreign thoughts; None where the request holds none, and passes as it came.

    Args:
        codec: the client's, which is the provider's too.
        write: the codec's request to that endpoint.
        raw: the client's request.
        name: the target's, as the client knows it.
    """
    if not origin.may_hold_foreign(raw, codec.name):
        return None
    try:
        chat = codec.read_request(raw, model=name, stream=endpoint.streams)
    except InvalidRequest:
        return None  # within its dialect a request is the provider's to judge
    if not origin.holds_foreign(chat):
        return None
    losses = Losses(codec.names, target=name, drop=target.drops)
    # What the model can do is the provider's to judge as well; only how it thinks matters for what is left out.
    able = Capabilities(reasoning=target.capabilities.reasoning)
    to = Recipient(model=target.model, host=target.provider.host, capabilities=able)
    return Unsealed(dialect, endpoint, write(chat, to, losses), losses)
