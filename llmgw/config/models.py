"""Models: the names that clients ask for, and what serves them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from llmgw.config.providers import Api, Capabilities, OnUnsupported, TimeoutOverrides
from llmgw.config.section import Fraction, Patience, Seconds, Section, Text

Strategy = Literal["fallback", "weighted", "cheapest", "fastest", "least_busy"]


class Target(Section):
    """A provider and a model id, with its own share and patience."""

    use: Annotated[Text, Meta(description="provider/model, such as openai/gpt-4o.")]
    weight: Annotated[float, Meta(ge=0, description="Share of the calls, with strategy: weighted.")] = 1.0
    timeouts: TimeoutOverrides = TimeoutOverrides()
    api: Annotated[Api | None, Meta(description="As the provider's api, for this target alone.")] = None


RetryClass = Annotated[int, Meta(ge=400, le=599)] | Literal["connect", "timeout"]


class Retries(Section):
    """Tries per target and what is worth another try."""

    attempts: Annotated[int, Meta(ge=1, le=10, description="Tries per target, the first included.")] = 2
    retry_on: Annotated[
        tuple[RetryClass, ...],
        Meta(description="HTTP statuses, connect (no connection) and timeout that are worth another try."),
    ] = (408, 429, 500, 502, 503, 504, 529, "connect", "timeout")


class Hedge(Section):
    """Asks a second target where the first is slow to begin; the first of both to answer has the client."""

    after: Annotated[
        Patience | Literal["p95"],
        Meta(
            description="How long the first may take to begin: a time, or p95: what 19 of 20 calls keep to."
        ),
    ] = "p95"
    max_share: Annotated[
        Fraction, Meta(description="Of the pool's calls at most this share is sent twice.")
    ] = 0.05
    flag: Annotated[Text | None, Meta(description="Only while this flag is on.")] = None


class Model(Section):
    """A name that clients ask for, and the targets behind it."""

    targets: Annotated[
        tuple[Text | Target, ...],
        Meta(min_length=1, description="What serves it, in order; provider/model is short for {use: ...}."),
    ]
    strategy: Annotated[Strategy, Meta(description="How a target is chosen.")] = "fallback"
    affinity: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Whether the calls of one conversation stay with one target, for its prompt cache; auto: where "
            "all targets are the same model."
        ),
    ] = "auto"
    retries: Retries = Retries()
    hedge: Hedge | None = None
    escalate_on: Annotated[
        tuple[Literal["refusal", "length", "schema"], ...],
        Meta(
            description="A cascade: where an answer is a refusal, was cut at its length, or does not keep to "
            "the JSON asked for, the next target is asked. Answers are held until they are whole."
        ),
    ] = ()
    on_unsupported: Annotated[
        OnUnsupported | None, Meta(description="As the provider's, for this name alone.")
    ] = None
    capabilities: Capabilities = Capabilities()
    on_disconnect: Annotated[
        Literal["cancel", "drain"],
        Meta(
            description="When a client leaves: break the provider's answer off, or read it to its end so that "
            "the provider's own count is billed."
        ),
    ] = "cancel"
    drain_s: Annotated[
        Seconds, Meta(description="How long an answer is read on for nobody, with on_disconnect: drain.")
    ] = field(default=30.0, name="drain")
