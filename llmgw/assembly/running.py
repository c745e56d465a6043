"""Asking the server of a configuration how it is, from another process on its machine."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import Final

import msgspec
from msgspec import Struct

from llmgw.config.schema import Server

WAIT_S: Final = 2.0
LIMIT_BYTES: Final = 1024 * 1024
_THIS_MACHINE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (it is told apart, not bound)


class Readiness(Struct, frozen=True):
    """What a server tells of itself. `breakers`: those that are not closed, `open` or `half_open` by name."""

    status: str
    breakers: dict[str, str]


def readiness(server: Server) -> Readiness | None:
    """Of the server that listens there; None where nothing does.

    Raises:
        ValueError: what listens there is silent, or is no llmgw.
    """
    connection = HTTPConnection(_THIS_MACHINE.get(server.host, server.host), server.port, timeout=WAIT_S)
    try:
        connection.request("GET", "/health/readiness")
        body = connection.getresponse().read(LIMIT_BYTES)
        return msgspec.json.decode(body, type=Readiness)
    except ConnectionRefusedError:
        return None
    except TimeoutError as error:
        raise ValueError(f"does not answer within {WAIT_S:g} s") from error
    except OSError as error:
        raise ValueError(f"cannot be asked: {error.strerror or error}") from error
    except (HTTPException, msgspec.MsgspecError) as error:
        raise ValueError("is held by another program than llmgw") from error
    finally:
        connection.close()
