"""Routes and policies: what a call must be for a rule to apply, and what the rule does."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from llmgw.config.section import Section, Text


class RouteCondition(Section):
    """What a call must be for a route or a policy to apply; what is absent matches everything."""

    model: Annotated[Text | None, Meta(description="The model asked for; * stands for any text.")] = None
    org: Annotated[tuple[Text, ...], Meta(description="Any of these organisations.")] = ()
    key: Annotated[tuple[Text, ...], Meta(description="Any of these virtual keys.")] = ()
    tags: Annotated[dict[str, str], Meta(description="All of these tags, each with this value.")] = field(
        default_factory=dict
    )
    max_input_tokens: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="At most this long an input.")
    ] = None
    min_input_tokens: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="At least this long an input.")
    ] = None


class Route(Section):
    """Sends matching calls to another model; the first match wins."""

    name: Annotated[Text, Meta(description="What decisions and metrics call it.")]
    to: Annotated[Text, Meta(description="A model of this file, or provider/model.")]
    when: RouteCondition = RouteCondition()
    mode: Annotated[
        Literal["enforce", "shadow"], Meta(description="shadow decides and records, and sends as asked.")
    ] = "enforce"
    flag: Annotated[Text | None, Meta(description="Only while this flag is on.")] = None


class Policy(Section):
    """Refuses matching calls, with the reason that the client is told."""

    name: Annotated[Text, Meta(description="What the audit calls it.")]
    deny: Annotated[Text, Meta(description="The reason, as the client is told it.")]
    when: RouteCondition = RouteCondition()


class Governance(Section):
    """What becomes of a call that violates a policy."""

    mode: Annotated[
        Literal["strict", "audit"], Meta(description="strict refuses it; audit allows and records it.")
    ] = "strict"
