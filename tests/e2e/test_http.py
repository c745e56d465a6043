"""The front door against clients that do not behave: each gets an answer that says what to mend, none hangs it."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmgw.keyring import virtual_key
from tests.gateway import Gateway, House
from tests.provider import Provider, wait_until

BODY = b'{"model":"sim","messages":[{"role":"user","content":"hi"}]}'


def head(house: House, *lines: str, method: str = "POST", path: str = "/v1/chat/completions") -> bytes:
    fixed = [f"{method} {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {house.key}"]
    return ("\r\n".join([*fixed, *lines]) + "\r\n\r\n").encode()


def request(house: House, body: bytes = BODY, *lines: str, path: str = "/v1/chat/completions") -> bytes:
    return head(house, f"content-length: {len(body)}", *lines, path=path) + body


class Wire:
    """A raw connection that reads whole responses."""

    def __init__(self, gateway: Gateway) -> None:
        self.socket = socket.create_connection(gateway.address, timeout=25)
        self.buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """The next response: status, fields, body (as its framing says)."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        top, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if status == 100:
            return status, fields, b""
        length = int(fields.get("content-length", "0"))
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, fields, body

    def closed(self) -> bool:
        """Whether the server ends the connection; waits for that."""
        try:
            while data := self.socket.recv(65536):
                self.buffer += data
        except ConnectionResetError:
            return True
        return not self.buffer

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"the connection ended after {self.buffer!r}"
        self.buffer += data


def error_of(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body)["error"])


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", "invalid_request", "empty"),
        (b"{not json", "invalid_request", "not valid JSON"),
        (b"[1]", "invalid_request", "JSON object"),
        (b'{"model": 5}', "invalid_request", "model"),
        (b'{"messages": []}', "invalid_request", "'model' is missing"),
        (b'{"model": "sim", "model": "sim"}', "invalid_request", "more than once"),
        (b'{"model": "sim", "messages": "hi"}', "invalid_request", "must be an array"),
        (b'{"model": "sim", "messages": ' + b"[" * 100_000, "invalid_request", "nested too deeply"),
        (b'{"model": "sim", "x": "\xff"}', "invalid_request", "UTF-8"),
    ],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_bad_bodies_are_400_and_leave_the_connection_usable(
    path: str, body: bytes, code: str, says: str, gateway: Gateway, house: House
) -> None:
    """A body that cannot be used is a 400 in the path's dialect; the next request on the connection works."""
    with Wire(gateway) as wire:
        wire.send(request(house, body, path=path))
        status, _, answer = wire.response()
        error = error_of(answer)
        assert (status, error["code"]) == (400, code), answer
        assert says in error["message"]
        assert (json.loads(answer).get("type") == "error") == (path == "/v1/messages")
        wire.send(request(house))
        assert wire.response()[0] == 200


def test_an_unknown_model_is_404(gateway: Gateway, house: House) -> None:
    """Neither a configured name nor a provider's: 404 `model_not_found` that says where to look."""
    for model in ("nope", "nope/gpt-4o", "simulator/", "simulator/\x00", "x" * 5000):
        response = httpx.post(
            gateway.url + "/v1/chat/completions", headers=house.auth, json={"model": model, "messages": []}, trust_env=False
        )  # fmt: skip
        assert response.status_code == 404, model
        assert response.json()["error"]["code"] == "model_not_found"
        assert len(response.text) < 1000


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_a_wrong_method_is_405(method: str, gateway: Gateway, house: House) -> None:
    """A known path with another method says which one it takes."""
    response = httpx.request(method, gateway.url + "/v1/messages", headers=house.auth, trust_env=False)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    if method != "HEAD":
        assert response.json()["error"]["code"] == "method_not_allowed"


def test_head_has_no_body(gateway: Gateway, house: House) -> None:
    """The refusal of HEAD is a head alone, so that the next answer is where the client expects it."""
    with Wire(gateway) as wire:
        wire.send(head(house, method="HEAD") + request(house))
        top = b""
        while b"\r\n\r\n" not in top:
            top += wire.socket.recv(1)
        assert top.startswith(b"HTTP/1.1 405")
        assert wire.response()[0] == 200


def test_an_unknown_path_is_404_in_the_dialect(gateway: Gateway, house: House) -> None:
    """A mistyped base URL is told apart from a wrong model."""
    response = httpx.post(gateway.url + "/v1/chat/completion", headers=house.auth, json={}, trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")
    assert httpx.get(gateway.url + "/nothing/here", trust_env=False).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer sk-openai-key"},
        {"authorization": "Basic abc"},
        {"x-api-key": "' OR 1=1 --"},
        {"x-api-key": "sk-llmgw-aaaaaaaaaaaa-" + "A" * 38},
        {"authorization": "Bearer " + "x" * 10_000},
    ],
)
def test_no_or_wrong_key_is_401(headers: dict[str, str], gateway: Gateway) -> None:
    """Whatever stands in the place of a key, only a real one is let in."""
    response = httpx.post(
        gateway.url + "/v1/chat/completions", headers=headers, content=BODY, trust_env=False, timeout=10
    )
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_key_one_character_off_is_401(gateway: Gateway, house: House) -> None:
    """The checksum refuses every mistyped key."""
    for at in range(len(house.key)):
        wrong = house.key[:at] + ("A" if house.key[at] != "A" else "B") + house.key[at + 1 :]
        response = httpx.post(
            gateway.url + "/v1/chat/completions", headers={"x-api-key": wrong}, content=BODY, trust_env=False
        )
        assert response.status_code == 401, at


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_413(declared: bool, gateway: Gateway, house: House) -> None:
    """A large upload is refused at once, declared or chunked, and its sender can read why."""
    size = 40 * 1024 * 1024
    with Wire(gateway) as wire:
        if declared:
            wire.send(head(house, f"content-length: {size}", "x-request-id: too-large"))
        else:
            wire.send(head(house, "transfer-encoding: chunked", "x-request-id: too-large"))
            piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            try:
                for _ in range(40):
                    wire.send(piece)
            except (ConnectionResetError, BrokenPipeError):
                pass
        status, fields, body = wire.response()
        assert (status, error_of(body)["code"]) == (413, "request_too_large")
        assert fields["connection"] == "close"
        assert wire.closed()


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("key", ["", "sk-llmgw-unknown", None])
def test_a_stranger_is_refused_before_the_body(
    key: str | None, declared: bool, gateway: Gateway, house: House
) -> None:
    """Without a good key a large body is not taken: the refusal comes while it is still to be sent."""
    made_up = virtual_key.mint().key.reveal() if key is None else key  # well-formed, and nobody's
    framing = "content-length: 30000000" if declared else "transfer-encoding: chunked"
    with Wire(gateway) as wire:
        wire.send(head(house, framing).replace(house.key.encode(), made_up.encode()))
        if not declared:
            for _ in range(3):
                wire.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        status, _, body = wire.response()
        assert (status, error_of(body)["code"]) == (401, "invalid_api_key")
        assert wire.closed()


@pytest.mark.parametrize("declared", [True, False])
def test_a_large_body_of_a_new_key_is_served(
    declared: bool, provider: Provider, gateway: Gateway, house: House
) -> None:
    """The key is looked up in mid-upload and not a byte is lost."""
    made = house.run("keys", "create", "--org", "acme", "--name", f"large-{declared}", "--json").json
    body = b'{"model":"gpt-4o-2024-08-06","messages":[{"role":"user","content":"' + b"x" * 3_000_000 + b'"}]}'
    body = body.replace(b'"gpt-4o-2024-08-06"', b'"openai/gpt-4o-2024-08-06"')
    content: object = body if declared else iter([body[i : i + 50_000] for i in range(0, len(body), 50_000)])
    response = httpx.post(
        gateway.url + "/v1/chat/completions", headers={"x-api-key": made["key"]}, content=content,  # type: ignore[arg-type]
        trust_env=False, timeout=20,
    )  # fmt: skip
    assert response.status_code == 200
    assert provider.last().body == body.replace(b"openai/", b"")


ODD_LINES = [
    b"CONNECT host:443 HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET /caf\xc3\xa9 HTTP/1.1",
    b"GET /v1/models/\xff HTTP/1.1",
    b"GET //x:y:z/ HTTP/1.1",
    b"GET http://[::1 HTTP/1.1",
    b"GET http://h/v1/models/nope HTTP/1.1",
    b"GET http://h:99999999/healthz HTTP/1.1",
]


@pytest.mark.parametrize("line", ODD_LINES, ids=repr)
def test_odd_request_lines_are_answered(line: bytes, gateway: Gateway, house: House) -> None:
    """Whatever stands in the place of a URL gets an answer that is the client's fault."""
    with Wire(gateway) as wire:
        wire.send(line + f"\r\nhost: x\r\nauthorization: Bearer {house.key}\r\n\r\n".encode())
        status, _, body = wire.response()
        assert 400 <= status < 500, (status, body)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_on_the_wire_are_a_defect(gateway: Gateway, house: House, data: st.DataObject) -> None:
    """Property: a mutated request is answered or its connection closed; the last test of this file reads the log."""
    raw = bytearray(request(house, BODY, "x-a: b", "expect: 100-continue", "connection: keep-alive"))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    with Wire(gateway) as wire:
        wire.send(bytes(raw))
        wire.socket.shutdown(socket.SHUT_WR)
        wire.closed()


def test_expect_continue_is_honoured(gateway: Gateway, house: House) -> None:
    """A client that waits for `100 Continue` gets it, and a refused one its final answer instead."""
    with Wire(gateway) as wire:
        wire.send(head(house, f"content-length: {len(BODY)}", "expect: 100-continue"))
        assert wire.response()[0] == 100
        wire.send(BODY)
        assert wire.response()[0] == 200
    with Wire(gateway) as wire:
        wire.send(head(house, "content-length: 99999999", "expect: 100-continue"))
        assert wire.response()[0] == 413


@pytest.mark.parametrize(
    "lines",
    [
        ["content-length: 5", "transfer-encoding: chunked"],
        ["transfer-encoding: chunked", "content-length: 5"],
        ["content-length: 5", "content-length: 6"],
        ["content-length: 5, 6"],
        ["content-length: +5"],
        ["content-length: -5"],
        ["content-length: 0x5"],
        ["content-length: 99999999999999999999999"],
        ["transfer-encoding: chunked, identity"],
        ["transfer-encoding: xchunked"],
        ["content-length : 5"],
        ["x-folded: a\r\n b"],
        ["x-nul: a\x00b"],
        ["no colon here"],
    ],
    ids=repr,
)
def test_ambiguous_framing_is_refused_and_ends_the_connection(
    lines: list[str], gateway: Gateway, house: House
) -> None:
    """No request whose end two parsers could see in two places is served (RFC 9112 section 11.2)."""
    smuggled = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    with Wire(gateway) as wire:
        wire.send(head(house, *lines) + b"0\r\n\r\n" + smuggled)
        status, fields, body = wire.response()
        assert 400 <= status < 500, (status, body)
        assert error_of(body)["code"] == "invalid_request"
        assert fields["connection"] == "close"
        assert wire.closed(), "the smuggled request was answered"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HELO mail\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 4 + b"\x00" * 40,
    ],
)
def test_what_is_not_http_is_400(data: bytes, gateway: Gateway) -> None:
    """TLS, mail and noise on the port get a 400 and a closed connection."""
    with Wire(gateway) as wire:
        wire.send(data)
        status, _, body = wire.response()
        assert (status, error_of(body)["code"]) == (400, "invalid_request")
        assert wire.closed()


@pytest.mark.parametrize("whole", [True, False])
def test_huge_heads_are_431(whole: bool, gateway: Gateway, house: House) -> None:
    """A head beyond the limit is refused, in one piece or dripped without end."""
    with Wire(gateway) as wire:
        if whole:
            wire.send(
                head(house, *(f"x-{n}: {'v' * 1000}" for n in range(100)), f"content-length: {len(BODY)}")
                + BODY
            )
        else:
            wire.send(head(house)[:-2])
            try:
                for n in range(200):
                    wire.send(b"x-%d: %s\r\n" % (n, b"v" * 1000))
            except (ConnectionResetError, BrokenPipeError):
                pass
        status, _, body = wire.response()
        assert (status, error_of(body)["code"]) == (431, "headers_too_large")


def test_pipelined_requests_are_answered_in_order(gateway: Gateway, house: House) -> None:
    """Requests of the data plane and of the application, sent in one go, are answered one after the other."""
    paths = [f"/v1/chat/completions?n={n}" for n in range(3)]
    parts = []
    for n, path in enumerate(paths):
        parts.append(request(house, BODY, f"x-request-id: pipelined-{n}", path=path))
        parts.append(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    with Wire(gateway) as wire:
        wire.send(b"".join(parts))
        for n in range(3):
            status, fields, _ = wire.response()
            assert (status, fields["x-request-id"]) == (200, f"pipelined-{n}")
            status, _, body = wire.response()
            assert (status, body) == (200, b'{"status":"alive"}')


def test_a_request_byte_by_byte_is_served(gateway: Gateway, house: House) -> None:
    """However small the pieces it comes in."""
    with Wire(gateway) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(house):
            wire.send(bytes([byte]))
        assert wire.response()[0] == 200


def test_chunked_request_bodies_are_joined(provider: Provider, gateway: Gateway, house: House) -> None:
    """A body in chunks reaches the provider whole, with its length."""
    body = b'{"model":"gpt-4o","messages":[]}'
    with Wire(gateway) as wire:
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7)
        )
        wire.send(head(house, "transfer-encoding: chunked") + chunks + b"0\r\n\r\n")
        assert wire.response()[0] == 200
    assert provider.last().body == body.replace(b"gpt-4o", b"gpt-4o-2024-08-06")


def test_http_1_0_is_served_and_closed(gateway: Gateway, house: House) -> None:
    """An old client gets its answer without chunks; a stream ends with the connection."""
    for stream in (b"false", b"true"):
        body = BODY[:-1] + b',"stream":' + stream + b"}"
        with Wire(gateway) as wire:
            wire.send(request(house, body).replace(b"HTTP/1.1", b"HTTP/1.0"))
            data = b""
            while piece := wire.socket.recv(65536):
                data += piece
        top, _, content = data.partition(b"\r\n\r\n")
        assert b" 200 " in top and b"transfer-encoding" not in top.lower()
        assert content.endswith(b"data: [DONE]\n\n" if stream == b"true" else b"}")


def test_an_offered_upgrade_is_ignored(gateway: Gateway, house: House) -> None:
    """Java's HTTP client offers h2c on every request; the request is served as it is."""
    with Wire(gateway) as wire:
        wire.send(
            request(
                house, BODY, "connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk"
            )
        )
        assert wire.response()[0] == 200


def test_a_request_cut_short_is_400(gateway: Gateway, house: House) -> None:
    """A client that closes its side in mid-request is told so, and the connection ends."""
    with Wire(gateway) as wire:
        wire.send(request(house)[:-5])
        wire.socket.shutdown(socket.SHUT_WR)
        status, _, body = wire.response()
        assert (status, error_of(body)["code"]) == (400, "invalid_request")
        assert wire.closed()


@pytest.mark.slow
@pytest.mark.parametrize("part", ["head", "body"])
def test_a_slow_loris_is_cut_off(part: str, gateway: Gateway, house: House) -> None:
    """A request that never completes is answered 408 and ended, however steadily it drips."""
    with Wire(gateway) as wire:
        wire.socket.settimeout(60)
        data = head(house)[:-2] if part == "head" else head(house, "content-length: 100000")
        wire.send(data)
        status, _, body = wire.response()
        assert (status, error_of(body)["code"]) == (408, "request_timeout")
        assert wire.closed()


def test_many_idle_connections_do_not_stop_others(gateway: Gateway, house: House) -> None:
    """Connections that send nothing cost the rest nothing."""
    idle = [socket.create_connection(gateway.address) for _ in range(300)]
    try:
        response = httpx.post(
            gateway.url + "/v1/chat/completions", headers=house.auth, content=BODY, trust_env=False, timeout=5
        )
        assert response.status_code == 200
    finally:
        for connection in idle:
            connection.close()


def test_nothing_here_was_a_defect(gateway: Gateway) -> None:
    """After all of it the server lives and has logged no traceback."""
    assert httpx.get(gateway.url + "/healthz", trust_env=False).json() == {"status": "alive"}
    wait_until(lambda: "listening on" in gateway.text())
    assert "Traceback" not in gateway.text()
    assert "internal_error" not in gateway.text()
