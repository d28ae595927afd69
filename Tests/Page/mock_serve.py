"""A stand-in for `wideband serve`, for tests of its page: mock_serve.py PORT.

It serves the page and answers as the question says: "slow", "cut", "401" and the like are the names in ANSWERS and
STATUSES; anything else is repeated.
"""

import json
import math
import mimetypes
import random
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "Sources/Server/Page"
KEY = "secret"

MARKDOWN = """# Widths

The **wide** state has `m` times the width, <b>not bold</b> & <img src=x onerror=alert(1)>.
The same paragraph goes on.

1. First, with code:
   ```swift
   let width = 4 * 1024  // a long line that has to scroll: read, carry and write are coefficients of a connection
   ```
2. Second
   - nested **one**
   - nested two

- a
- b

```html
<script>alert("no")</script>
```

The end."""

UNICODE = "Grüße, 世界! 👩‍👩‍👧‍👦 ¾ ✓ — Ω"

STATUSES = {
    "401": (401, {}, "the API key is wrong"),
    "429": (429, {"Retry-After": "7"}, "the queue is full: 64 requests wait"),
    "503": (503, {"Retry-After": "30"}, "the server is stopping"),
    "400": (400, {}, "temperature is 9: expected 0 to 2"),
}


def text_chunks(text, size=6):
    return [{"content": text[start : start + size]} for start in range(0, len(text), size)]


def tool_chunks():
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces = ['{"city": ', '"Zürich", ', '"days": 3}']
    return [{"tool_calls": [call]}] + [
        {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces
    ]


def answer(question):
    """The deltas of an answer, the seconds before each, and what ends it."""
    name = question.strip().lower()
    if name == "markdown":
        return text_chunks(MARKDOWN), 0.002, "stop"
    if name == "unicode":
        return text_chunks(UNICODE, 1), 0.001, "stop"
    if name == "think":
        thoughts = [{"reasoning_content": word + " "} for word in "Let me see. It asks for a thought.".split()]
        return thoughts + text_chunks("Here is the answer."), 0.06, "stop"
    if name == "tools":
        return tool_chunks(), 0.02, "tool_calls"
    if name == "slow":
        return [{"content": f"word{index} "} for index in range(400)], 0.1, "stop"
    if name == "long":
        return text_chunks("All that is here is a sentence of some length, and then one more. " * 60), 0.002, "length"
    if name == "error":
        return text_chunks("This begins well"), 0.02, "error"
    if name == "cut":
        return text_chunks("This begins well"), 0.02, "cut"
    return text_chunks(f"You said: {question}"), 0.02, "stop"


class Engine:
    """Invented counters that move as those of a busy engine."""

    start = time.monotonic()
    cycle = 4
    drafted_tokens = 0

    @classmethod
    def statistics(cls):
        seconds = time.monotonic() - cls.start
        rng = random.Random(int(seconds))
        phases = [rng.randint(0, 2) for _ in range(cls.cycle or 1)]
        aligning = rng.randint(0, 1)
        generated = int(220 * seconds + 90 * math.sin(seconds))
        return {
            "model": "qwen3-1.7b-wide-int4",
            "parallel": 8,
            "queue": 64,
            "cycle": cls.cycle,
            "waiting": rng.randint(0, 5),
            "prefilling": rng.randint(0, 1),
            "running": sum(phases) + aligning,
            "phases": phases,
            "cache_positions": 9000 + rng.randint(0, 3000),
            "cache_capacity": 32768,
            "prefix_cache_bytes": 700_000_000,
            "prefix_queried_tokens": 90000,
            "prefix_hit_tokens": 61000,
            "prompt_tokens": 40000 + int(seconds // 3) * 1900,
            "generated_tokens": 120000 + generated,
            "decode_steps": 40000 + int(60 * seconds),
            "decoded_sequences": 120000 + generated,
            "alignment_steps": 9000,
            "drafted_tokens": cls.drafted_tokens,
            "accepted_tokens": cls.drafted_tokens * 3 // 4,
            "stopped": 312,
            "reached_length": 21,
            "cancelled": 4,
            "failed": 0,
            "prefill_seconds": 21.5,
            "decode_seconds": 560.0 + seconds,
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    requests = []
    needs_key = False

    def log_message(self, *_):
        pass

    def reply(self, status, content, kind="application/json", headers=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, headers, message):
        self.reply(status, {"error": {"message": message, "type": "error", "code": None}}, headers=headers)

    def authorized(self):
        return not Handler.needs_key or self.headers.get("Authorization") == f"Bearer {KEY}"

    def do_GET(self):
        if self.path == "/mock/requests":
            return self.reply(200, Handler.requests)
        if self.path in ("/mock/key/on", "/mock/key/off"):
            Handler.needs_key = self.path.endswith("on")
            return self.reply(200, {})
        if self.path in ("/mock/drafts/on", "/mock/drafts/off"):
            drafts = self.path.endswith("on")
            Engine.cycle, Engine.drafted_tokens = (None, 800) if drafts else (4, 0)
            return self.reply(200, {})
        name = "index.html" if self.path == "/" else self.path.removeprefix("/page/")
        if name in {file.name for file in PAGE.iterdir()}:
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            return self.reply(200, (PAGE / name).read_bytes(), f"{kind}; charset=utf-8")
        if self.path in ("/engine", "/v1/models"):
            if not self.authorized():
                return self.refuse(*STATUSES["401"])
            models = {"object": "list", "data": [{"id": "qwen3-1.7b-wide-int4", "object": "model"}]}
            return self.reply(200, Engine.statistics() if self.path == "/engine" else models)
        self.refuse(404, {}, f"{self.path}: there is no such path")

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Handler.requests.append(request)
        question = request["messages"][-1]["content"]
        status = question.strip() if question.strip() in STATUSES else None
        if status or not self.authorized():
            return self.refuse(*STATUSES[status or "401"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.stream(question, request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def stream(self, question, request):
        deltas, pause, end = answer(question)
        scattered = question.strip().lower() == "unicode"
        self.send(": keep-alive\n\n", scattered)
        self.event({"delta": {"role": "assistant", "content": ""}}, scattered)
        for delta in deltas:
            time.sleep(pause)
            self.event({"delta": delta}, scattered)
        if end == "error":
            return self.end(
                'data: {"error": {"message": "a kernel failed: out of memory", "type": "server_error"}}\n\n'
            )
        if end == "cut":
            self.close_connection = True
            time.sleep(0.5)  # a page loses what it has not read when the connection breaks
            return self.connection.shutdown(2)
        self.event({"delta": {}, "finish_reason": end}, scattered)
        if request.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": 96, "completion_tokens": len(deltas), "total_tokens": 96 + len(deltas)}
            usage["prompt_tokens_details"] = {"cached_tokens": 64}
            self.send(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n", scattered)
        self.end("data: [DONE]\n\n")

    def event(self, choice, scattered):
        chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "finish_reason": None, **choice}]}
        text = f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        self.send(text, scattered)

    def send(self, text, scattered):
        pieces = [text.encode()]
        if scattered:  # chunks end within characters and line ends, with a pause so that they arrive one by one
            pieces = re.findall(rb"[^\r\x80-\xff]*[\r\x80-\xff]|.+", text.replace("\n", "\r\n").encode(), re.DOTALL)
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
            time.sleep(0.01 if scattered else 0)

    def end(self, text):
        self.send(text, False)
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a page that was left
            super().handle_error(request, client_address)


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
