"""Load on a server: clients that each ask for one answer after the other.

    python3 Benchmarks/serve_load.py http://127.0.0.1:8080 --clients 4 --api openai

Every request has a random prompt of token ids, so no prefix cache helps, and a fixed number of tokens to generate. Prints
one line of JSON: tokens generated per second by all clients together, from the first request to the last token; the median
and the longest time to the first token; the longest gap between two parts of a stream. With `--late N` each of N further
requests comes, one after the other, while those of the clients are decoded, and the times to a first token are theirs.
`--api llama` is llama.cpp's own endpoint, whose prompts may be token ids as well. Python's standard library alone is
needed.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from urllib.parse import urlparse


def body(o, prompt, tokens):
    common = {"prompt": prompt, "stream": True, "ignore_eos": True, "temperature": 0}
    if o.api == "llama":
        return "/completion", common | {"n_predict": tokens, "cache_prompt": False}
    return "/v1/completions", common | {"max_tokens": tokens, "stream_options": {"include_usage": True}}


def generated(api, event):
    """The number of tokens that the last event of a stream counts; None for another event."""
    if api == "llama":
        return event["tokens_predicted"] if event.get("stop") else None
    return event["usage"]["completion_tokens"] if event.get("usage") else None


async def request(o, prompt, tokens, started=None):
    """Seconds to the first part with text, the longest gap after it, and the number of tokens."""
    address = urlparse(o.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    path, fields = body(o, prompt, tokens)
    content = json.dumps(fields).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    start = time.perf_counter()
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content)
    first, last, gap, count = None, start, 0.0, None
    while line := await reader.readline():
        if line.startswith(b"HTTP/1.1") and b" 200 " not in line:
            raise SystemExit(f"serve_load: {line.decode().strip()}: {(await reader.read()).decode()[-300:]}")
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        count = generated(o.api, event) or count
        # The first event of some servers is empty.
        choice = event["choices"][0] if event.get("choices") else event
        if not (choice.get("text") or choice.get("content")):
            continue
        now = time.perf_counter()
        if first is None:
            first = now - start
            if started is not None:
                started.append(first)
        else:
            gap = max(gap, now - last)
        last = now
    writer.close()
    if count is None or first is None:
        raise SystemExit("serve_load: a stream ended early")
    return first, gap, count


async def run(o):
    numbers = random.Random(o.seed)
    waits, late_waits, gaps, counts, started = [], [], [], [], []

    def random_prompt():
        return [numbers.randrange(o.vocabulary) for _ in range(o.prompt)]

    async def client():
        for _ in range(o.requests):
            first, gap, count = await request(o, random_prompt(), o.tokens, started)
            waits.append(first)
            gaps.append(gap)
            counts.append(count)

    async def late():
        # Until all prompts have been processed.
        while len(started) < o.clients:
            await asyncio.sleep(0.05)
        for _ in range(o.late):
            first, _, _ = await request(o, random_prompt(), 2)
            late_waits.append(first)

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(o.clients)), *([late()] if o.late else []))
    seconds = time.perf_counter() - start
    waits = late_waits or waits
    return {
        "kind": o.kind,
        "clients": o.clients,
        "tokens_per_second": round(sum(counts) / seconds, 2),
        "first_token": round(statistics.median(waits), 4),
        "longest_first_token": round(max(waits), 4),
        "longest_gap": round(max(gaps), 4),
    }


def main():
    a = argparse.ArgumentParser()
    a.add_argument("url")
    a.add_argument("--api", choices=["openai", "llama"], default="openai")
    a.add_argument("--clients", type=int, default=1)
    a.add_argument("--requests", type=int, default=2, help="of each client")
    a.add_argument("--prompt", type=int, default=128, help="tokens")
    a.add_argument("--tokens", type=int, default=128, help="to generate")
    a.add_argument("--late", type=int, default=0, help="requests in addition to those of the clients")
    a.add_argument("--kind", default="load", help="a name for the result")
    a.add_argument("--vocabulary", type=int, default=150_000)
    a.add_argument("--seed", type=int, default=0)
    o = a.parse_args()
    print(json.dumps(asyncio.run(run(o))))


if __name__ == "__main__":
    main()
