"""The cost of width compared with the plain step: python3 Benchmarks/in_turn.py WIDEBAND ROUNDS -- ARGUMENTS OF BENCH STEP

A machine's speed drifts by more than the differences to be measured. Therefore one process per width runs `bench step`;
they run in turn, a few seconds each in random order, while the others are stopped. A step during which its process was
stopped takes too long, but the median over all steps is not affected. Prints one line of JSON per width and round."""

import argparse
import contextlib
import json
import pathlib
import random
import signal
import subprocess
import time

from table import WIDTHS

TURN = 3.0  # seconds


def main():
    a = argparse.ArgumentParser()
    a.add_argument("wideband")
    a.add_argument("rounds", type=int)
    a.add_argument("arguments", nargs="+")
    o = a.parse_args()
    for _ in range(o.rounds):
        with contextlib.ExitStack() as stack:
            runs = {config: stack.enter_context(started(o.wideband, config, o.arguments)) for config in WIDTHS}
            take_turns(list(runs.values()))
            for config, run in runs.items():
                line = run.stdout.read()
                if run.returncode:
                    raise SystemExit(f"in_turn: bench step of {config} failed")
                print(json.dumps({"config": config, "arm": "in turn"} | json.loads(line)), flush=True)


@contextlib.contextmanager
def started(wideband, config, arguments):
    """A process that is stopped immediately, and killed at the end of the block."""
    path = pathlib.Path(__file__).parent / "configs" / f"{config}.json"
    command = [wideband, "bench", "step", "--json", "--config", path, *arguments]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        run.send_signal(signal.SIGSTOP)
        yield run
    finally:
        run.kill()
        run.wait()


def take_turns(runs):
    while alive := [run for run in runs if run.poll() is None]:
        for run in random.sample(alive, len(alive)):
            run.send_signal(signal.SIGCONT)
            try:
                run.wait(TURN)
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGSTOP)
                time.sleep(0.05)  # Until all of its threads have stopped.


if __name__ == "__main__":
    main()
