"""The results page of decoding from the measurements of scripts/bench-gpu: python3 Benchmarks/gpu_decode_report.py FOLDER"""

import collections
import statistics
import sys

import gpu_report
from runs import cell, median, ratio, records


def main(folder):
    runs = collections.defaultdict(list)
    for record in records(f"{folder}/decoding"):
        found = runs[record["arm"], record["texts"]]
        if "error" not in record:
            found.append(record)

    read = [run["read_bandwidth"] for all in runs.values() for run in all if "read_bandwidth" in run]
    print(f"""# Decoding on a GPU

**Question.** How fast are texts written by a model of Qwen3-4B's shape, plain and in cycles of 4 tokens (E = 0, D = 8 of
36 layers), and how near does that come to the speed at which the GPU reads the weights?

{gpu_report.machine()}

Random weights, bfloat16 unless a scheme is named, prompts of 1,024 tokens, 256 decoded greedily after each; medians of the
rounds. `wideband verify --device cuda` on the test fixtures came first:
{gpu_report.verified(folder)}. The GPU reads {cell(statistics.median(read) if read else None, "{:.2f}", 1e-12)} TB/s, measured around each run.

| | texts | tokens/s of all | ms a step of a text | of its bound | over plain | bound | prompt, tokens/s |
|---|---|---|---|---|---|---|---|""")
    for (arm, texts), own in runs.items():
        over = ratio(median(own, "tokens_per_s"), median(runs.get(("plain", texts), []), "tokens_per_s"))
        print(f"| {arm} | {texts} | {cell(median(own, 'tokens_per_s'), '{:.1f}')} | "
              f"{cell(median(own, 'token_s'), '{:.3f}', 1000 * texts)} | "
              f"{cell(median(own, 'share_of_bound'), '{:.0f} %', 100)} | {cell(over, '{:.2f}')} | "
              f"{cell(median(own, 'speed_up_bound'), '{:.2f}')} | {cell(median(own, 'prefill_tokens_per_s'), '{:.0f}')} |")
    print("""
*Of its bound* is the bytes of the weights that a token reads, over the time of a token, over the bandwidth; keys and values
are not counted. "Composed" is ours with `--kernels composed`; texts of several are decoded in one pass, aligned to their cycles
unless it says otherwise.""")


if __name__ == "__main__":
    main(sys.argv[1])
