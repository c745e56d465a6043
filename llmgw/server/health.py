"""Liveness, readiness and metrics, served by the ASGI application beside the lane.

Liveness says that the event loop turns, and nothing else: a dead dependency must not get the process killed.
Readiness tells what is missing. It is 503 while draining and when a stored secret does not open, for then the
process cannot do its work; a store that is down while known keys are still served is 200 `degraded`.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler

from llmgw.server.reload import Running

_log = logging.getLogger("llmgw.server")


def application(running: Running) -> Litestar:
    """The ASGI application: everything that is not the data plane."""
    return Litestar(route_handlers=_handlers(running), openapi_config=None, logging_config=None)


def _handlers(running: Running) -> list[HTTPRouteHandler]:
    @get(["/health/liveness", "/healthz"], sync_to_thread=False)
    def liveness() -> dict[str, str]:
        return {"status": "alive"}

    @get(["/health/readiness", "/readyz"])
    async def readiness() -> Response[dict[str, Any]]:
        body = await readiness_of(running)
        return Response(body, status_code=503 if body["status"] in ("draining", "failing") else 200)

    @get("/metrics", sync_to_thread=True)
    def metrics() -> Response[bytes]:
        try:
            body, content_type = running.installation.telemetry.render_metrics()
        except OSError as error:  # half of the node's numbers would look like a restart
            _log.error("the metrics of the workers cannot be put together: %s", error)
            return Response(b"", status_code=503)
        return Response(body, media_type=content_type)

    return [liveness, readiness, metrics]


async def readiness_of(running: Running) -> dict[str, Any]:
    """What readiness tells; `status` is `ready`, `degraded`, `draining` or `failing`."""
    panic = running.gateway.panic
    last_error = running.last_error
    secrets = await running.installation.shared.directory.probe()
    degraded = running.gateway.degraded
    if running.draining:
        status = "draining"
    elif any(state != "ok" for state in secrets.values()):
        status = "failing"
    elif degraded is not None or last_error is not None:
        status = "degraded"
    else:
        status = "ready"
    return {
        "status": status,
        "store": "ok" if running.gateway.directory.degraded is None else "unavailable",
        "degraded": [] if degraded is None else degraded.split(", "),
        "kms": secrets,
        "panic": [
            {
                "scope": entry.text,
                "action": entry.action,
                "since": round(entry.since),
                "refused": panic.refusals[entry.text],
            }
            for entry in panic.entries
        ],
        "breakers": dict(running.gateway.breakers.states(time.monotonic())),
        "config": {
            "version": running.gateway.version,
            "loaded_seconds_ago": round(time.time() - running.loaded_at),
            "reload": "ok" if last_error is None else last_error,
        },
    }
