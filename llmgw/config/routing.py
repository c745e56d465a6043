"""Routes and policies: what a call must be for a rule to apply, and what the rule does."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, field

from llmgw.config.hours import Hours
from llmgw.config.section import Bytes, Fraction, Section, Text

Mode = Literal["strict", "audit"]

SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie"}
)
"""Header fields that no rule may look at: what a rule compares stands in the file and is shown when it fails."""
SIMPLE_BELOW: Final = 0.2
"""Of the classifier's score, which is from 0 to 1: what is less is `simple`."""


class RouteCondition(Section):
    """What a call must be for a route or a policy to apply; what is absent matches everything."""

    model: Annotated[
        Text | None,
        Meta(description="The model asked for; * stands for any text. Of policies also the one that serves."),
    ] = None
    org: Annotated[tuple[Text, ...], Meta(description="Any of these organisations.")] = ()
    key: Annotated[tuple[Text, ...], Meta(description="Any of these virtual keys, by id or name.")] = ()
    tags: Annotated[
        dict[str, Text],
        Meta(description="All of these tags, each with this value; * stands for any text."),
    ] = field(default_factory=dict)
    headers: Annotated[
        dict[str, Text],
        Meta(
            description="All of these request headers, each with this value; * stands for any text. Headers that "
            "carry secrets cannot be asked for."
        ),
    ] = field(default_factory=dict)
    max_input_tokens: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="At most this long an input, estimated.")
    ] = None
    min_input_tokens: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="At least this long an input, estimated.")
    ] = None
    tools: Annotated[bool | None, Meta(description="Whether it offers the model tools.")] = None
    images: Annotated[bool | None, Meta(description="Whether it shows the model images.")] = None
    json_schema: Annotated[bool | None, Meta(description="Whether the answer must keep to a schema.")] = None
    hours: Annotated[tuple[Hours, ...], Meta(description="In any of these parts of the week.")] = ()
    min_budget_used: Annotated[
        Fraction | None,
        Meta(
            description="At least this share is used of the call's tightest budget; of no budget, nothing is."
        ),
    ] = None
    max_budget_used: Annotated[
        Fraction | None, Meta(description="At most this share is used of the call's tightest budget.")
    ] = None
    complexity: Annotated[
        Literal["simple", "complex"] | None,
        Meta(description=f"What the classifier says of the prompt: simple is a score below {SIMPLE_BELOW}."),
    ] = None
    min_complexity: Annotated[Fraction | None, Meta(description="At least this score of the classifier.")] = (
        None
    )
    max_complexity: Annotated[Fraction | None, Meta(description="At most this score of the classifier.")] = (
        None
    )
    traffic: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | None,
        Meta(description="Per cent of the conversations; one stays on its side as long as it lasts."),
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


class Requirement(Section):
    """What a call must have for a policy to let it pass; what is absent is not asked for."""

    models: Annotated[
        tuple[Text, ...],
        Meta(
            description="Served by one of these: a model of this file, provider/model or a model's id; * as above."
        ),
    ] = ()
    providers: Annotated[tuple[Text, ...], Meta(description="Served by one of these providers.")] = ()
    regions: Annotated[
        tuple[Text, ...],
        Meta(
            description="Served in one of these regions, as the provider's region or location says; * stands for any "
            "text. A provider that says none is in none of them."
        ),
    ] = ()
    max_cost: Annotated[
        Annotated[str, Meta(min_length=1, extra={"unit": "usd"})] | None,
        Meta(
            description="US dollars that the call may cost at most. A call whose price is not known may not pass."
        ),
    ] = None
    tags: Annotated[
        dict[str, Text], Meta(description="All of these tags, each with this value; * stands for any text.")
    ] = field(default_factory=dict)
    max_body_bytes: Annotated[Bytes | None, Meta(description="Size of the request body at most.")] = field(
        default=None, name="max_body"
    )


class Policy(Section):
    """Refuses matching calls, or those of them that lack what it requires, with the reason that the client is told."""

    name: Annotated[Text, Meta(description="What the audit calls it.")]
    deny: Annotated[Text, Meta(description="The reason, as the client is told it.")]
    when: RouteCondition = RouteCondition()
    require: Annotated[
        Requirement | None,
        Meta(description="Refuses only calls that lack any of this; null refuses every one."),
    ] = None


class OrgGovernance(Section):
    """What one organisation has otherwise."""

    mode: Annotated[Mode, Meta(description="strict, where the rest is audited; never the other way.")]


class Governance(Section):
    """What becomes of a call that violates a policy."""

    mode: Annotated[Mode, Meta(description="strict refuses it; audit allows and records it.")] = "strict"
    orgs: Annotated[
        dict[str, OrgGovernance], Meta(description="Organisations that are governed more strictly, by name.")
    ] = field(default_factory=dict)
