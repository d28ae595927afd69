"""A picture of the loss of quality by cycle length: python3 Benchmarks/retention.py docs/results/direct-decoding.md FILE.svg

Reads the retention of the arm "select, distilled, cycles of 2, 3, 4 and 6" from the page's first table of each model."""

import re
import sys

import bars

ARM = "| select | distilled | 2, 3, 4, 6 |"
CYCLES = ["2", "3", "4", "6"]


def losses(page, model):
    """Percent of the untuned model's quality that is lost, by cycle length."""
    table = page.split(f"**{model}**")[1]
    header = next(line for line in table.splitlines() if "cycle 1" in line)
    row = next(line for line in table.splitlines() if line.startswith(ARM))
    names = [name.strip().removeprefix("cycle ") for name in header.split("|")]
    retained = {name: float(re.search(r"\(([\d.]+) %\)", cell).group(1))
                for name, cell in zip(names, row.split("|")) if "(" in cell}
    return [100 - retained[cycle] for cycle in CYCLES]


def main():
    source, picture = sys.argv[1:]
    with open(source) as file:
        page = file.read()
    models = [losses(page, "Plain"), losses(page, "Wide")]
    groups = [("cycles of", cycle, [(lost, f"{lost:.1f} %") for lost in both])
              for cycle, both in zip(CYCLES, zip(*models))]
    with open(picture, "w") as file:
        file.write(bars.chart(
            "What cycles cost", "Quality lost (bits per byte, held-out text) relative to the untuned model; shorter is better. "
            "Means of three seeds.", [("eager", "plain"), ("wideband", "wide, r = 4")], groups, left=130))


if __name__ == "__main__":
    main()
