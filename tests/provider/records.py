"""What travels over the control API: where the server listens, how it shall answer, what it saw."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from tests.provider.steps import Step


class Ports(Struct, frozen=True):
    """Where the server listens; `tls` by the name of the certificate."""

    http: int
    control: int
    tls: dict[str, int]
    ca_file: str


class Script(Struct, frozen=True):
    """How the next `times` requests (0: all) whose target contains `path` are answered."""

    behaviour: str = "answer"
    options: dict[str, str] = {}
    steps: list[Step] | None = None
    times: int = 1
    path: str = ""


class Seen(Struct):
    """One request as it came. Times are `time.monotonic()`, which all processes of a machine share."""

    number: int
    connection: int
    behaviour: str
    head: bytes
    """Request line and header fields as sent, up to and without the blank line."""
    at: float
    """When the head was complete."""
    body: bytes = b""
    """As sent, with the chunked framing where there was one."""
    written: int = 0
    """Bytes of the answer that the client's TCP has taken so far."""
    finished: bool = False
    """Whether the answer was written to its end."""
    closed_at: float | None = None
    """When the connection was gone."""
    closed_by: str = ""
    """`client` or `server`, once it is gone."""
    reset: bool = False
    """Whether it went with a TCP reset."""

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("latin-1")

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Name and value in the order and the letter case they came in."""
        fields = (line.split(b":", 1) for line in self.head.split(b"\r\n")[1:])
        return [(name, value.strip()) for name, value in fields]

    def header(self, name: str) -> bytes | None:
        """The value of a field, by name in any letter case; None where it is absent."""
        wanted = name.lower().encode()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def json(self) -> Any:
        return json.loads(self.body)
