"""Loads that a server has to bear (scripts/stress-server).

Each prints what it measured, and raises an error for what must not be.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import tempfile
import time
from pathlib import Path

import mutations
from connection import CutShort, ask, events, exchange, post
from server import Server, make_model

PROMPTS = ["In the beginning", "And the earth was", "Let there be light", "God saw that"]
# Memory that allocators keep after a load, in MiB.
SLACK = 64


def say(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def request(seed, tokens):
    """A seeded request with as many tokens."""
    prompt = PROMPTS[seed % len(PROMPTS)]
    return {"prompt": prompt, "seed": seed, "max_tokens": tokens, "ignore_eos": True}


async def streamed(port, path, body, seconds=None, parts=None):
    """The text of a stream; None for one that is cut off after some seconds, or after some parts."""

    async def read():
        texts = []
        async with exchange(port, post(path, body | {"stream": True})) as answer:
            assert answer.status == 200, answer.status
            async for event in events(answer):
                for choice in event["choices"]:
                    texts.append(choice.get("text") or choice.get("delta", {}).get("content") or "")
                if len(texts) == parts:
                    return None
        return "".join(texts)

    try:
        return await asyncio.wait_for(read(), seconds)
    except TimeoutError:
        return None


async def streams(server, count=1000, kinds=40, tokens=200):
    """Many streams at once, half of which are cut off. The others are what the same request has alone."""
    alone = [await ask(server.port, "/v1/completions", request(seed, tokens)) for seed in range(kinds)]
    alone = [answer["choices"][0]["text"] for _, answer in alone]
    # Memory of connections is there after a first round.
    await asyncio.gather(*(streamed(server.port, "/v1/completions", request(1, 1)) for _ in range(count)))
    before, start = server.resident_megabytes, time.monotonic()
    peak = before
    # Half are cut off: some after a while, wherever they are then, others after some parts.
    cuts = [random.choice([{"seconds": random.uniform(0, count / 100)}, {"parts": random.randint(1, tokens // 4)}])
            if number % 2 else {} for number in range(count)]  # fmt: skip
    tasks = [
        asyncio.create_task(streamed(server.port, "/v1/completions", request(number // 2 % kinds, tokens), **cut))
        for number, cut in enumerate(cuts)
    ]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.2)
        peak = max(peak, server.resident_megabytes)
    texts = await asyncio.gather(*tasks)
    await asyncio.to_thread(server.wait_until_idle)
    after = server.resident_megabytes
    cut = sum(text is None for text in texts)
    wrong = sum(text is not None and text != alone[number // 2 % kinds] for number, text in enumerate(texts))
    say(f"{count} streams of {tokens} tokens in {time.monotonic() - start:.0f} s: {cut} cut off, {wrong} wrong")
    say(f"resident memory: {before:.0f} MiB before, {peak:.0f} at most, {after:.0f} after")
    assert wrong == 0 and server.active == 0 and after < before + SLACK
    assert not any(text is None for text in texts[::2])


async def malformed(server, count=100_000, seed=1, connections=8):
    """Mutations of valid requests: each has an answer of 200 or 4xx in JSON, and nothing of them is in the log."""
    source = random.Random(seed)
    statuses, faults, start, before = {}, [], time.monotonic(), server.resident_megabytes
    remaining = iter(range(count))

    async def send():
        for number in remaining:
            name, data = mutations.request(source)
            status = "closed"
            try:
                async with asyncio.timeout(60):
                    async with exchange(server.port, data, ends=name in mutations.PROTOCOL) as answer:
                        body, status = await answer.body(), answer.status
                        if status >= 500:
                            faults.append((name, data, body))
                        elif status >= 400:
                            error = json.loads(body)["error"]
                            assert set(error) == {"message", "type", "param", "code"}, error
            except (CutShort, ConnectionError, IndexError):
                if name not in mutations.PROTOCOL:
                    faults.append((name, data, b"no answer"))
            except (TimeoutError, ValueError, KeyError, AssertionError) as error:
                faults.append((name, data, repr(error).encode()))
            statuses[status] = statuses.get(status, 0) + 1
            if number % 10_000 == 9_999:
                say(f"{number + 1} requests, {len(faults)} faults, {server.resident_megabytes:.0f} MiB")

    await asyncio.gather(*(send() for _ in range(connections)))
    for name, data, body in faults[:20]:
        say(f"fault: {name}: {data[:400]!r} -> {body[:200]!r}")
    await asyncio.to_thread(server.wait_until_idle)
    seconds = time.monotonic() - start
    say(f"{count} requests in {seconds:.0f} s, by status: {statuses}; {len(faults)} faults")
    say(f"resident memory: {before:.0f} MiB before, {server.resident_megabytes:.0f} after")
    assert not faults and server.is_alive
    assert mutations.MARK not in server.log, "text of a request is in the log"


def mixed_requests(seed, source):
    """A request of any kind: its path and its body."""
    messages = [{"role": "user", "content": source.choice(PROMPTS) * source.randint(1, 40)}]
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    sampled = {"seed": seed, "max_tokens": source.randint(1, 300)}
    prompt = source.choice(PROMPTS) * source.randint(1, 60)
    return source.choice([
        ("/v1/chat/completions", {"messages": messages} | sampled),
        ("/v1/chat/completions", {"messages": messages, "n": 3, "logprobs": True, "top_logprobs": 5} | sampled),
        ("/v1/chat/completions", {"messages": messages, "response_format": form} | sampled),
        ("/v1/completions", {"prompt": [prompt, "And"], "stop": ["the"]} | sampled),
        ("/v1/completions", {"prompt": prompt, "echo": True, "logprobs": 2} | sampled | {"max_tokens": 0}),
        ("/tokenize", {"prompt": prompt}),
    ])  # fmt: skip


async def mixed(server, minutes=5.0, clients=12, seed=1):
    """Clients with requests of all kinds, a third of which go away early; memory does not grow with time."""
    source, end, done = random.Random(seed), time.monotonic() + 60 * minutes, [0, 0]
    memory = []

    async def client():
        while time.monotonic() < end:
            path, body = mixed_requests(done[0], source)
            done[0] += 1
            cut = source.uniform(0, 0.3) if source.random() < 0.3 else None
            if source.random() < 0.5 and path != "/tokenize":
                if await streamed(server.port, path, body, cut) is None:
                    done[1] += 1
                continue
            try:
                status, answer = await asyncio.wait_for(ask(server.port, path, body), cut)
                assert status == 200, answer
            except TimeoutError:
                done[1] += 1

    async def watch():
        while time.monotonic() < end:
            await asyncio.sleep(max(0.5, 60 * minutes / 20))
            memory.append(server.resident_megabytes)
            say(f"{done[0]} requests, {done[1]} cut off, {memory[-1]:.0f} MiB")

    await asyncio.gather(watch(), *(client() for _ in range(clients)))
    await asyncio.to_thread(server.wait_until_idle)
    # The prefix cache fills in the first half.
    growth = memory[-1] - memory[len(memory) // 2]
    say(f"{done[0]} requests; resident memory grew by {growth:.1f} MiB in the second half")
    assert server.is_alive and growth < SLACK
    assert "internal_error" not in server.log


async def killed(server):
    """kill -9 while answers are streamed: clients see an error, and a new process serves on the same port."""
    bodies = [request(seed, 4000) for seed in range(16)]
    tasks = [asyncio.create_task(streamed(server.port, "/v1/completions", body)) for body in bodies]
    await asyncio.to_thread(server.wait_until, lambda: server.active == len(bodies))
    await asyncio.sleep(0.2)
    server.kill()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, CutShort | ConnectionError), outcome
    start = time.monotonic()
    server.start()
    status, _ = await ask(server.port, "/v1/completions", request(1, 4))
    assert status == 200
    say(
        f"killed: {len(tasks)} streams ended with an error; the port served again after {time.monotonic() - start:.1f} s"
    )


LOADS = {"streams": streams, "malformed": malformed, "mixed": mixed, "killed": killed}
# With a small prefix cache memory is flat soon.
OPTIONS = {
    "streams": ["--parallel", 8, "--queue", 2000],
    "malformed": ["--parallel", 8, "--prefix-cache", "20MB"],
    "mixed": ["--parallel", 8, "--prefix-cache", "20MB"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, metavar="NUMBER", help="0 for none")
    parser.add_argument("--malformed", type=int, default=100_000, metavar="NUMBER", help="0 for none")
    parser.add_argument("--minutes", type=float, default=5, metavar="NUMBER", help="minutes of mixed load; 0 for none")
    parser.add_argument("--seed", type=int, default=1, metavar="NUMBER")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    program = os.environ["WIDEBAND"]
    loads = [("streams", {"count": arguments.streams}), ("malformed", {"count": arguments.malformed}),
             ("mixed", {"minutes": arguments.minutes}), ("killed", {})]  # fmt: skip
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = make_model(program, folder)
        for name, options in loads:
            if 0 in options.values():
                continue
            say(name)
            with Server(program, model, folder / f"{name}.log", *OPTIONS.get(name, [])) as server:
                asyncio.run(LOADS[name](server, **options))


if __name__ == "__main__":
    main()
