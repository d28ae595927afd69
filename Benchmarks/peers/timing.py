"""The measurement of `wideband bench decode` and its line of JSON, shared by the decoding peers."""

import argparse
import json
import os
import random
import resource
import statistics
import time


def arguments(types):
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    if types:
        a.add_argument("--dtype", choices=types, default=types[0])
    a.add_argument("--prompt", type=int, default=128)
    a.add_argument("--tokens", type=int, default=128)
    a.add_argument("--runs", type=int, default=3)
    a.add_argument("--device", default="cpu")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--show-tokens", action="store_true", help="add the chosen tokens of the last run")
    return a.parse_args()


def measure(o, vocabulary, read, append, weights, **more):
    """`read(ids)` clears the cache, prefills a prompt and returns the greedy next token; `append(token)` adds a token and
    returns the next one. After a warm-up run, `o.runs` runs are timed; prints medians. Peak memory is that of the runs."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass  # The peak then includes loading.
    chooser = random.Random(o.seed)
    prompt = [chooser.randrange(vocabulary) for _ in range(o.prompt)]
    firsts, steps, totals = [], [], []
    for run in range(o.runs + 1):
        count = o.tokens if run else min(o.tokens, 8)
        start = time.perf_counter()
        chosen = [read(prompt)]
        times = [time.perf_counter()]
        first = times[0] - start
        for _ in range(count):
            chosen.append(append(chosen[-1]))
            times.append(time.perf_counter())
        if run:
            firsts.append(first)
            steps += [b - a for a, b in zip(times, times[1:])]
            totals.append((times[-1] - times[0]) / count)
    first = statistics.median(firsts)
    report = {
        "prompt": o.prompt, "tokens": o.tokens, "weights": weights, "threads": o.threads, "prefill_s": first,
        "prefill_tokens_per_s": o.prompt / first, "first_token_s": first, "token_s": statistics.median(steps),
        "tokens_per_s": 1 / statistics.median(totals),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, **more}
    if o.show_tokens:
        report["chosen"] = chosen
    print(json.dumps({k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in report.items()}), flush=True)
