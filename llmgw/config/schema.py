"""The configuration as frozen, typed values; the single source of its names, defaults and JSON Schema.

The YAML names are the contract with users; the Python names carry the unit (`drain` in the file is
`drain_s` here). `config/read.py` turns text into these values and reports every fault with its line;
nothing here reads a file. Descriptions are the user documentation: `llmgw config schema` prints them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from llmgw.config.breakers import Breakers
from llmgw.config.flags import Flag, FlagProvider
from llmgw.config.limits import Limits
from llmgw.config.models import Model
from llmgw.config.prices import ModelPrices
from llmgw.config.providers import Provider
from llmgw.config.routing import Governance, Policy, Route
from llmgw.config.section import Bytes, Count, Fraction, Port, Seconds, Section, Text
from llmgw.config.store import Store


class Server(Section):
    """Where the data plane listens and how it stops."""

    host: Annotated[
        Text, Meta(description="Address to listen on; 0.0.0.0 or :: to be reachable from elsewhere.")
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on; 0 takes a free one.")] = 8080
    workers: Annotated[Count, Meta(description="Processes; more than one needs the cluster store.")] = 1
    max_body_bytes: Annotated[
        Bytes, Meta(description="Largest request body; a larger one is answered 413.")
    ] = field(default=32 * 1024 * 1024, name="max_body")
    drain_s: Annotated[
        Seconds, Meta(description="How long SIGTERM lets running calls finish before they are broken off.")
    ] = field(default=30.0, name="drain")


class Kms(Section):
    """Who wraps the data keys that stored secrets are encrypted with."""

    provider: Annotated[
        Literal["local", "aws", "vault"],
        Meta(description="The local keyring file, AWS KMS or Vault transit."),
    ] = "local"
    keyring: Annotated[
        Text, Meta(description="local: path of the keyring file; a relative one is relative to this file.")
    ] = "./llmgw.keyring"
    key_id: Annotated[Text | None, Meta(description="aws: id, ARN or alias of the key.")] = None
    region: Annotated[Text | None, Meta(description="aws: region of the key.")] = None
    endpoint_url: Annotated[Text | None, Meta(description="aws: another endpoint than the region's.")] = None
    address: Annotated[Text | None, Meta(description="vault: URL of the server.")] = None
    mount: Annotated[Text | None, Meta(description="vault: where the transit engine is mounted.")] = None
    key: Annotated[Text | None, Meta(description="vault: name of the transit key.")] = None


class Telemetry(Section):
    """What is told to the outside, and how much of it is kept waiting."""

    queue: Annotated[
        Count, Meta(description="Records waiting to be written; more are dropped and counted.")
    ] = 10_000
    otlp_endpoint: Annotated[
        str, Meta(description="Base URL for traces, OTLP over HTTP; empty exports none.")
    ] = ""
    sample: Annotated[Fraction, Meta(description="Share of calls that are traced.")] = 0.01
    content: Annotated[
        Literal["none", "metadata", "full"], Meta(description="What is kept of prompts and answers.")
    ] = "none"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least severe line that is logged."),
    ] = "info"


class Admin(Section):
    """The control plane's listener."""

    enabled: Annotated[bool, Meta(description="Whether there is one.")] = True
    host: Annotated[Text, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        Port | Literal["same"], Meta(description="Port to listen on; same is beside the data plane.")
    ] = 8081


class Config(Section):
    """The whole file."""

    version: Annotated[Literal[1], Meta(description="Version of this format.")]
    server: Server = Server()
    store: Store = Store()
    kms: Kms = Kms()
    providers: Annotated[
        dict[str, Provider], Meta(description="Upstream accounts, by the name that stands in provider/model.")
    ] = field(default_factory=dict)
    models: Annotated[dict[str, Model], Meta(description="The names that clients ask for.")] = field(
        default_factory=dict
    )
    models_only: Annotated[
        bool, Meta(description="Refuse a provider/model id in a request: only the names above are served.")
    ] = False
    routes: Annotated[
        tuple[Route, ...], Meta(description="The first that matches wins; none: the model as asked.")
    ] = ()
    breakers: Breakers = Breakers()
    limits: Limits = Limits()
    prices: Annotated[
        dict[str, ModelPrices],
        Meta(
            description="What models cost, before the bundled catalogue: by provider/model or model, * stands for any "
            "text; or by the name that clients ask for, where nothing else is known."
        ),
    ] = field(default_factory=dict)
    governance: Governance = Governance()
    policies: Annotated[tuple[Policy, ...], Meta(description="Every one that matches refuses the call.")] = ()
    flags: Annotated[dict[str, Flag], Meta(description="Switches, by name.")] = field(default_factory=dict)
    flag_provider: FlagProvider = FlagProvider()
    telemetry: Telemetry = Telemetry()
    admin: Admin = Admin()
