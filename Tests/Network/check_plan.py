"""Compares `wideband plan` with steps of two machines (scripts/check-plan)."""

import argparse
import json
import re
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import network
from ranks import GOLDEN, TIMEOUT, Rank, Run, make_data, program, settings, wideband

RECIPE = GOLDEN / "plain.yaml"
# 2.5 million weights, of which gradients and weights take a second at 100 Mb/s, and a step that computes as long as
# that of the exchange at 1 Gb/s or longer. A step has a batch for each of two ranks.
SHAPE = {"model.hidden_size": 256, "model.num_hidden_layers": 3, "model.num_attention_heads": 4,
         "model.num_key_value_heads": 4, "model.head_dim": 64, "model.intermediate_size": 704,
         "training.sequence_length": 64, "training.rows_per_batch": 8, "validation.interval": 1000,
         "checkpoint.interval": 1000}  # fmt: skip
TOKENS = 512
# The metrics have the mean of the last 20 steps: of the first 20 follows the time of each. The first ones are slower.
STEPS, WARM_UP = 20, 4
# The line rates: of tc, and of the link without a limit, which is measured.
RATES = [("100 Mb/s", "100mbit", 100), ("1 Gb/s", "1000mbit", 1000), ("no limit", None, None)]

SERVER = """import socket, time
server = socket.create_server(("0.0.0.0", 5000)); print("ready", flush=True)
link, _ = server.accept(); count = len(link.recv(1 << 20)); start = time.monotonic()
while part := link.recv(1 << 20): count += len(part)
print(count * 8e-6 / (time.monotonic() - start))"""
CLIENT = """import socket
link = socket.create_connection(("node-a", 5000)); part = bytes(1 << 20)
for _ in range(1000): link.sendall(part)"""


def step_seconds(folder):
    """The median time of a step."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    tokens = {line["step"]: line["tokens_per_second"] for line in lines}
    return tokens_to_seconds([tokens[step] for step in range(1, STEPS + 1)], folder)


def tokens_to_seconds(rates, folder):
    of_step = int(re.search(r"tokens_per_step: (\d+)", (folder / "recipe.yaml").read_text()).group(1))
    sums = [0.0] + [step * of_step / rate for step, rate in enumerate(rates, 1)]
    return statistics.median(after - before for before, after in zip(sums[WARM_UP:], sums[WARM_UP + 1 :]))


class Measurement:
    """Steps of the same model on two machines of a network."""

    def __init__(self, folder):
        self.folder, self.data, self.count = folder, make_data(folder, 0.2), 0

    def train(self, hosts, together, tokens):
        """The seconds of a step of two ranks, or the mean of two runs that do not know each other."""
        self.count += 1
        ranks, folders = [], []
        master = f"node-a:{Run.port + self.count}"
        for number, host in enumerate(hosts):
            folders.append(self.folder / (f"run-{self.count}" if together else f"run-{self.count}-{number}"))
            command = [program(), "train", "--recipe", RECIPE, "--data", self.data, "--output", folders[-1],
                       *settings(SHAPE | {"training.steps": STEPS, "training.tokens_per_step": tokens})]  # fmt: skip
            if together:
                command += ["--rank", number, "--world-size", len(hosts), "--master", master, "--timeout", 5 * TIMEOUT]
            ranks.append(Rank(host, number, command, self.folder / f"log-{self.count}-{number}"))
        try:
            for rank in ranks:
                assert rank.wait(300) == 0, rank.output[-400:]
        finally:
            for rank in ranks:
                rank.process.kill()
        return statistics.mean(step_seconds(folder) for folder in dict.fromkeys(folders))

    def line_rate(self, hosts):
        """The Mb/s of one TCP connection."""
        server = hosts[0].start([sys.executable, "-c", SERVER], stdout=-1)
        server.stdout.readline()
        hosts[1].start([sys.executable, "-c", CLIENT]).wait()
        return float(server.communicate()[0])


def plan(alone, megabits, *options):
    """The report of plan for a rank that alone takes so many seconds a step: its rows, and the column's number."""
    arguments = ["plan", "--recipe", RECIPE, *settings(SHAPE | {"training.tokens_per_step": 2 * TOKENS, "model.vocab_size": 384}),
                 "--device", "cpu", "--nodes", 2, "--bandwidth", f"{megabits:.0f}Mb/s", *options]  # fmt: skip

    def report(speed):
        return wideband(*arguments, "--peak", f"{speed:.4f}GFLOP/s", "--utilization", 1)

    # The arithmetic of a token is plan's own count; so the speed is what the rank alone reaches of it.
    operations = float(re.search(r"([\d.]+) MFLOP/token", report(1)).group(1)) * 1e6
    text = report(TOKENS * operations / alone / 1e9)
    rows = {row: re.findall(r"[\d.]+", text.split(f"\n{row} ")[-1].split("\n")[0]) for row in ("compute", "exposed exchange", "step")}
    return {row: float(values[0]) for row, values in rows.items()}


def main():
    parser = argparse.ArgumentParser(prog="check-plan")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, in turns (3)")
    parser.add_argument("--hidden-size", type=int, default=256, help="channels of the model (256)")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="further options of wideband plan")
    arguments = parser.parse_args()
    SHAPE["model.hidden_size"] = arguments.hidden_size
    network.require()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    alone, together, rates = [], {name: [] for name, *_ in RATES}, []
    with tempfile.TemporaryDirectory(prefix="wideband-plan-") as folder:
        measurement = Measurement(Path(folder))
        for _ in range(arguments.rounds):
            for name, limit, _ in RATES:
                with network.Network(2) as machines:
                    # Two at once: processors that share memory and caches are no slower in the second run.
                    alone.append(measurement.train(machines.hosts, False, TOKENS))
                    if limit:
                        for host in machines.hosts:
                            host.limit(limit)
                    else:
                        rates.append(measurement.line_rate(machines.hosts))
                    together[name].append(measurement.train(machines.hosts, True, 2 * TOKENS))
                print(f"{time.strftime('%H:%M:%S')}  {name}: {together[name][-1]:.3f} s, alone {alone[-1]:.3f} s", flush=True)
    compute, far = statistics.median(alone), []
    print(f"a rank alone: {compute:.3f} s a step; a link without limit: {statistics.median(rates):.0f} Mb/s")
    print(f"{'':10} {'measured':>9} {'predicted':>9} {'ratio':>6}   exchange: measured predicted")
    for name, _, megabits in RATES:
        predicted = plan(compute, megabits or statistics.median(rates), *arguments.options)
        measured = statistics.median(together[name])
        ratio = predicted["step"] / measured
        print(f"{name:10} {measured:9.3f} {predicted['step']:9.3f} {ratio:6.2f}   {measured - compute:18.3f} "
              f"{predicted['exposed exchange']:9.3f}")  # fmt: skip
        if abs(ratio - 1) > 0.2:
            far.append(name)
    if far:
        sys.exit(f"check-plan: predictions differ by more than 20 %: {', '.join(far)}")


main()
