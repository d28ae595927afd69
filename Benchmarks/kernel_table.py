"""Tables and a bar chart of the results of scripts/bench-kernels:

    python3 Benchmarks/kernel_table.py RESULTS [--picture FILE.svg]
"""

import collections

import bars
from runs import arguments, median, records

PEERS = [("compile", "PyTorch, compiled"), ("eager", "PyTorch, eager")]


# Connections are also timed for other numbers of tokens.
TOKENS = 2048


def times(seconds, ours):
    return "–" if seconds is None or ours is None else f"{seconds / ours:.1f}"


def milliseconds(seconds):
    return "–" if seconds is None else f"{1000 * seconds:.3g}"


def load(path):
    """The machine's peaks, and for each (kernel, shape, tokens, pass) the runs of each arm."""
    peaks, runs = collections.defaultdict(list), collections.defaultdict(lambda: collections.defaultdict(list))
    for record in records(path):
        if "kernel" in record:
            runs[record["kernel"], record["shape"], record["tokens"], record["pass"]][record["arm"]].append(record)
        else:
            for key in ("matmul_flops", "copy_bytes_per_s", "read_bytes_per_s"):
                peaks[key].append(record[key])
    return {key: max(values) for key, values in peaks.items()}, runs


def passes(runs, name, shape, tokens, arm):
    """The seconds of all passes of a kernel; None if one is missing."""
    found = [median(each[arm], "seconds") for key, each in runs.items() if key[:3] == (name, shape, tokens)]
    return sum(found) if found and None not in found else None


def kernels(peaks, runs):
    print(f"Large products reach {peaks['matmul_flops'] / 1e9:.0f} GFLOP/s on this machine, copies of 64 MB "
          f"{peaks['copy_bytes_per_s'] / 1e9:.1f} GB/s, read and written; reading alone reaches "
          f"{peaks['read_bytes_per_s'] / 1e9:.1f} GB/s.\n")
    print("| kernel | size | pass | ours, ms | GFLOP/s | of products | GB/s | of memory | eager, ms | compile, ms "
          "| eager / ours | compile / ours |")
    print("|---" * 12 + "|")
    memory = max(peaks["copy_bytes_per_s"], peaks["read_bytes_per_s"])
    for (name, shape, tokens, part), arms in runs.items():
        if name == "connection" and tokens != TOKENS:
            continue
        shape += f", {tokens} rows" if name == "skinny GEMM" else ""
        ours, eager, compiled = (median(arms[arm], "seconds") for arm in ("wideband", "eager", "compile"))
        rates = ["–"] * 4
        if ours:
            operations, size = (median(arms["wideband"], key) / ours for key in ("operations", "bytes"))
            rates = [f"{operations / 1e9:.0f}", f"{100 * operations / peaks['matmul_flops']:.0f} %",
                     f"{size / 1e9:.1f}", f"{100 * size / memory:.0f} %"]
        cells = [name, shape, part, milliseconds(ours), *rates, milliseconds(eager), milliseconds(compiled),
                 times(eager, ours), times(compiled, ours)]
        print("| " + " | ".join(cells) + " |")


def linearity(runs):
    series = sorted(tokens for name, shape, tokens, part in runs if (name, shape, part) == ("connection", "(4, 16)", "forward"))
    if len(series) < 2:
        return
    print("\n| tokens | ours, ms | ours, µs a token | eager, ms | compile, ms |\n|---|---|---|---|---|")
    for tokens in series:
        ours, eager, compiled = (passes(runs, "connection", "(4, 16)", tokens, arm) for arm in ("wideband", "eager", "compile"))
        each = "–" if ours is None else f"{1e6 * ours / tokens:.2f}"
        print(f"| {tokens} | {milliseconds(ours)} | {each} | {milliseconds(eager)} | {milliseconds(compiled)} |")


def draw(path, runs):
    groups = []
    for name, shape, tokens, _ in runs:
        ours = passes(runs, name, shape, tokens, "wideband")
        if (name == "connection" and tokens != TOKENS) or name in ("read", "write and read") or ours is None:
            continue
        peers = [passes(runs, name, shape, tokens, arm) for arm, _ in PEERS]
        bars_ = [seconds and (seconds / ours, f"{seconds / ours:.1f} ×, {milliseconds(seconds)} ms") for seconds in peers]
        rows = f", {tokens}" if name == "skinny GEMM" else ""
        group = (f"{name} {shape}{rows}", f"{milliseconds(ours)} ms", bars_)
        if group not in groups and any(bars_):
            groups.append(group)
    if not groups:
        return
    with open(path, "w") as file:
        file.write(bars.chart(
            "Kernels alone, forward and backward",
            "Time as a multiple of ours, which stands before the bars. 2,048 tokens, D = 256, float32.",
            PEERS, groups, left=350, mark=(1, "ours")))


def main():
    o = arguments()
    peaks, runs = load(o.results)
    kernels(peaks, runs)
    linearity(runs)
    if o.picture:
        draw(o.picture, runs)


if __name__ == "__main__":
    main()
