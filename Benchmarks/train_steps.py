"""Seconds and loss of each step of a training run: python3 Benchmarks/train_steps.py RUN

Prints one JSON line. metrics.jsonl has the speed over the last 20 steps, from which those of each of the first 20 follow:
a run must not be longer.
"""

import json
import pathlib
import re
import sys

WINDOW = 20  # steps


def main():
    run = pathlib.Path(sys.argv[1])
    metrics = [json.loads(line) for line in open(run / "metrics.jsonl")]
    if len(metrics) > WINDOW:
        raise SystemExit(f"train_steps: {run} has {len(metrics)} steps: expected at most {WINDOW}")
    tokens = int(re.search(r"tokens_per_step: (\d+)", (run / "recipe.yaml").read_text()).group(1))
    ends = [0.0] + [line["step"] * tokens / line["tokens_per_second"] for line in metrics]
    print(json.dumps({"seconds": [end - start for start, end in zip(ends[:-1], ends[1:], strict=True)],
                      "losses": [line["train/total"] for line in metrics]}))


if __name__ == "__main__":
    main()
