"""Every setting of routes and policies reads, is written out again, and is known to the schema."""

from __future__ import annotations

import jsonschema
import yaml

from llmgw.config.hours import Hours
from llmgw.config.routing import Governance, OrgGovernance, Policy, Requirement, Route, RouteCondition
from llmgw.config.show import dump, json_schema
from tests.config.support import HEAD, config_of

TEXT = (
    HEAD
    + """
providers: {p: {dialect: simulator}}
models: {gpt: {targets: [p/gpt]}, cheap: {targets: [p/cheap]}}
flags: {f: {default: false}}
routes:
  - name: everything
    to: cheap
    mode: shadow
    flag: f
    when:
      model: gpt*
      org: [acme]
      key: [ci, key_1]
      tags: {team: red, app: "*"}
      headers: {User-Agent: cli/*}
      min_input_tokens: 1
      max_input_tokens: 800
      tools: false
      images: true
      json_schema: false
      hours: [{days: [fri], from: "22:00", to: 06:00, zone: Europe/Berlin}, {}]
      min_budget_used: 0.5
      max_budget_used: 1
      complexity: complex
      min_complexity: 0.2
      max_complexity: 0.9
      traffic: 12.5
policies:
  - name: all
    deny: no
    when: {org: [acme]}
    require:
      models: [gpt*, p/*]
      providers: [p]
      regions: [eu-*]
      max_cost: 2.50
      tags: {team: "*"}
      max_body: 4MiB
governance: {mode: audit, orgs: {acme: {mode: strict}}}
"""
)


def test_every_setting_reads_as_written() -> None:
    """Names, defaults and units."""
    config = config_of(TEXT)
    assert config.routes == (
        Route(
            name="everything",
            to="cheap",
            mode="shadow",
            flag="f",
            when=RouteCondition(
                model="gpt*",
                org=("acme",),
                key=("ci", "key_1"),
                tags={"team": "red", "app": "*"},
                headers={"User-Agent": "cli/*"},
                min_input_tokens=1,
                max_input_tokens=800,
                tools=False,
                images=True,
                json_schema=False,
                hours=(Hours(days=("fri",), start="22:00", end="06:00", zone="Europe/Berlin"), Hours()),
                min_budget_used=0.5,
                max_budget_used=1.0,
                complexity="complex",
                min_complexity=0.2,
                max_complexity=0.9,
                traffic=12.5,
            ),
        ),
    )
    require = Requirement(
        models=("gpt*", "p/*"),
        providers=("p",),
        regions=("eu-*",),
        max_cost="2.50",
        tags={"team": "*"},
        max_body_bytes=4 << 20,
    )
    assert config.policies == (
        Policy(name="all", deny="no", when=RouteCondition(org=("acme",)), require=require),
    )
    assert config.governance == Governance(mode="audit", orgs={"acme": OrgGovernance(mode="strict")})


def test_every_setting_is_written() -> None:
    """The text above leaves none out, so that a new one is missed here."""
    written = yaml.safe_load(TEXT)
    [route], [policy] = written["routes"], written["policies"]
    for kind, given in ((Route, route), (RouteCondition, route["when"]), (Policy, policy)):
        assert set(given) == set(kind.__struct_encode_fields__)
    assert set(policy["require"]) == set(Requirement.__struct_encode_fields__)
    assert set(route["when"]["hours"][0]) == set(Hours.__struct_encode_fields__)


def test_what_is_shown_reads_as_the_same() -> None:
    """`config show` gives a file that means what this one means."""
    config = config_of(TEXT)
    assert config_of(yaml.safe_dump(dump(config))) == config


def test_the_schema_takes_it() -> None:
    """Editors do not complain of a valid file, as YAML's own types have it."""
    text = TEXT.replace("to: 06:00", 'to: "06:00"').replace("deny: no", "deny: 'no'")
    jsonschema.validate(yaml.safe_load(text), json_schema())
