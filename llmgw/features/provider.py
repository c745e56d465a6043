"""The gateway's flags as an OpenFeature provider: what code in this process asks through the standard API.

    client = openfeature.api.get_client("llmgw")
    client.get_boolean_value("cheap-routing", False, EvaluationContext("key_01...", {"org": "acme"}))

The same rule and the same memory answer as for calls: an evaluation waits for nobody. Calls themselves do not come this
way, for the API's hooks, contexts and details cost ten times what the answer does (docs/decisions).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider
from openfeature.provider.metadata import Metadata
from openfeature.provider.no_op_provider import NoOpProvider

from llmgw.ports import Flags
from llmgw.rules.access import KeyRecord

DOMAIN: Final = "llmgw"
"""Of the API's client that gets these answers."""


class GatewayProvider(AbstractProvider):
    """Answers from `flags`. The targeting key is the id of a virtual key; the attributes `org`, `org_id` and `key` (its
    name) are what flags may name besides. Flags are booleans: any other type is a mismatch."""

    def __init__(self, flags: Flags) -> None:
        super().__init__()
        self._flags = flags

    def get_metadata(self) -> Metadata:
        return Metadata(name="llmgw")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        share = self._flags.states().get(flag_key)
        if share is None:
            raise FlagNotFoundError(f"There is no flag {flag_key!r} in the configuration.")
        if evaluation_context is None or not evaluation_context.targeting_key:
            raise TargetingKeyMissingError("The targeting key is the id of a virtual key.")
        is_on = self._flags.is_on(flag_key, _record(evaluation_context))
        reason = Reason.STATIC if share == 1 else Reason.TARGETING_MATCH
        return FlagResolutionDetails(is_on, variant="on" if is_on else "off", reason=reason)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        raise _mismatch(flag_key)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        raise _mismatch(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        raise _mismatch(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        raise _mismatch(flag_key)


@contextlib.contextmanager
def registered(flags: Flags) -> Iterator[None]:
    """Have the API's clients of the domain `llmgw` answered from `flags`, for as long as this lasts."""
    api.set_provider_and_wait(GatewayProvider(flags), DOMAIN)
    try:
        yield
    finally:
        api.set_provider_and_wait(NoOpProvider(), DOMAIN)


def _mismatch(flag: str) -> TypeMismatchError:
    return TypeMismatchError(f"The flag {flag!r} is a boolean.")


def _record(context: EvaluationContext) -> KeyRecord:
    """The key that is asked for, as far as flags look at one."""

    def attribute(name: str) -> str:
        value = context.attributes.get(name, "")
        return value if isinstance(value, str) else ""

    key_id = context.targeting_key or ""
    return KeyRecord(
        id=key_id,
        public_id=key_id,
        org_id=attribute("org_id"),
        org=attribute("org"),
        name=attribute("key"),
        terms=(),
    )
