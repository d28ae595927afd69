"""Requests that are almost right: mutations of valid bodies, of their bytes, and of the requests around them."""

import copy
import json

from connection import post

# A text that the log must not have.
MARK = "Zaphnathpaaneah"

VALID = {
    "/v1/chat/completions": {
        "model": MARK, "messages": [
            {"role": "system", "content": MARK}, {"role": "user", "content": [{"type": "text", "text": MARK}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": MARK, "type": "function", "function": {"name": MARK, "arguments": '{"a": 1}'}}]},
            {"role": "tool", "tool_call_id": MARK, "content": MARK}],
        "tools": [{"type": "function", "function": {"name": MARK, "parameters": {"type": "object"}}}],
        "tool_choice": "auto", "logprobs": True, "top_logprobs": 2, "n": 2, "temperature": 0.5, "top_p": 0.9,
        "max_tokens": 2, "stop": [MARK], "stream": False, "stream_options": {"include_usage": True},
        "response_format": {"type": "json_schema", "json_schema": {"name": MARK, "schema": {
            "type": "object", "properties": {MARK: {"type": ["string", "null"], "minLength": 1, "pattern": "^a+$"},
                                             "b": {"enum": [1, MARK]}, "c": {"$ref": "#/$defs/c"}},
            "$defs": {"c": {"type": "array", "items": {"type": "integer"}, "maxItems": 3}}, "required": [MARK]}}},
        "chat_template_kwargs": {"enable_thinking": False}},
    "/v1/completions": {
        "model": MARK, "prompt": [MARK, "In the"], "max_tokens": 2, "temperature": 1.0, "top_k": 3, "min_p": 0.1,
        "repetition_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": 0.5, "logit_bias": {"5": 1},
        "seed": 3, "n": 1, "echo": True, "logprobs": 1, "stop": MARK, "stream": False, "ignore_eos": False},
    "/tokenize": {"prompt": MARK, "add_special_tokens": True},
    "/detokenize": {"tokens": [1, 2, 3]},
}  # fmt: skip

# Without a closing brace a decoder has to go this deep.
DEEP = ["[" * 100_000, '{"a":' * 50_000, "[" * 500 + "]" * 500]
NUMBERS = ["1e999", "-1e999", "1e-999", "9" * 400, "-9223372036854775809", "18446744073709551616", "-0", "0.1e1", "1.0",
           "NaN", "Infinity", "01", "2147483648", "4294967296", "1e18", "-1", "0"]  # fmt: skip
TEXTS = [
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\\ud83d\\ude00"',
    '"' + MARK * 1000 + '"',
    '""',
    '"\\x"',
    '"\u202e"',
]
VALUES = ["null", "true", "false", "[]", "{}", "[[]]", "[null]", '{"":{}}', *NUMBERS, *TEXTS, *DEEP]
BYTES = [
    b"\x00",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    b'"',
    b"\\",
    b"{",
    b"]",
    b",",
]

HEADERS = [
    "Content-Length: 5", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Content-Encoding: gzip",
    "Expect: 100-continue", "Content-Type: text/plain", "Authorization: Bearer " + MARK, "Authorization: " + MARK,
    f"X-{MARK}: " + "y" * 7000, "Connection: close", "Upgrade: h2c", "Accept: " + MARK, "X-Request-Id: " + MARK,
    "Origin: http://" + MARK, "Cookie: " + MARK, "Host: " + MARK, f"{MARK} : 1", "Range: bytes=0-1",
]  # fmt: skip
# What is no valid HTTP may have no answer.
PROTOCOL = {"bytes", "head", "length", "header"}


def request(source):
    """The name of a mutation, and the bytes of a request."""
    path = source.choice(list(VALID))
    kind = source.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    return kind, KINDS[kind][1](source, path, copy.deepcopy(VALID[path]))


def value(source, path, body):
    """Values in place of others; members and elements that are missing, twice or too many."""
    for _ in range(source.choice([1, 1, 1, 2, 5])):
        places = list(every_place(body))
        if not places:
            break
        container, key = source.choice(places)
        match source.randrange(6):
            case 0 if isinstance(container, list):
                container[key:key] = [container[key]] * source.choice([1, 20, 2000])
            case 1:
                del container[key]
            case 2:
                other, other_key = source.choice(places)
                if isinstance(other, dict) and other_key in other or isinstance(other, list) and other_key < len(other):
                    container[key] = copy.deepcopy(other[other_key])
            case _:
                container[key] = f"\0{source.randrange(len(VALUES))}\0"
    text = json.dumps(body)
    for index, replacement in enumerate(VALUES):
        text = text.replace(f'"\\u0000{index}\\u0000"', replacement)
    return post(path, text.encode())


def every_place(value):
    """Each member and element inside of a value: what has it, and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from every_place(value[key])


def text(source, path, body):
    """Bytes of the JSON text that are changed, missing or added."""
    data = bytearray(json.dumps(body).encode())
    for _ in range(source.choice([1, 1, 2, 8])):
        at = source.randrange(len(data) + 1)
        match source.randrange(4):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + source.randint(1, 10)]
            case 2:
                data[at : at + 1] = source.choice(BYTES)
            case _:
                data[at:at] = source.choice(BYTES)
    return post(path, bytes(data))


def whole(source, path, body):
    """Bodies that are no objects."""
    return post(path, source.choice([b"", b" ", *(other.encode() for other in VALUES), json.dumps([body]).encode()]))


def target(source, path, body):
    """Methods and paths that are not there. The log has a path, without what it asks for."""
    method = source.choice(["GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "QUERY", "POST"])
    path = source.choice([path, path + "/", path + "/../x", "/none", "//", path + "?" + MARK, "/%00%ff%2e%2e/%e2%80%ae",
                          "/v1/models/none", "*", "/" + "x" * 6000, "/health", "/metrics"])  # fmt: skip
    return post(path, body).replace(b"POST", method.encode(), 1)


def header(source, path, body):
    """Headers of all kinds."""
    return post(path, body, *source.choices(HEADERS, k=source.choice([1, 1, 2, 5])))


def length(source, path, body):
    """Lengths that are not the body's."""
    data = json.dumps(body).encode()
    wrong = source.choice(
        ["0", "-1", "x", str(len(data) - 1), str(len(data) // 2), "99999999999999999999", "1e3", "+5", ""]
    )
    return post(path, data).replace(f"Length: {len(data)}".encode(), f"Length: {wrong}".encode(), 1)


def head(source, path, body):
    """Bytes of the head that are changed."""
    data = bytearray(post(path, body))
    end = data.index(b"\r\n\r\n")
    for _ in range(source.choice([1, 2, 5])):
        at = source.randrange(end)
        data[at : at + 1] = source.choice([*BYTES, b"\r\n", b"\n", b" ", b":", b"", b"p"])
    return bytes(data) + b"\r\n\r\n"


def raw(source, path, body):
    """No HTTP at all."""
    return source.choice([source.randbytes(100), b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                          b"GET\r\n\r\n", b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n"])  # fmt: skip


KINDS = {
    "value": (60, value), "text": (20, text), "whole": (4, whole), "target": (4, target), "header": (4, header),
    "length": (3, length), "head": (3, head), "bytes": (2, raw),
}  # fmt: skip
