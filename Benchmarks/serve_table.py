"""The tables of scripts/bench-serve: python3 Benchmarks/serve_table.py RESULTS

Medians over rounds. Reading is the prompt's tokens over the time to the first token of an idle server.
"""

import json
import statistics
import sys
from collections import defaultdict

PROMPT = 128


def main():
    values = defaultdict(list)
    for line in open(sys.argv[1]):
        row = json.loads(line)
        if "arm" in row:
            values[row["format"], row["arm"], row["kind"], row["clients"]].append(row)

    def median(key, field):
        rows = values.get(key)
        return statistics.median(row[field] for row in rows) if rows else float("nan")

    for format in ("int8", "bfloat16"):
        for arm in ("plain", "direct", "llama"):
            if (format, arm, "prompt", 1) not in values:
                continue
            cells = []
            for clients in (1, 2, 4, 8, 16):
                key = (format, arm, "load", clients)
                cells.append(f"{median(key, 'tokens_per_second'):.1f}")
            wait = median((format, arm, "prompt", 1), "first_token")
            gap = max(median((format, arm, "load", clients), "longest_gap") for clients in (1, 2, 4, 8, 16))
            late = median((format, arm, "late", 8), "first_token")
            name = "llama.cpp" if arm == "llama" else arm
            print(f"| {format} | {name} | {PROMPT / wait:.0f} | {' | '.join(cells)} | {wait:.2f} | {late:.2f} | {gap:.2f} |")


if __name__ == "__main__":
    main()
