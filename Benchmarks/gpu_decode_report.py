"""The results file of decoding from what scripts/bench-gpu measured: python3 Benchmarks/gpu_decode_report.py FOLDER"""

import collections
import json
import statistics
import sys

import gpu_report


def cell(value, form):
    return "–" if value is None else form.format(value)


def main(folder):
    runs = collections.defaultdict(list)
    for line in open(f"{folder}/decoding"):
        record = json.loads(line)
        found = runs[record["arm"], record["texts"]]
        if "error" not in record:
            found.append(record)

    def median(key, name):
        values = [run[name] for run in runs[key] if name in run]
        return statistics.median(values) if values else None

    def over(a, b):
        return None if not a or not b else a / b

    passed = {kernels: open(f"{folder}/verify-{kernels}").read().strip().split("\n")[-1] for kernels in ("fused", "composed")}
    read = [run["read_bandwidth"] for all in runs.values() for run in all if "read_bandwidth" in run]
    print(f"""# Decoding on a GPU

**Question.** How fast are texts written by a model of Qwen3-4B's shape, plain and in cycles of 4 tokens (E = 0, D = 8 of
36 layers), and how near does that come to the speed at which the GPU reads the weights?

{gpu_report.machine()}

Random weights, bfloat16 unless a scheme is named, prompts of 1,024 tokens, 256 decoded greedily after each; medians of the
rounds. `wideband verify --device cuda` on the test fixtures came first: fused {passed['fused']}, composed
{passed['composed']}. The GPU reads {cell(statistics.median(read) / 1e12 if read else None, "{:.2f}")} TB/s, measured around each run.

| | texts | tokens/s of all | ms a step of a text | of its bound | over plain | bound | prompt, tokens/s |
|---|---|---|---|---|---|---|---|""")
    for arm, texts in runs:
        key = (arm, texts)
        speed, token = median(key, "tokens_per_s"), median(key, "token_s")
        print(f"| {arm} | {texts} | {cell(speed, '{:.1f}')} | {cell(token and 1000 * token * texts, '{:.3f}')} | "
              f"{cell(over(median(key, 'share_of_bound'), 0.01), '{:.0f} %')} | "
              f"{cell(over(speed, median(('plain', texts), 'tokens_per_s')), '{:.2f}')} | "
              f"{cell(median(key, 'speed_up_bound'), '{:.2f}')} | {cell(median(key, 'prefill_tokens_per_s'), '{:.0f}')} |")
    print("""
*Of its bound* is the bytes of the weights that a token reads, over the time of a token, over the bandwidth; keys and values
are not counted. "Composed" is ours with `--kernels composed`; texts of several are decoded in one pass, aligned to their cycles
unless it says otherwise.""")


if __name__ == "__main__":
    main(sys.argv[1])
