"""The running gateway and its replacement: read, validate, assemble beside the old one, swap one reference.

A file that fails validation changes nothing; the failure is told in the log, in readiness and in a metric.
Calls keep the gateway they began with, and connections to providers that did not change are kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from llmgw.assembly.installation import Installation
from llmgw.config.schema import Config
from llmgw.control.panic import refuse_changes
from llmgw.errors import CallError, OperatorError
from llmgw.flow.choose import panicked
from llmgw.flow.gateway import Gateway
from llmgw.rules.panic import Entry

_log = logging.getLogger("llmgw.server")

_FIXED = ("server", "store", "kms", "telemetry", "flag_provider")
"""Sections that are read at start only."""


class Running:
    """The gateway in force, shared by every connection of the process."""

    def __init__(self, installation: Installation, gateway: Gateway) -> None:
        self.installation = installation
        self.gateway = gateway
        self.draining = False
        self.loaded_at = time.time()
        self._last_error: str | None = None
        self._wanted = asyncio.Event()
        installation.shared.panic.on_change = self._panic

    @property
    def last_error(self) -> str | None:
        """Why the last reload was refused, here or for all workers; None when the newest file is in force."""
        return self._last_error or self.installation.telemetry.refusal

    def refused(self, error: CallError) -> None:
        """Bytes that were no request were answered with `error`."""
        self.installation.telemetry.refused(error.status)
        _log.info("refused what is not a request: %s", error.message)

    def request_reload(self) -> None:
        """Ask for a reload soon (SIGHUP); several requests at once are one."""
        self._wanted.set()

    async def reload_on_request(self) -> None:
        """Reload whenever asked, one at a time, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._reload()

    def _panic(self, entries: Sequence[Entry]) -> None:
        """Panic came on: what is under way ends too, where that is wanted."""
        for entry in entries:
            if entry.cut:
                self.gateway.watch.cut(entry, panicked(entry))

    async def _reload(self) -> None:
        old = self.gateway
        try:
            refuse_changes(old.panic.entries)
            new = await asyncio.to_thread(self.installation.read_again)
            gateway = self.installation.assemble(new, previous=old)
        except OperatorError as error:
            self._last_error = str(error)
            self.installation.telemetry.reloaded(False)
            _log.error("the configuration was not reloaded, the old one stays in force: %s", error)
            return
        self.gateway = gateway
        self.loaded_at = time.time()
        self._last_error = None
        self.installation.telemetry.reloaded(True)
        _log.info("configuration %s is in force", gateway.version)
        for section in _fixed_changes(old.config, gateway.config):
            _log.warning("the section %s has changed and takes effect at the next start", section)
        kept = {id(provider.upstream) for provider in gateway.providers.values()}
        for provider in old.providers.values():
            if id(provider.upstream) not in kept:
                await provider.aclose()


def _fixed_changes(old: Config, new: Config) -> list[str]:
    return [section for section in _FIXED if getattr(old, section) != getattr(new, section)]
