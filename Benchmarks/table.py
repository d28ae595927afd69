"""Medians and ratios of the results of scripts/bench: python3 Benchmarks/table.py RESULTS [--picture FILE.svg]"""

import collections

import bars
from runs import arguments, cell, median, ratio, records

ARMS = ["wideband", "composed", "eager", "compile"]
SHOWN = [("wideband", "Wideband"), ("compile", "PyTorch, compiled"), ("eager", "PyTorch, eager")]
WIDTHS = {"plain": "", "width_1_5": "(2, 3)", "width_2": "(4, 8)", "width_4": "(4, 16)", "width_8": "(4, 32)",
          "width_8_fine": "(8, 64)"}


def main():
    o = arguments()
    runs = collections.defaultdict(list)
    for record in records(o.results):
        runs[record["config"], record["arm"]].append(record)
    configs = list(dict.fromkeys(config for config, _ in runs))

    def in_turn(config):
        return [run["step_s"] for run in runs[config, "in turn"]]

    print("| config | (m, n) | " + " | ".join(f"{arm}, ms" for arm in ARMS) + " | eager / ours | compile / ours | ours / plain, in turn | "
          + " | ".join(f"{arm}, MB" for arm in ARMS) + " |")
    print("|---" * (2 * len(ARMS) + 5) + "|")
    for config in configs:
        times = {arm: median(runs[config, arm], "step_s") for arm in ARMS}
        cells = [cell(times[arm], "{:.0f}", 1000) for arm in ARMS]
        cells += [cell(ratio(times[arm], times["wideband"]), "{:.2f}") for arm in ("eager", "compile")]
        cells += [", ".join(f"{wide / plain:.2f}" for wide, plain in zip(in_turn(config), in_turn("plain"))) or "–"]
        cells += [cell(median(runs[config, arm], "peak_bytes"), "{:.0f}", 1e-6) for arm in ARMS]
        print(f"| {config} | {WIDTHS.get(config) or '–'} | " + " | ".join(cells) + " |")
    if o.picture:
        draw(o.picture, configs, runs)


def draw(path, configs, runs):
    def bar(config, arm):
        seconds, memory = (median(runs[config, arm], key) for key in ("step_s", "peak_bytes"))
        return seconds and (seconds, f"{1000 * seconds:.0f} ms, {memory / 1e9:.1f} GB")

    names = {"plain": "plain", "1_5": "r = 1.5", "2": "r = 2", "4": "r = 4", "8": "r = 8", "8_fine": "r = 8, fine"}
    groups = [(names.get(config.removeprefix("width_"), config), WIDTHS.get(config, ""), [bar(config, arm) for arm, _ in SHOWN])
              for config in configs]
    with open(path, "w") as file:
        file.write(bars.chart("A training step", "Time and peak memory of forward, backward and AdamW; shorter is better. "
                              "Batch 8 × 256, float32.", SHOWN, groups, left=170))


if __name__ == "__main__":
    main()
