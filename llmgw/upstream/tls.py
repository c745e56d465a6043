"""TLS to providers: verification on, sessions resumed.

A resumed TLS 1.3 handshake saves the certificate exchange, most of the CPU of a new connection. asyncio has
no way to hand a session to a connection, but every event loop makes its TLS object through the context's
`wrap_bio`, so the context remembers the last session of its one origin and offers it there. The default
trust store honours SSL_CERT_FILE and SSL_CERT_DIR, which is how a private CA is added.
"""

from __future__ import annotations

import ssl
from typing import Any


class SessionContext(ssl.SSLContext):
    """A verifying client context for one origin that resumes its last session."""

    def __new__(cls) -> SessionContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self) -> None:
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_default_certs()
        self.set_alpn_protocols(["http/1.1"])
        self._last: ssl.SSLObject | None = None

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        # TLS 1.3 tickets come after the handshake, so the session is read from the last connection only now.
        previous = self._last.session if self._last is not None else None
        kwargs["session"] = previous
        self._last = super().wrap_bio(*args, **kwargs)
        return self._last
