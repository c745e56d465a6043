"""A token server like Google's, on a socket, in a thread of the test's own process.

    with serving() as tokens:
        document = service_account("gateway@acme.example", tokens.url)     # the secret's text
        tokens.forms                                                        # what was asked, in order
        tokens.given                                                        # who may use which token

It verifies each statement with Google's own library and gives tokens that name their number. `tokens.gate.clear()`
lets requests wait, `tokens.answers.append((400, b"..."))` answers the next one so.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@cache
def _key(email: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def service_account(email: str, token_uri: str) -> str:
    """The JSON of a service account's key."""
    pem = _key(email).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    document = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "k1",
        "private_key": pem.decode(),
        "client_email": email,
        "token_uri": token_uri,
    }
    return json.dumps(document, indent=2)


class Tokens:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/token"
        self.forms: list[dict[str, str]] = []
        self.given: dict[str, str] = {}
        """Who asked, by the token's text."""
        self.answers: list[tuple[int, bytes]] = []
        self.expires_in: float = 3600
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def answer(self, form: dict[str, str]) -> tuple[int, bytes]:
        with self._lock:
            self.forms.append(form)
            scripted = self.answers.pop(0) if self.answers else None
            number = len(self.forms)
        self.gate.wait(30)
        if scripted is not None:
            return scripted
        try:
            who = self._who(form)
        except ValueError as error:
            return 400, json.dumps({"error": "invalid_grant", "error_description": str(error)}).encode()
        token = f"ya29.token-{number}"
        self.given[token] = who
        said = {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}
        return 200, json.dumps(said).encode()

    def _who(self, form: dict[str, str]) -> str:
        if form["grant_type"] != GRANT:
            return form["refresh_token"]
        _, claims, _, _ = jwt._unverified_decode(form["assertion"])  # type: ignore[no-untyped-call]
        public = _key(claims["iss"]).public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        # Tests of expiry have a clock of their own.
        jwt.decode(form["assertion"], certs=pem, audience=self.url, clock_skew_in_seconds=10**9)  # type: ignore[no-untyped-call]
        return str(claims["iss"])


@contextlib.contextmanager
def serving() -> Iterator[Tokens]:
    """A server on a free port of 127.0.0.1; it ends with the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
            status, body = tokens.answer(form)
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        tokens = Tokens(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield tokens
        finally:
            tokens.gate.set()
            server.shutdown()
            thread.join(10)
