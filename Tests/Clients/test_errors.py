"""The exceptions that the `openai` package raises for the server's errors."""

import threading

import openai
import pytest
from openai import OpenAI

QUESTION = [{"role": "user", "content": "In the beginning"}]


def client_of(server, key="none", path="/v1"):
    return OpenAI(base_url=server.url + path, api_key=key, max_retries=0)


@pytest.mark.parametrize(
    "options, parameter, code",
    [
        ({"temperature": -1}, "temperature", None),
        ({"max_tokens": -5}, "max_tokens", None),
        ({"n": 100}, "n", None),
        ({"stop": [""]}, "stop", None),
        ({"messages": []}, "messages", None),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages", None),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, None, "context_length_exceeded"),
        ({"tool_choice": "required"}, "tool_choice", None),
        ({"response_format": {"type": "xml"}}, "response_format", None),
        ({"logit_bias": {"x": 1}}, "logit_bias", None),
        ({"top_logprobs": 2}, "top_logprobs", None),
        ({"extra_body": {"seed": "one"}}, "seed", None),
        ({"extra_body": {"min_tokens": -1}}, "min_tokens", None),
        ({"extra_body": {"add_generation_prompt": False}}, "add_generation_prompt", "unsupported"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported"),
    ],
)
def test_bad_request(plain, options, parameter, code):
    with pytest.raises(openai.BadRequestError) as caught:
        client_of(plain).chat.completions.create(**{"model": "m", "messages": QUESTION} | options)
    error = caught.value
    assert (error.param, error.code, error.type) == (parameter, code, "invalid_request_error")
    assert error.body["message"]


def test_not_found(plain):
    with pytest.raises(openai.NotFoundError):
        client_of(plain, path="/v2").chat.completions.create(model="m", messages=QUESTION)
    with pytest.raises(openai.NotFoundError):
        client_of(plain).embeddings.create(model="m", input="x")


def test_name_that_is_not_this_machine(plain):
    client = OpenAI(base_url=plain.url + "/v1", api_key="none", default_headers={"Host": "a.example"}, max_retries=0)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.models.list()
    assert caught.value.code == "host_not_allowed"


def test_too_large(plain):
    with pytest.raises(openai.APIStatusError) as caught:
        client_of(plain).completions.create(model="m", prompt="x" * (17 << 20))
    assert caught.value.status_code == 413


def test_keys(start, tmp_path):
    (tmp_path / "keys").write_text("first\nsecond\n")
    with start("--api-key-file", tmp_path / "keys") as server:
        for key in ("first", "second"):
            assert client_of(server, key).models.list().data
        for key in ("third", "First"):
            with pytest.raises(openai.AuthenticationError) as caught:
                client_of(server, key).models.list()
            assert caught.value.code == "invalid_api_key"
        assert "first" not in server.log and "third" not in server.log


def test_full_queue(start):
    with start("--parallel", 1, "--queue", 1) as server:
        streams = []
        long = {"model": "m", "messages": QUESTION, "max_tokens": 4000, "stream": True}
        long["extra_body"] = {"ignore_eos": True}
        with pytest.raises(openai.RateLimitError) as caught:
            for _ in range(3):
                streams.append(client_of(server).chat.completions.create(**long))
                next(iter(streams[0]))
        assert (len(streams), caught.value.code) == (2, "queue_full")
        assert caught.value.response.headers["retry-after"] == "1"
        for stream in streams:
            stream.close()
        server.wait_until_idle()
        assert client_of(server).chat.completions.create(model="m", messages=QUESTION, max_tokens=1).choices


def test_stopping(start):
    """A server that stops refuses new requests, and ends the answers that are being written."""
    with start() as server:
        long = {"model": "m", "messages": QUESTION, "max_tokens": 4000, "stream": True}
        stream = client_of(server).chat.completions.create(**long, extra_body={"ignore_eos": True})
        next(iter(stream))
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        with pytest.raises(openai.InternalServerError) as caught:
            while True:
                client_of(server).chat.completions.create(model="m", messages=QUESTION, max_tokens=1)
        assert (caught.value.status_code, caught.value.code) == (503, "stopping")
        assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "length"
        stopping.join()
        assert server.process.returncode == 0
