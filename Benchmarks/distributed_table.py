"""Speed of training in one and in two processes: python3 Benchmarks/distributed_table.py RESULTS

Prints the table of scripts/bench-distributed and the ratios of its sides, and fails if sides that train the same model
on the same batches have different losses."""

import collections
import statistics

from runs import arguments, ratio, records

SKIPPED = 4  # steps: threads, caches and, if compiled, code are made in the first ones
TOKENS = 8 * 256  # of a step
SIDES = {
    "one": ("`wideband train`", "1 × 2"),
    "two": ("`wideband launch`", "2 × 1"),
    "torch": ("PyTorch, eager", "1 × 2"),
    "torch-compiled": ("PyTorch, compiled", "1 × 2"),
    "ddp": ("DistributedDataParallel, eager", "2 × 1"),
    "ddp-compiled": ("DistributedDataParallel, compiled", "2 × 1"),
}
# The targets are those of docs/results/distributed.md.
RATIOS = [("two", "one", 0.9), ("two", "ddp", 1), ("two", "ddp-compiled", 1), ("ddp", "torch", None),
          ("ddp-compiled", "torch-compiled", None)]
# Sides whose losses agree within rounding, which grows from step to step.
EQUAL = [("two", "one"), ("ddp", "torch"), ("ddp-compiled", "torch-compiled")]
ROUNDING = 1e-3  # nats
# Initial values are random numbers of the same distributions, batches other ones of the same text.
START = 0.1  # nats


def speed(run):
    """Tokens per second of the median step."""
    return TOKENS / statistics.median(run["seconds"][SKIPPED:])


def check(runs):
    """Prints the differences of losses that have to be small."""
    for a, b in EQUAL:
        if not (runs[a] and runs[b]):
            continue
        found = max(abs(x - y) for x, y in zip(runs[a][0]["losses"], runs[b][0]["losses"], strict=True))
        print(f"losses of {a} and {b}: largest difference {found:.1e}")
        if not found < ROUNDING:
            raise SystemExit(f"distributed_table: losses of {a} and {b} differ by {found}: expected less than {ROUNDING}")
    starts = {arm: found[0]["losses"][0] for arm, found in runs.items() if found}
    print("loss of step 1: " + ", ".join(f"{arm} {loss:.4f}" for arm, loss in starts.items()))
    if not max(starts.values()) - min(starts.values()) < START:
        raise SystemExit(f"distributed_table: the losses of step 1 are {starts}: expected a spread of less than {START}")


def main():
    runs = collections.defaultdict(list)
    for record in records(arguments().results):
        if "arm" in record:
            runs[record["arm"]].append(record)
    speeds = {arm: [speed(run) for run in runs[arm]] for arm in SIDES}
    medians = {arm: statistics.median(values) if values else None for arm, values in speeds.items()}
    print("| side | processes × threads | seconds a step | tokens/s | tokens/s of each round |\n" + "|---" * 5 + "|")
    for arm, (name, threads) in SIDES.items():
        if medians[arm]:
            rounds = ", ".join(f"{value:.0f}" for value in speeds[arm])
            print(f"| {name} | {threads} | {TOKENS / medians[arm]:.3f} | {medians[arm]:.0f} | {rounds} |")
    print("\n| ratio of tokens/s | of the medians | of each round | target |\n" + "|---" * 4 + "|")
    for a, b, target in RATIOS:
        if found := ratio(medians[a], medians[b]):
            rounds = ", ".join(f"{x / y:.2f}" for x, y in zip(speeds[a], speeds[b]))
            print(f"| {a} / {b} | {found:.2f} | {rounds} | {target or '–'} |")
    print()
    check(runs)


if __name__ == "__main__":
    main()
