"""What proves a request to its provider: the secret as the host wants it, or a signature made with it."""

from __future__ import annotations

from time import time
from typing import Final

from msgspec.structs import replace

from llmgw.dialects.auth import credential
from llmgw.errors import IntegrityError, UpstreamCredentials
from llmgw.flow.gateway import Gateway, Provider, ProviderKey
from llmgw.ports import UpstreamRequest
from llmgw.rules.access import KeyRecord
from llmgw.secret import Secret


def is_plain(provider: Provider, by: ProviderKey) -> bool:
    """Whether the secret's header fields are all it takes."""
    return provider.signer is None and by.stored is None


async def proven(
    gateway: Gateway, key: KeyRecord, provider: Provider, by: ProviderKey, request: UpstreamRequest
) -> UpstreamRequest:
    """`request` with the header fields that prove it, by a stored secret or a signature; as it is where there is no
    secret.

    Raises:
        UpstreamCredentials: the secret is not set, does not open, or gets no token.
        DependencyUnavailable: the store of secrets does not answer.
    """
    if provider.signer is None:
        assert by.stored is not None
        secret = await _stored(gateway, key, by.stored)
        proof = tuple(credential(provider.host.auth, secret.reveal()))
        return replace(request, headers=request.headers + proof)
    withheld = provider.host.withholds
    kept = tuple([field for field in request.headers if field[0] not in withheld])
    found = by.secret if by.stored is None else await _stored(gateway, key, by.stored)
    bare = replace(request, headers=kept)
    if found is None:
        return bare
    try:
        return replace(bare, headers=(*kept, *await provider.signer.headers(found, bare, time())))
    except UpstreamCredentials as error:
        error.detail = f"{_whose(key, provider, by)}: {error.detail}"
        raise


async def _stored(gateway: Gateway, key: KeyRecord, name: str) -> Secret:
    """The caller's organisation's own secret."""
    whose = f"credential {name!r} of organisation {key.org!r}"
    try:
        secret = await gateway.directory.credential(key.org_id, name)
    except IntegrityError as error:
        raise UpstreamCredentials(_UNUSABLE, detail=f"{whose} does not open: {error}") from error
    if secret is None:
        raise UpstreamCredentials(_UNUSABLE, detail=f"{whose} is not set: llmgw credentials set")
    return secret


def _whose(key: KeyRecord, provider: Provider, by: ProviderKey) -> str:
    """A provider's secret by name, for the operator."""
    if by.stored is None:
        return f"api_key of provider {provider.name!r}"
    return f"credential {by.stored!r} of organisation {key.org!r}"


_UNUSABLE: Final = "The gateway has no usable credential for this model; tell the gateway's operator."
