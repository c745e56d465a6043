"""Unmodified official SDKs: the base URL is changed and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.gateway import Gateway, House
from tests.provider import Provider


@pytest.fixture(params=["gpt-4o", "sim"])
def model(request: pytest.FixtureRequest) -> str:
    """A model at the test server, and one at the simulator."""
    return str(request.param)


@pytest.fixture
def client(gateway: Gateway, house: House) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=house.key, max_retries=0, timeout=20) as made:
        yield made


@pytest.fixture(params=["claude", "sim"])
def claude(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def messages(gateway: Gateway, house: House) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=house.key, max_retries=0, timeout=20) as made:
        yield made


QUESTION: Any = [{"role": "user", "content": "hello"}]


def test_openai_chat(model: str, provider: Provider, client: openai.OpenAI) -> None:
    """A plain chat completion has text and usage."""
    answer = client.chat.completions.create(model=model, messages=QUESTION)
    assert answer.choices[0].message.content
    assert answer.usage is not None and answer.usage.total_tokens > 0


def test_openai_chat_streamed(model: str, provider: Provider, client: openai.OpenAI) -> None:
    """A stream has text, a finish reason and, asked for, usage in its last chunk."""
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert any(choice.finish_reason for chunk in chunks for choice in chunk.choices)


def test_openai_responses(model: str, provider: Provider, client: openai.OpenAI) -> None:
    """The Responses API, plain and streamed."""
    assert client.responses.create(model=model, input="hello").output_text
    events = list(client.responses.create(model=model, input="hello", stream=True))
    assert events[-1].type == "response.completed"


def test_openai_completions_and_embeddings(model: str, provider: Provider, client: openai.OpenAI) -> None:
    """The other two endpoints."""
    assert client.completions.create(model=model, prompt="hello").choices[0].text
    assert client.embeddings.create(model=model, input=["a"]).data[0].embedding


def test_anthropic_messages(claude: str, provider: Provider, messages: anthropic.Anthropic) -> None:
    """A plain message has text and usage; counting tokens works."""
    answer = messages.messages.create(model=claude, max_tokens=50, messages=QUESTION)
    assert answer.content[0].type == "text"
    assert answer.usage.output_tokens > 0
    counted = messages.messages.count_tokens(model=claude, messages=QUESTION)
    assert counted.input_tokens > 0


def test_anthropic_messages_streamed(claude: str, provider: Provider, messages: anthropic.Anthropic) -> None:
    """The SDK's stream helper assembles the message."""
    with messages.messages.stream(model=claude, max_tokens=50, messages=QUESTION) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().stop_reason


def test_lists_of_models(client: openai.OpenAI, messages: anthropic.Anthropic) -> None:
    """Both SDKs list the configured models, and fetch one."""
    assert {"gpt-4o", "claude", "sim"} <= {model.id for model in client.models.list()}
    assert {"gpt-4o", "claude", "sim"} <= {model.id for model in messages.models.list()}
    assert client.models.retrieve("gpt-4o").owned_by == "openai"
    assert client.models.retrieve("openai/anything").id == "openai/anything"
    assert messages.models.retrieve("claude").id == "claude"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


def test_errors_are_the_sdks_own(
    gateway: Gateway, house: House, provider: Provider, client: openai.OpenAI
) -> None:
    """Each refusal is the exception that the SDK has for it, with our code."""
    with (
        openai.OpenAI(base_url=gateway.url + "/v1", api_key="sk-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as wrong,
    ):
        stranger.models.list()
    assert wrong.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nope", messages=QUESTION)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key="sk-wrong", max_retries=0) as other,
        pytest.raises(anthropic.AuthenticationError),
    ):
        other.models.list()
    provider.script("answer", status=429)
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="gpt-4o", messages=QUESTION)


@pytest.mark.parametrize("behaviour", ["cut-mid-event-fin", "cut-mid-event-rst"])
def test_a_cut_stream_raises_in_the_sdk(
    behaviour: str, provider: Provider, client: openai.OpenAI, messages: anthropic.Anthropic
) -> None:
    """A truncated stream is an exception and never a short answer."""
    provider.script(behaviour)
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))
    provider.script(behaviour)
    with pytest.raises(openai.APIError):
        list(client.responses.create(model="gpt-4o", input="hello", stream=True))
    provider.script(behaviour)
    with (
        pytest.raises(anthropic.APIError),
        messages.messages.stream(model="claude", max_tokens=50, messages=QUESTION) as stream,
    ):
        stream.until_done()


def test_a_key_may_be_kept_to_some_models(gateway: Gateway, house: House, provider: Provider) -> None:
    """`--model` globs hold for calls and for the list."""
    made = house.run("keys", "create", "--org", "acme", "--name", "only-sim", "--model", "si*", "--json").json
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=made["key"], max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["sim"]
        assert client.chat.completions.create(model="sim", messages=QUESTION).choices
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert refused.value.code == "model_not_allowed"
    assert provider.seen() == []
