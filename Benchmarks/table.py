"""Medians and ratios of what scripts/bench printed: python3 Benchmarks/table.py RESULTS"""

import collections
import json
import statistics
import sys

ARMS = ["wideband", "composed", "eager", "compile"]


def main(path):
    runs = collections.defaultdict(list)
    for line in open(path):
        config, arm, record = line.split(" ", 2)
        runs[config, arm].append(json.loads(record))
    configs = list(dict.fromkeys(config for config, _ in runs))

    def median(config, arm, key):
        return statistics.median(run[key] for run in runs[config, arm])

    print("| config | " + " | ".join(f"{arm}, ms" for arm in ARMS) + " | eager / ours | compile / ours | ours / plain | "
          + " | ".join(f"{arm}, MB" for arm in ARMS) + " |")
    print("|---" * (2 * len(ARMS) + 4) + "|")
    for config in configs:
        times = {arm: median(config, arm, "step_s") for arm in ARMS}
        plain = median("plain", "wideband", "step_s")
        cells = [f"{1000 * times[arm]:.0f}" for arm in ARMS]
        cells += [f"{times[arm] / times['wideband']:.2f}" for arm in ("eager", "compile")]
        cells += [f"{times['wideband'] / plain:.2f}"]
        cells += [f"{median(config, arm, 'peak_bytes') / 1e6:.0f}" for arm in ARMS]
        print(f"| {config} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1])
