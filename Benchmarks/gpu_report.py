"""The results page of scripts/bench-gpu from its measurements: python3 Benchmarks/gpu_report.py FOLDER"""

import collections
import datetime
import json
import platform
import subprocess
import sys

import torch
from runs import cell, median, ratio

ARMS = ["wideband", "composed", "eager", "compile"]
BATCH, LENGTH = 8, 2048


def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def step_operations(config):
    """The operations of backbone and head in a step of a plain model, which costs three forward passes."""
    c = json.load(open(f"Benchmarks/configs/gpu/{config}.json"))
    D, F = c["hidden_size"], c["intermediate_size"]
    heads, keys = c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    maps = c["num_hidden_layers"] * (2 * D * heads + 2 * D * keys + 3 * D * F) + D * c["vocab_size"]
    attention = c["num_hidden_layers"] * 2 * LENGTH * heads  # causal: half of all pairs
    return 3 * (2 * maps + attention) * BATCH * LENGTH


def machine():
    gpu = output("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader").split("\n")[0]
    commit = output("git", "rev-parse", "--short", "HEAD") or "unknown"
    if output("git", "status", "--porcelain", "-uno"):
        commit += " with changes"
    return (f"**Command.** `scripts/bench-gpu`. **Commit.** {commit}.\n"
            f"**Machine.** {gpu}; {platform.machine()}, torch {torch.__version__} with CUDA {torch.version.cuda} on both sides.\n"
            f"**Date.** {datetime.date.today()}.")


def verified(folder):
    """The results of `wideband verify` with fused kernels and with composed operators."""
    return ", ".join(f"{kernels} " + open(f"{folder}/verify-{kernels}").read().strip().split("\n")[-1] for kernels in ("fused", "composed"))


def connections(folder):
    peak, *widths = [json.loads(line) for line in open(f"{folder}/connections")]
    names = [name for name in widths[0] if name not in ("m", "n", "right")]
    print(f"""## Connections alone

16,384 tokens, D = 2,048, bfloat16. Each is held to composed operators in float32 first. The GPU multiplies
8,192 × 8,192 matrices at {peak['matmul_flops'] / 1e12:.0f} TFLOP/s and copies at {peak['copy_bytes_per_s'] / 1e12:.2f} TB/s, read and written. Shares are of that copy,
counting the activations that have to be read and written once; "backward" includes the gradients of all weights.
""")
    print("| (m, n) | as composed | " + " | ".join(f"{name}, µs | share" for name in names) + " |")
    print("|---" * (2 + 2 * len(names)) + "|")
    for w in widths:
        cells = [f"({w['m']}, {w['n']})", "yes" if w["right"] else "**no**"]
        for name in names:
            cells += [f"{1e6 * w[name]['seconds']:.0f}", f"{100 * w[name]['share']:.0f} %"]
        print("| " + " | ".join(cells) + " |")
    return peak["matmul_flops"]


def steps(folder, peak):
    runs = collections.defaultdict(list)
    configs = []
    for line in open(f"{folder}/steps"):
        config, arm, record = line.split(" ", 2)
        record = json.loads(record)
        if config not in configs:
            configs.append(config)
        if "error" not in record:
            runs[config, arm].append(record)

    print(f"""
## Training steps

Forward, backward and AdamW, batch {BATCH} × {LENGTH:,}, median of the rounds' median steps. Ours keeps weights and moments in
float32 and computes in bfloat16; PyTorch keeps everything in bfloat16, which is less to move. A gap is a side that
failed, as a rule for want of memory. The share of the peak counts the backbone's and the head's operations alone.
""")
    print("| config | " + " | ".join(f"{arm}, ms" for arm in ARMS) + " | eager / ours | compile / ours | ours / plain | share of peak | "
          + " | ".join(f"{arm}, GB" for arm in ARMS) + " |")
    print("|---" * (2 * len(ARMS) + 5) + "|")
    plain = median(runs["plain", "wideband"], "step_s")
    for config in configs:
        times = {arm: median(runs[config, arm], "step_s") for arm in ARMS}
        ours = times["wideband"]
        cells = [cell(times[arm], "{:.1f}", 1000) for arm in ARMS]
        cells += [cell(ratio(times[arm], ours), "{:.2f}") for arm in ("eager", "compile")]
        cells += [cell(ratio(ours, plain), "{:.3f}"), cell(ratio(step_operations(config) / peak, ours), "{:.0f} %", 100)]
        cells += [cell(median(runs[config, arm], "peak_bytes"), "{:.1f}", 1e-9) for arm in ARMS]
        print(f"| {config} | " + " | ".join(cells) + " |")


def main(folder):
    print(f"""# A training step on a GPU, compared with PyTorch

**Question.** What do connections and whole training steps cost on a GPU, compared with its copy bandwidth, its dense peak and
the same models in PyTorch, eager and compiled?

{machine()}
""")
    peak = connections(folder)
    steps(folder, peak)
    print(f"""
`wideband verify --device cuda` on the test fixtures: {verified(folder)}.

(m, n): width_1_5 is (2, 3), width_4 (4, 16), width_4_fine (8, 32), width_8_fine (8, 64). "Composed" is ours with
`--kernels composed`.""")


if __name__ == "__main__":
    main(sys.argv[1])
