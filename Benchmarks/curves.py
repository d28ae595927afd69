"""Losses of several processes compared with one: python3 Benchmarks/curves.py FOLDER --picture FILE.svg

FOLDER has the runs of scripts/distributed-curves, each named after its exchange and its number of processes. Prints a
table of the largest differences of the training loss and the hashes of the last weights, and draws losses and differences of
every step."""

import hashlib
import json
import math
import pathlib
from html import escape

import bars
from runs import arguments

EXCHANGES = [("last_micro_batch", "An exchange once a step"), ("every_micro_batch", "An exchange after every batch")]
PROCESSES = [1, 2, 4]
STYLE = bars.STYLE + """
path.line, path.dots { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.one { stroke: #b9d3ea; stroke-width: 7; } .two { stroke: #0b62a4; stroke-width: 3; } .four { stroke: #b84a00; stroke-width: 1.5; stroke-dasharray: 5 4; }
path.dots { stroke-width: 3.5; stroke-dasharray: none; }
@media (prefers-color-scheme: dark) { .one { stroke: #2b4a64; } .two { stroke: #6cb6f5; } .four { stroke: #ff9e5c; } }
"""
NAMES = {1: "one", 2: "two", 4: "four"}
WIDTH, HEIGHT = 860, 500
PANELS = [(80, 420), (500, 840)]  # left and right edges, in pixels
LOSS, DIFFERENCE = (116, 276), (326, 446)  # top and bottom edges
SMALLEST, LARGEST = 1e-9, 1e-3  # nats, the ends of the lower axes


def losses(folder, exchange, processes):
    path = pathlib.Path(folder) / f"{exchange}-{processes}" / "metrics.jsonl"
    return [json.loads(line)["train/total"] for line in open(path)]


def weights(folder, exchange, processes):
    """The first digits of the SHA-256 of the last checkpoint's weights."""
    last = max((pathlib.Path(folder) / f"{exchange}-{processes}" / "checkpoints").glob("step-*/model.safetensors"))
    return hashlib.sha256(last.read_bytes()).hexdigest()[:12]


def differences(runs, processes):
    """The distance of every step's loss from that of one process."""
    return [abs(a - b) for a, b in zip(runs[processes], runs[1], strict=True)]


def text(x, y, words, style="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'


def line(points, style):
    return f'<path class="line {style}" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + '"/>'


def dots(points, style):
    return f'<path class="dots {style}" d="' + "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points) + '"/>'


def frame(edges, span, ticks):
    """Grid lines with their labels; `ticks` is [(height in pixels, label)]."""
    (left, right), (_, bottom) = edges, span
    lines = [f'<path class="rule" d="M{left} {y:.1f}H{right}"/>' + text(left - 8, y + 4, label, "value", "end")
             for y, label in ticks]
    return [*lines, f'<path class="rule" d="M{left} {bottom}H{right}"/>']


def panels(edges, title, runs):
    """The losses of an exchange, and below them their differences from those of one process."""
    left, right = edges
    steps = len(runs[1])
    largest = math.ceil(max(max(run) for run in runs.values()))

    def x(step):
        return left + (right - left) * step / steps

    def height(value):
        top, bottom = LOSS
        return bottom - (bottom - top) * value / largest

    def depth(value):
        top, bottom = DIFFERENCE
        return bottom - (bottom - top) * math.log10(max(value, SMALLEST) / SMALLEST) / math.log10(LARGEST / SMALLEST)

    out = [text(left, LOSS[0] - 12, title), text(left, DIFFERENCE[0] - 12, "Difference from one process", "muted")]
    out += frame(edges, LOSS, [(height(value), str(value)) for value in range(0, largest + 1, 2)])
    out += [line([(x(i + 1), height(loss)) for i, loss in enumerate(runs[n])], NAMES[n]) for n in PROCESSES]
    out += frame(edges, DIFFERENCE, [(depth(10.0**n), f"1e{n}") for n in range(-9, -2, 2)])
    equal = [n for n in PROCESSES[1:] if not any(differences(runs, n))]
    for n in PROCESSES[1:]:
        out.append(dots([(x(i + 1), depth(value)) for i, value in enumerate(differences(runs, n)) if value > 0], NAMES[n]))
    if equal:
        words = " and ".join(str(n) for n in equal) + " processes: 0 at every step"
        out.append(text((left + right) / 2, DIFFERENCE[0] + 36, words, "muted", "middle"))
    return [*out, *(text(x(step), DIFFERENCE[1] + 18, str(step), "value", "middle") for step in range(0, steps + 1, 50))]


def draw(path, runs):
    note = "Training loss in nats per token against steps, above; below, its distance from that of one process, where it is not 0."
    out = [text(24, 34, "One run in 1, 2 and 4 processes", "title"), text(24, 54, note, "muted")]
    for i, n in enumerate(PROCESSES):
        out += [line([(24 + 120 * i, 74), (52 + 120 * i, 74)], NAMES[n]),
                text(60 + 120 * i, 78, f"{n} process" + ("es" if n > 1 else ""))]
    for edges, (exchange, title) in zip(PANELS, EXCHANGES, strict=True):
        out += panels(edges, title, runs[exchange])
    spoken = "; ".join(f"{title}: largest difference " + ", ".join(
        f"{max(differences(runs[exchange], n)):.1e} in {n} processes" for n in PROCESSES[1:]) for exchange, title in EXCHANGES)
    with open(path, "w") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-labelledby="title description">\n<title id="title">One run in 1, 2 and 4 processes</title>\n'
            f'<desc id="description">{escape(spoken)}</desc>\n<style>{STYLE}</style>\n'
            f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10"/>\n' + "\n".join(out) + "\n</svg>\n")


def main():
    o = arguments()
    runs = {exchange: {n: losses(o.results, exchange, n) for n in PROCESSES} for exchange, _ in EXCHANGES}
    print("| exchange | processes | loss of step 1 | loss at the end | largest difference from 1 process | at step | weights, SHA-256 |\n" + "|---" * 7 + "|")
    for exchange, _ in EXCHANGES:
        for n in PROCESSES:
            found = differences(runs[exchange], n)
            cells = [f"{max(found):.1e}", str(found.index(max(found)) + 1)] if any(found) else ["0", "–"]
            cells.append(weights(o.results, exchange, n) + "…")
            print(f"| {exchange} | {n} | {runs[exchange][n][0]:.6f} | {runs[exchange][n][-1]:.6f} | {' | '.join(cells)} |")
    if o.picture:
        draw(o.picture, runs)


if __name__ == "__main__":
    main()
