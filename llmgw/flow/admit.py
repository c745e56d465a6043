"""Who is calling, what for, and may they: everything that is decided before a provider is asked.

The order is part of the contract: the key first (nothing is learned without one), then the body, then the
model's existence (404), then whether this key may use it (403).
"""

from __future__ import annotations

from typing import Final

from llmgw.dialects import body as bodies
from llmgw.dialects.body import Body
from llmgw.errors import InvalidApiKey
from llmgw.flow.call import Call, Stage
from llmgw.flow.gateway import Gateway, Pool
from llmgw.keyring import virtual_key
from llmgw.keyring.virtual_key import Presented
from llmgw.ports import Directory
from llmgw.rules import access
from llmgw.rules.access import KeyRecord

_MISSING: Final = (
    "No API key was sent; send a virtual key as 'Authorization: Bearer sk-llmgw-...' or as 'x-api-key'."
)
_MALFORMED: Final = "The API key is not a virtual key of this gateway (sk-llmgw-...), or is mistyped."
_UNKNOWN: Final = "The API key is not valid; it may have been revoked or replaced."


class Credential:
    """The key that a connection presents: parsed once for all the calls that send the same one."""

    __slots__ = ("_parsed", "_presented")

    def __init__(self) -> None:
        self._presented: bytes | None = None
        self._parsed: Presented | None = None

    def parse(self, presented: bytes) -> Presented | None:
        """As `virtual_key.parse`."""
        if presented != self._presented:
            self._presented = presented
            self._parsed = virtual_key.parse(presented)
        return self._parsed


async def authenticate(
    directory: Directory, credential: Credential, presented: bytes | None, now: float
) -> KeyRecord:
    """The record of the presented key.

    Raises:
        InvalidApiKey: none presented, mistyped, unknown, revoked or expired.
        OrgSuspended: the key is right and its organisation is suspended.
        DependencyUnavailable: the store did not answer and the key is not known here.
    """
    if presented is None:
        raise InvalidApiKey(_MISSING)
    parsed = credential.parse(presented)
    if parsed is None:
        raise InvalidApiKey(_MALFORMED)
    record = directory.known(parsed.public_id)
    if record is None:
        record = await directory.key(parsed.public_id)
        if record is None:
            raise InvalidApiKey(_UNKNOWN)
    access.authenticate(record, parsed.digest, now)
    return record


def admit(gateway: Gateway, call: Call, key: KeyRecord, model: str | None, raw: bytes) -> tuple[Body, Pool]:
    """Read the body of an authenticated caller and find what serves its model.

    Args:
        model: from the path, where the API has it there.

    Raises:
        CallError: any refusal; nothing has been sent to a provider.
    """
    call.org = key.org
    call.key_id = key.id
    call.key = key
    if model is None:
        body = bodies.read(raw, call.operation.types)
    else:
        body = bodies.read_nameless(raw, call.operation.types, model, call.operation.streams)
    call.streamed = body.stream
    pool = gateway.pool(body.model)
    call.model_asked = body.model
    access.require_model(key, body.model)
    call.enter(Stage.ADMITTED)
    return body, pool
