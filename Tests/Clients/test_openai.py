"""The `openai` package as a client, with a server that decodes one token after another and one with cycles."""

import asyncio
import json
import re
from typing import Literal

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

QUESTION = [{"role": "user", "content": "In the beginning"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}


@pytest.fixture(scope="module", params=["plain", "cycles"])
def server(request, plain, start):
    if request.param == "plain":
        yield plain
    else:
        with start("--parallel", 4, "--cycle", 4) as server:
            yield server
            assert server.is_alive


@pytest.fixture
def client(server):
    with OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def chat(client, messages=QUESTION, seed=1, max_tokens=24, **options):
    return client.chat.completions.create(model="m", messages=messages, seed=seed, max_tokens=max_tokens, **options)


def complete(client, prompt="In the beginning", seed=1, max_tokens=24, **options):
    return client.completions.create(model="m", prompt=prompt, seed=seed, max_tokens=max_tokens, **options)


def joined(chunks):
    """The contents of a stream by choice, and its usage."""
    texts, reasons, usage = {}, {}, None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            assert choice.index not in reasons, "text after the end of a choice"
            text = choice.text if hasattr(choice, "text") else choice.delta.content
            texts[choice.index] = texts.get(choice.index, "") + (text or "")
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    return texts, reasons, usage


def test_models(client):
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("model", "model", "wideband")
    assert client.models.retrieve(model.id) == model


@pytest.mark.parametrize("options", [{}, {"n": 3}, {"temperature": 0}, {"stop": ["e"]}, {"max_tokens": 1}])
@pytest.mark.parametrize("create", [chat, complete])
def test_stream_equals_whole(client, create, options):
    whole = create(client, **options)
    texts, reasons, usage = joined(create(client, stream=True, stream_options={"include_usage": True}, **options))
    whole_texts = [c.text if hasattr(c, "text") else c.message.content for c in whole.choices]
    assert [texts[i] for i in range(len(texts))] == whole_texts
    assert [reasons[i] for i in range(len(texts))] == [c.finish_reason for c in whole.choices]
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert [getattr(usage, count) for count in counts] == [getattr(whole.usage, count) for count in counts]


def test_usage(client):
    usage = complete(client, [5, 6, 7], max_tokens=9, extra_body={"ignore_eos": True}).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 9, 12)
    assert all(chunk.usage is None for chunk in complete(client, stream=True))


def test_seed(client):
    answers = [chat(client, seed=seed).choices[0].message.content for seed in (7, 7, 8)]
    assert answers[0] == answers[1] != answers[2]


def test_n(client):
    choices = chat(client, n=4, temperature=1.5).choices
    assert [choice.index for choice in choices] == [0, 1, 2, 3]
    assert len({choice.message.content for choice in choices}) == 4
    # Choices have consecutive seeds.
    assert chat(client, seed=3, temperature=1.5).choices[0].message.content == choices[2].message.content


def test_stop(client):
    text = complete(client, max_tokens=200, extra_body={"ignore_eos": True}).choices[0].text
    stop = re.search(r"[a-z]{2}", text[20:])[0]
    choice = complete(client, max_tokens=200, stop=[stop, "\0"], extra_body={"ignore_eos": True}).choices[0]
    assert (choice.text, choice.finish_reason) == (text[: text.index(stop)], "stop")


def test_chat_logprobs(client):
    content = chat(client, logprobs=True, top_logprobs=3, temperature=0).choices[0].logprobs.content
    for token in content:
        top = token.top_logprobs
        assert len(top) == 3 and top[0].logprob >= top[1].logprob >= top[2].logprob
        assert token.logprob == pytest.approx(top[0].logprob) and token.logprob <= 0
    streamed = chat(client, logprobs=True, top_logprobs=3, temperature=0, stream=True)
    parts = [p for c in streamed for p in (c.choices[0].logprobs.content or [])]
    assert parts == content
    assert chat(client).choices[0].logprobs is None


def test_completion_logprobs(client):
    choice = complete(client, logprobs=2).choices[0]
    report = choice.logprobs
    assert len(report.tokens) == len(report.token_logprobs) == len(report.top_logprobs) == len(report.text_offset)
    for token, logprob, top in zip(report.tokens, report.token_logprobs, report.top_logprobs):
        assert top[token] >= logprob and 1 <= len(top) <= 3
    assert report.text_offset[0] == 0 and report.text_offset == sorted(report.text_offset)


def test_echo(client):
    prompt = "In the beginning God"
    choice = complete(client, prompt, echo=True, logprobs=1, max_tokens=3).choices[0]
    alone = complete(client, prompt, logprobs=1, max_tokens=3).choices[0]
    assert choice.text == prompt + alone.text
    report = choice.logprobs
    assert report.token_logprobs[0] is None and report.top_logprobs[0] is None
    assert report.tokens[-len(alone.logprobs.tokens) :] == alone.logprobs.tokens
    assert report.token_logprobs[-len(alone.logprobs.tokens) :] == pytest.approx(alone.logprobs.token_logprobs)
    assert "".join(report.tokens[: -len(alone.logprobs.tokens)]) == prompt
    score = complete(client, prompt, echo=True, logprobs=1, max_tokens=0)
    assert score.choices[0].text == prompt and score.usage.completion_tokens == 0
    assert score.choices[0].logprobs.token_logprobs[1:] == pytest.approx(
        report.token_logprobs[1 : -len(alone.logprobs.tokens)]
    )


def test_prompts(client):
    def tokens(text):
        return client.post("/../tokenize", body={"prompt": text}, cast_to=object)["tokens"]

    texts = ["In the beginning", "And the earth was"]
    alone = [complete(client, text).choices[0].text for text in texts]
    for prompt in (texts, [tokens(text) for text in texts]):
        assert [choice.text for choice in complete(client, prompt).choices] == alone
    assert complete(client, tokens(texts[0])).choices[0].text == alone[0]
    several = complete(client, texts, n=2)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    assert [several.choices[0].text, several.choices[2].text] == alone


def test_logit_bias(client):
    options = {"temperature": 0, "max_tokens": 4, "extra_body": {"ignore_eos": True}}
    (token,) = client.post("/../tokenize", body={"prompt": "e"}, cast_to=object)["tokens"]
    assert complete(client, logit_bias={str(token): 100}, **options).choices[0].text == "eeee"
    free = complete(client, logprobs=0, **options).choices[0].logprobs.tokens
    assert "e" not in free


def test_json(client):
    whole = chat(client, max_tokens=300, response_format={"type": "json_object"}).choices[0]
    if whole.finish_reason == "stop":
        assert isinstance(json.loads(whole.message.content), dict)
    assert whole.message.content.startswith("{")


def test_json_schema(client):
    # Random weights end no text by themselves: each seed has its chance.
    ended = 0
    schema = {"type": "object", "properties": {"kind": {"enum": ["light", "dark"]}, "good": {"type": "boolean"}}}
    schema |= {"required": ["kind", "good"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "day", "schema": schema, "strict": True}}
    for seed in range(8):
        choice = chat(client, seed=seed, max_tokens=400, response_format=form).choices[0]
        if choice.finish_reason == "stop":
            day = json.loads(choice.message.content)
            assert set(day) == {"kind", "good"} and day["kind"] in ("light", "dark") and day["good"] in (True, False)
            ended += 1
    assert ended


class Day(BaseModel):
    name: str = Field(max_length=8)
    kinds: list[Literal["light", "dark"]] = Field(max_length=3)
    good: bool | None


def test_parse(client):
    answer = client.chat.completions.parse(model="m", messages=QUESTION, response_format=Day, seed=3, max_tokens=600)
    assert isinstance(answer.choices[0].message.parsed, Day)


def test_tools(client):
    answer = chat(client, tools=[WEATHER], tool_choice="auto")
    assert answer.choices[0].finish_reason in ("length", "stop", "tool_calls")
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Rome"}'}}
    turns = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    turns += [{"role": "tool", "tool_call_id": "1", "content": "sunny"}]
    after = chat(client, QUESTION + turns, tools=[WEATHER], tool_choice="none")
    assert after.choices[0].message.tool_calls is None
    texts, _, _ = joined(chat(client, QUESTION + turns, tools=[WEATHER], stream=True))
    assert texts[0] == (chat(client, QUESTION + turns, tools=[WEATHER]).choices[0].message.content or "")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_required_tool(client, choice):
    answer = chat(client, tools=[WEATHER], tool_choice=choice, seed=1, max_tokens=600)
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "weather"
    assert isinstance(json.loads(call.function.arguments)["place"], str)
    chunks = list(chat(client, tools=[WEATHER], tool_choice=choice, seed=1, max_tokens=600, stream=True))
    first, *rest = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert (first.index, first.type, first.function.name, first.function.arguments) == (0, "function", "weather", "")
    assert first.id and len(rest) > 1 and not any(part.id or part.function.name for part in rest)
    assert "".join(part.function.arguments for part in rest) == call.function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    with client.chat.completions.stream(
        model="m", messages=QUESTION, tools=[WEATHER], tool_choice=choice, seed=1, max_tokens=600
    ) as stream:
        (gathered,) = stream.get_final_completion().choices[0].message.tool_calls
    assert gathered.function.name == "weather" and gathered.function.arguments == call.function.arguments


def test_many_at_once(server):
    async def ask():
        async with AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(chat(client, seed=seed % 8) for seed in range(48)))

    answers = [answer.choices[0].message.content for answer in asyncio.run(ask())]
    with OpenAI(base_url=server.url + "/v1", api_key="none") as client:
        assert answers == [chat(client, seed=seed).choices[0].message.content for seed in range(8)] * 6


def test_cancellation(server, client):
    before = server.metrics['wideband_sequences_ended_total{reason="cancelled"}']
    stream = chat(client, max_tokens=4000, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    server.wait_until_idle()
    assert server.metrics['wideband_sequences_ended_total{reason="cancelled"}'] == before + 1
