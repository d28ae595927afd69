"""Medians and ratios of the results of scripts/bench-decode: python3 Benchmarks/decode_table.py RESULTS [--picture FILE.svg]"""

import collections

import bars
from runs import arguments, cell, median, records

# The name of each side for its weights, and the one in the table.
BITS = {"float32": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16", "int8": "int8", "q8_0": "int8", "int4": "int4", "q4_0": "int4"}
ARMS = {"plain": "Wideband", "direct": "Wideband, cycles of 4", "wide": "Wideband, r = 4", "llama": "llama.cpp", "transformers": "transformers"}
SHOWN = [(arm, ARMS[arm]) for arm in ("plain", "direct", "llama", "transformers")]


def main():
    o = arguments()
    runs = collections.defaultdict(list)
    for record in records(o.results):
        if "arm" in record:
            runs[record["shape"], BITS[record["weights"]], record["arm"]].append(record)
        else:
            print(" · ".join(f"{key} {value}" for key, value in record.items()) + "\n")
    for version in sorted({run["version"] for each in runs.values() for run in each if "version" in run}):
        print(version + "\n")

    table(sorted(runs, key=lambda key: (key[0], list(BITS).index(key[1]), list(ARMS).index(key[2]))), runs)
    if o.picture:
        draw(o.picture, list(dict.fromkeys(key[:2] for key in sorted(runs, key=lambda key: (key[0], list(BITS).index(key[1]))))), runs)


def table(keys, runs):
    def figure(key, name, form, scale=1):
        return cell(median(runs[key], name), form, scale)

    print("| shape | weights | | tokens/s | of its bound | over ours, plain | bound | prefill, tokens/s | of products | first token, s "
          "| peak, MB | read, GB/s |")
    print("|---" * 12 + "|")
    for key in keys:
        speed, ours = (median(runs[each], "tokens_per_s") for each in (key, (*key[:2], "plain")))
        print("| " + " | ".join([
            key[0], key[1], ARMS[key[2]], cell(speed, "{:.1f}"), figure(key, "share_of_bound", "{:.0f} %", 100),
            cell(ours and speed / ours, "{:.2f}"), figure(key, "speed_up_bound", "{:.2f}"),
            figure(key, "prefill_tokens_per_s", "{:.0f}"), figure(key, "prefill_share", "{:.0f} %", 100),
            figure(key, "first_token_s", "{:.3f}"), figure(key, "peak_bytes", "{:.0f}", 1e-6),
            figure(key, "read_bandwidth", "{:.1f}", 1e-9)]) + " |")


def draw(path, groups, runs):
    def bar(shape, weights, arm):
        speed = median(runs[shape, weights, arm], "tokens_per_s")
        return speed and (speed, f"{speed:.1f}")

    groups = [(shape.upper(), weights, [bar(shape, weights, arm) for arm, _ in SHOWN]) for shape, weights in groups if weights != "float32"]
    with open(path, "w") as file:
        file.write(bars.chart("Decoding", "Tokens a second after a prompt of 128, one sequence, random weights of Qwen3's shapes; "
                              "longer is better.", SHOWN, groups, left=150))


if __name__ == "__main__":
    main()
