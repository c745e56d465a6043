"""The simulator: the official SDKs parse it, equal requests get equal bytes, and it fails as often as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config.providers import Simulation
from llmgw.errors import CallError, UpstreamFailed
from llmgw.ports import Header, Transfer, UpstreamRequest
from llmgw.upstream.simulator import Simulator
from tests.provider import eventually

pytestmark = pytest.mark.anyio

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "m", "messages": HELLO},
    "/v1/completions": {"model": "m", "prompt": "Hello?"},
    "/v1/embeddings": {"model": "m", "input": "Hello?"},
    "/v1/responses": {"model": "m", "input": "Hello?"},
    "/v1/messages": {"model": "m", "max_tokens": 100, "messages": HELLO},
    "/v1/messages/count_tokens": {"model": "m", "messages": HELLO},
}
STREAMED = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]


class Recorder:
    """A Receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []
        self.error: CallError | None = None
        self.finished = asyncio.Event()
        self.transfer: Transfer | None = None
        self.pauses_after = 0

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def head(self, status: int, headers: list[Header]) -> None:
        assert not self.status
        self.status, self.headers = status, dict(headers)

    def data(self, data: bytes) -> None:
        assert self.status and not self.finished.is_set()
        self.pieces.append(data)
        if len(self.pieces) == self.pauses_after:
            assert self.transfer is not None
            self.transfer.pause()

    def end(self) -> None:
        assert self.status and not self.finished.is_set()
        self.finished.set()

    def failed(self, error: CallError) -> None:
        assert not self.finished.is_set()
        self.error = error
        self.finished.set()


async def begin(
    simulator: Simulator, path: str, body: dict[str, Any] | bytes, method: bytes = b"POST"
) -> Recorder:
    recorder = Recorder()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = UpstreamRequest(method=method, target=path.encode(), headers=(), body=raw)
    recorder.transfer = await simulator.send(request, recorder, connect_timeout_s=1)
    return recorder


async def call(
    simulator: Simulator, path: str, body: dict[str, Any] | bytes, method: bytes = b"POST"
) -> Recorder:
    recorder = await begin(simulator, path, body, method)
    await asyncio.wait_for(recorder.finished.wait(), 10)
    return recorder


# Through the official SDKs: the simulator behind a real socket


class _Bridge:
    """Writes an answer to a socket, chunked."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.finished = asyncio.Event()

    def head(self, status: int, headers: list[Header]) -> None:
        framing = [(b"transfer-encoding", b"chunked"), (b"connection", b"close")]
        fields = b"".join(b"%s: %s\r\n" % field for field in (*headers, *framing))
        self.writer.write(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, fields))

    def data(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        self.finished.set()

    def failed(self, error: CallError) -> None:
        self.finished.set()


@contextlib.asynccontextmanager
async def serving(simulator: Simulator) -> AsyncIterator[str]:
    """The simulator's answers over HTTP, one request per connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        method, target, _ = head.split(b" ", 2)
        bridge = _Bridge(writer)
        request = UpstreamRequest(method=method.upper(), target=target, headers=(), body=body)
        await simulator.send(request, bridge, connect_timeout_s=1)
        await bridge.finished.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(Simulator(Simulation(output_tokens=7))) as address:
        yield address


@pytest.fixture
async def gpt(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield client


async def test_sdk_chat(gpt: openai.AsyncOpenAI) -> None:
    """The OpenAI SDK reads a chat completion: text, finish reason, usage."""
    answer = await gpt.chat.completions.create(model="gpt-x", messages=HELLO, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}
    assert len((answer.choices[0].message.content or "").split()) == 7
    assert answer.model == "gpt-x" and answer.usage is not None
    assert answer.usage.completion_tokens == 14
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 14


@pytest.mark.parametrize("include_usage", [True, False])
async def test_sdk_chat_stream(gpt: openai.AsyncOpenAI, include_usage: bool) -> None:
    """A streamed chat completion has one role, one finish reason a choice, and usage where it was asked for."""
    stream = await gpt.chat.completions.create(
        model="m", messages=HELLO, stream=True, n=2, stream_options={"include_usage": include_usage}
    )
    texts, roles, finishes, usages = ["", ""], [], [], []
    async for chunk in stream:
        usages.append(chunk.usage)
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            roles += [choice.delta.role] if choice.delta.role else []
            finishes += [choice.finish_reason] if choice.finish_reason else []
    assert (roles, finishes) == (["assistant"] * 2, ["stop"] * 2)
    assert [len(text.split()) for text in texts] == [7, 7]
    assert [usage.completion_tokens for usage in usages if usage] == ([14] if include_usage else [])
    assert not include_usage or usages[-1]


async def test_sdk_limits(gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
    """A token limit cuts the answer short and is given as the reason, in each API's own words."""
    chat = await gpt.chat.completions.create(model="m", messages=HELLO, max_completion_tokens=3)
    assert (chat.choices[0].finish_reason, chat.usage and chat.usage.completion_tokens) == ("length", 3)
    text = await gpt.completions.create(model="m", prompt="x", max_tokens=3)
    assert text.choices[0].finish_reason == "length"
    response = await gpt.responses.create(model="m", input="x", max_output_tokens=3)
    assert response.status == "incomplete" and response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    message = await claude.messages.create(model="m", messages=HELLO, max_tokens=3)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)


async def test_sdk_completion(gpt: openai.AsyncOpenAI) -> None:
    """The legacy endpoint, plain and streamed, says the same."""
    plain = await gpt.completions.create(model="m", prompt="x")
    stream = await gpt.completions.create(model="m", prompt="x", stream=True)
    streamed = "".join([chunk.choices[0].text async for chunk in stream])
    assert len(plain.choices[0].text.split()) == len(streamed.split()) == 7


async def test_sdk_embeddings(gpt: openai.AsyncOpenAI) -> None:
    """Vectors have the dimensions asked for, length 1, the same values in both encodings, and follow the input."""
    inputs = ["a", "b", "a"]
    floats = await gpt.embeddings.create(model="m", input=inputs, dimensions=64, encoding_format="float")
    base64 = await gpt.embeddings.create(model="m", input=inputs, dimensions=64)
    a, b, again = (item.embedding for item in floats.data)
    assert a == again != b and len(a) == 64
    assert sum(x * x for x in a) == pytest.approx(1)
    assert base64.data[0].embedding == pytest.approx(a)
    tokens = await gpt.embeddings.create(model="m", input=[1, 2, 3])
    assert len(tokens.data) == 1 and len(tokens.data[0].embedding) == 1536


async def test_sdk_responses(gpt: openai.AsyncOpenAI) -> None:
    """The Responses API: text and usage; the stream's events are numbered and end in the whole response."""
    plain = await gpt.responses.create(model="m", input="Hello?")
    assert plain.status == "completed" and len(plain.output_text.split()) == 7
    assert plain.usage and plain.usage.output_tokens == 7
    async with gpt.responses.stream(model="m", input="Hello?") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == final.output_text and len(deltas.split()) == 7


async def test_sdk_messages(claude: anthropic.AsyncAnthropic) -> None:
    """The Anthropic SDK reads a message, and puts the same shape together from a stream."""
    plain = await claude.messages.create(model="claude-x", messages=HELLO, max_tokens=50, system="Be brief.")
    assert (plain.stop_reason, plain.model, plain.usage.output_tokens) == ("end_turn", "claude-x", 7)
    async with claude.messages.stream(model="claude-x", messages=HELLO, max_tokens=50) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert len(text.split()) == 7 and final.content[0].type == "text" and final.content[0].text == text
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 7)
    counted = await claude.messages.count_tokens(model="claude-x", messages=HELLO)
    assert counted.input_tokens == final.usage.input_tokens


async def test_sdk_errors(gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
    """A bad request is refused in each API's own shape."""
    with pytest.raises(openai.BadRequestError) as refused:
        await gpt.chat.completions.create(model="m", messages=[])
    assert (refused.value.param, refused.value.code) == ("messages", "empty_array")
    with pytest.raises(anthropic.BadRequestError) as declined:
        await claude.messages.create(model="m", messages=[], max_tokens=5)
    assert declined.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]  # typed as object


# The wire


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", REQUESTS)
async def test_equal_requests_get_equal_bytes(path: str, stream: bool) -> None:
    """An answer depends on the request alone: not on the clock, the call before or the instance."""
    body = {**REQUESTS[path], "stream": stream} if path in STREAMED else REQUESTS[path]
    simulator = Simulator(Simulation())
    first = await call(simulator, path, body)
    await call(simulator, path, {**body, "model": "other"})
    again = await call(simulator, path, body)
    elsewhere = await call(Simulator(Simulation()), path, body)
    other = await call(simulator, path, {**body, "user": "somebody"})
    assert first.status == 200
    assert first.body == again.body == elsewhere.body
    assert first.headers == again.headers
    assert other.headers != first.headers


@pytest.mark.parametrize("path", STREAMED)
@given(tokens=st.integers(1, 200), model=st.text(max_size=20))
async def test_pace_changes_no_byte(path: str, tokens: int, model: str) -> None:
    """However it is paced, a stream is the same bytes, in whole events."""
    body = {**REQUESTS[path], "stream": True, "model": model}
    fast = await call(Simulator(Simulation(output_tokens=tokens)), path, body)
    paced = await call(Simulator(Simulation(output_tokens=tokens, tokens_per_second=1e6)), path, body)
    assert fast.body == paced.body
    assert all(piece.endswith(b"\n\n") for piece in (*fast.pieces, *paced.pieces))


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", b"{", None),
        ("/v1/chat/completions", b"[]", None),
        ("/v1/chat/completions", b"\xff", None),
        ("/v1/chat/completions", {"model": "m"}, "messages"),
        ("/v1/chat/completions", {"messages": HELLO}, "model"),
        ("/v1/chat/completions", {"model": "m", "messages": "x"}, "messages"),
        ("/v1/chat/completions", {"model": "m", "messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ("/v1/chat/completions", {"model": "m", "messages": HELLO, "n": 1000}, "n"),
        ("/v1/completions", {}, "model"),
        ("/v1/embeddings", {"model": "m"}, "input"),
        ("/v1/embeddings", {"model": "m", "input": []}, "input"),
        ("/v1/embeddings", {"model": "m", "input": {}}, "input"),
        ("/v1/embeddings", {"model": "m", "input": "x", "encoding_format": "hex"}, "encoding_format"),
        ("/v1/responses", {"model": "m"}, "input"),
        ("/v1/responses", {"model": "m", "input": None}, "input"),
        ("/v1/messages", {"model": "m", "messages": HELLO}, None),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 1}, None),
        ("/v1/messages/count_tokens", {"model": "m"}, None),
    ],
    ids=str,
)
async def test_bad_requests(path: str, body: dict[str, Any] | bytes, param: str | None) -> None:
    """What the provider would refuse is a 400 of its own shape that names the field."""
    answer = await call(Simulator(Simulation()), path, body)
    assert answer.status == 400
    error = json.loads(answer.body)["error"]
    assert error["type"] == "invalid_request_error" and error["message"]
    assert error.get("param") == param
    assert "param" in error or "/messages" in path


async def test_unknown_paths_and_methods() -> None:
    """Anything but a known POST is a 404 that names it; a query string is no part of the path."""
    simulator = Simulator(Simulation())
    unknown = await call(simulator, "/v1/images", {})
    wrong_method = await call(simulator, "/v1/chat/completions", b"", b"GET")
    assert (unknown.status, wrong_method.status) == (404, 404)
    assert b"/v1/images" in unknown.body
    assert (await call(simulator, "/v1/messages?beta=true", REQUESTS["/v1/messages"])).status == 200


# Failures


@pytest.mark.parametrize("path", REQUESTS)
async def test_error_rate(path: str) -> None:
    """The share of failing calls is the one set, in the API's shape; a repeated run fails at the same calls."""

    async def run() -> list[int]:
        simulator = Simulator(Simulation(error_rate=0.25, error_status=529))
        return [(await call(simulator, path, REQUESTS[path])).status for _ in range(2000)]

    statuses = await run()
    assert set(statuses) == {200, 529}
    assert 400 < statuses.count(529) < 600
    assert statuses == await run()


async def test_error_shape() -> None:
    """A simulated failure is the dialect's own, with retry-after where the provider sends one."""
    always = Simulator(Simulation(error_rate=1, error_status=529))
    openai_error = await call(always, "/v1/chat/completions", REQUESTS["/v1/chat/completions"])
    anthropic_error = await call(always, "/v1/messages", REQUESTS["/v1/messages"])
    assert json.loads(openai_error.body)["error"]["type"] == "server_error"
    assert json.loads(anthropic_error.body)["error"]["type"] == "overloaded_error"
    assert openai_error.headers[b"retry-after"] == b"1"


@pytest.mark.parametrize("path", STREAMED)
async def test_cut_streams(path: str) -> None:
    """A cut stream breaks off halfway as the provider's failure, without its terminator."""
    body = {**REQUESTS[path], "stream": True}
    whole = await call(Simulator(Simulation()), path, body)
    cut = await call(Simulator(Simulation(cut_rate=1)), path, body)
    assert type(cut.error) is UpstreamFailed and cut.status == 200
    assert whole.body.startswith(cut.body) and 0 < len(cut.body) < len(whole.body)
    for terminator in (b"[DONE]", b"message_stop", b"response.completed"):
        assert terminator not in cut.body


async def test_cut_plain_answers_and_share() -> None:
    """Plain answers are cut too, and as often as set."""
    simulator = Simulator(Simulation(cut_rate=0.5))
    path = "/v1/chat/completions"
    calls = [await call(simulator, path, REQUESTS[path]) for _ in range(1000)]
    cut = [answer for answer in calls if answer.error]
    assert 400 < len(cut) < 600
    with pytest.raises(ValueError, match="char"):
        json.loads(cut[0].body)


# Timing


async def test_first_token_and_pace() -> None:
    """A stream starts at once, speaks after `first_token` and then at its pace; a plain answer takes as long."""
    settings = Simulation(first_token_s=0.1, tokens_per_second=100, output_tokens=11)
    body = {**REQUESTS["/v1/messages"], "stream": True}
    began = monotonic()
    streamed = await begin(Simulator(settings), "/v1/messages", body)
    await eventually(lambda: streamed.status)
    assert not streamed.pieces
    await eventually(lambda: streamed.pieces)
    spoke = monotonic() - began
    await asyncio.wait_for(streamed.finished.wait(), 5)
    assert spoke >= 0.09 and monotonic() - began >= 0.19
    assert len(streamed.pieces) > 5
    began = monotonic()
    await call(Simulator(settings), "/v1/messages", REQUESTS["/v1/messages"])
    assert monotonic() - began >= 0.19


@pytest.mark.parametrize("rate", [0.0, 5000.0])
async def test_pause_holds_and_resume_completes(rate: float) -> None:
    """A paused stream hands over nothing; resumed, it is complete."""
    path = "/v1/chat/completions"
    body = {**REQUESTS[path], "stream": True}
    settings = Simulation(output_tokens=500, tokens_per_second=rate)
    whole = await call(Simulator(Simulation(output_tokens=500)), path, body)
    recorder = await begin(Simulator(settings), path, body)
    recorder.pauses_after = 3
    await eventually(lambda: len(recorder.pieces) == 3)
    await asyncio.sleep(0.05)
    assert len(recorder.pieces) == 3 and not recorder.finished.is_set()
    assert recorder.transfer is not None
    recorder.transfer.resume()
    recorder.transfer.resume()
    await asyncio.wait_for(recorder.finished.wait(), 5)
    assert recorder.body == whole.body


async def test_abort_is_silent() -> None:
    """After an abort, at any point, nothing more is said."""
    path = "/v1/chat/completions"
    for stream in (True, False):
        for settings in (Simulation(), Simulation(first_token_s=0.01, tokens_per_second=1000)):
            body = {**REQUESTS[path], "stream": stream}
            recorder = await begin(Simulator(settings), path, body)
            assert recorder.transfer is not None
            recorder.transfer.abort()
            recorder.transfer.abort()
            recorder.transfer.resume()
            await asyncio.sleep(0.02)
            assert (recorder.status, recorder.pieces, recorder.finished.is_set()) == (0, [], False)
