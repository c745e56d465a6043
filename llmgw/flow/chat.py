"""Serves one call: admit, dispatch, settle. One way through; no stage calls back into an earlier one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from time import monotonic
from typing import Any, Final

from llmgw.errors import CallError, ClientGone, InternalError, ModelNotFound
from llmgw.flow.account import open_account
from llmgw.flow.admit import Credential, admit, authenticate
from llmgw.flow.call import Call, Stage
from llmgw.flow.choose import chosen
from llmgw.flow.dispatch import Dispatch
from llmgw.flow.gateway import Gateway
from llmgw.flow.settle import settle
from llmgw.ports import Client, Header
from llmgw.rules import access
from llmgw.rules import tags as call_tags

_log = logging.getLogger("llmgw.flow")
_JSON: Final[Header] = (b"content-type", b"application/json")


async def serve(gateway: Gateway, call: Call, client: Client, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, which answers `client`; whatever comes of it, the call is settled exactly once.

    The record reaches the sink before this returns or raises, and a CallError of `work` reaches the client
    as long as nothing else has.
    """
    gateway.sink.began()
    ended_by: CallError | None = None
    try:
        await work
    except CallError as error:
        ended_by = error
    except asyncio.CancelledError:
        ended_by = ClientGone("The call was cut off at shutdown.")
        raise
    except Exception:  # noqa: BLE001  # the boundary: a defect of ours must end this call, and no other
        _log.exception("defect while serving a call", extra={"request_id": call.request_id})
        ended_by = InternalError("The gateway failed; its operator finds the cause under this request id.")
    finally:
        if ended_by is not None and not client.started and not client.gone:
            client.refuse(ended_by)
        settle(gateway, call, ended_by, monotonic())


async def chat(
    gateway: Gateway,
    call: Call,
    client: Client,
    *,
    credential: Credential,
    presented: bytes | None,
    fields: dict[bytes, bytes],
    query: bytes,
    model: str | None,
    raw: bytes,
) -> None:
    """Answer a POST of the data plane from a provider.

    Args:
        credential: the connection's memory of its key.
        presented: the virtual key as the client sent it, if it sent one.
        fields: the client's header fields by lower-case name.
        query: the query string without `?`.
        model: from the path, where the API has it there.
        raw: the request body.
    """
    key = await authenticate(gateway.directory, credential, presented, call.time)
    body, pool = admit(gateway, call, key, model, raw)
    tags = call_tags.of_call(key.metadata, fields.get(call_tags.HEADER))
    plan = chosen(gateway, call, key, pool, tags, fields, body)
    await open_account(gateway, call, key, tags, plan, body)
    await Dispatch(gateway, call, key, plan, body, fields, query, client).run()


async def models(
    gateway: Gateway,
    call: Call,
    client: Client,
    *,
    credential: Credential,
    presented: bytes | None,
    model_id: str | None,
) -> None:
    """Answer with the models that the key may use, or with the one asked for."""
    key = await authenticate(gateway.directory, credential, presented, call.time)
    call.org = key.org
    call.key_id = key.id
    if model_id is None:
        answer = call.dialect.models(
            [card for card in gateway.cards.values() if access.may_use(key, card.id)]
        )
    else:
        card = gateway.card(model_id)
        if not access.may_use(key, card.id):
            raise ModelNotFound(f"The model {model_id[:200]!r} does not exist here.", param="model")
        answer = call.dialect.model(card)
    call.enter(Stage.ADMITTED)
    call.status = 200
    call.response_bytes = len(answer)
    client.start(200, (_JSON,), len(answer))
    client.write(answer)
    client.end()


async def refuse(error: CallError) -> None:
    """Answer with `error`, which was known when the head was read."""
    raise error
