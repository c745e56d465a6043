"""How much the model may think.

Claude's own members stand in `additionalModelRequestFields` (docs.aws.amazon.com, "Extended thinking"), its effort in
`outputConfig.effort`. What is asked for is decided exactly as for Anthropic's API. Other families each have a way of
their own that no published model describes, so a wish to think is refused there; one not to is what they do unasked.
"""

from __future__ import annotations

from llmgw.canonical import Chat, Json, Reasoning
from llmgw.dialects import reasoning as steps
from llmgw.dialects.anthropic import thinking
from llmgw.dialects.bedrock import families
from llmgw.dialects.codec import Losses, Recipient

Block = dict[str, Json]


def write(chat: Chat, to: Recipient, losses: Losses, fields: Block, output: Block) -> None:
    """Put what the client wants into the model's own `fields` and the `output` configuration."""
    wish = chat.reasoning
    if wish is None:
        return
    if not _as_claude(to):
        _elsewhere(wish, losses)
        return
    limit = chat.max_tokens if chat.max_tokens is not None else to.capabilities.max_output
    said: Block = {"max_tokens": thinking.ROOM if limit is None else limit}
    thinking.write(chat, to, losses, said)
    if "thinking" in said:
        fields["thinking"] = said["thinking"]
    if "output_config" in said:
        output["effort"] = said["output_config"]["effort"]


def _as_claude(to: Recipient) -> bool:
    """By the family, or where the id does not tell it by what the operator says of the model."""
    family = families.of(to.model)
    if family is families.UNKNOWN:
        return to.capabilities.reasoning in ("budget", "adaptive")
    return family.claude


def _elsewhere(wish: Reasoning, losses: Losses) -> None:
    tokens = steps.budget(wish)
    if tokens or (tokens is None and (wish.adaptive or wish.show)):
        losses.refuse("reasoning", "how this model is told to think is not known")
    elif wish.summary is not None:
        losses.advise("reasoning")
