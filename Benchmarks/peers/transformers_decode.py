"""Decoding in Hugging Face transformers, to be compared with `wideband bench decode`.

    python3 Benchmarks/peers/transformers_decode.py --model models/random-0.6b --prompt 128 --tokens 128 --dtype bfloat16

With `--device cuda` it runs on a GPU. A config.json in the place of a model's folder gives random weights. Prints one
line of JSON. The model is called token by token with its key/value cache, without the overhead of its
`generate`; only the last position's logits are computed.
"""

import json
import os

import timing
import torch
import transformers


def main():
    o = timing.arguments(["bfloat16", "float32"])
    torch.set_num_threads(o.threads)
    dtype = getattr(torch, o.dtype)
    if os.path.isfile(o.model):
        with torch.device(o.device):
            config = transformers.Qwen3Config(**json.load(open(o.model)))
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    else:
        model = transformers.AutoModelForCausalLM.from_pretrained(o.model, dtype=dtype).to(o.device).eval()
    cache = None

    def step(ids):
        return int(model(torch.tensor([ids], device=o.device), past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1].argmax())

    def read(prompt):
        nonlocal cache
        cache = transformers.DynamicCache(config=model.config)
        return step(prompt)

    with torch.inference_mode():
        timing.measure(o, model.config.vocab_size, read, lambda token: step([token]), o.dtype,
                       version=f"transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
