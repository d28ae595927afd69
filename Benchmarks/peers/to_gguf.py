"""A Qwen3 model folder as a GGUF file, which llama.cpp reads: the same weights, in bfloat16 or quantized by GGUF's own rules.

    python3 Benchmarks/peers/to_gguf.py models/random-0.6b random-0.6b.gguf --type q8_0

All matrices are written in the type asked for, the embedding (which is the output head as well where that is tied)
included; norms stay float32. The vocabulary has names without a meaning: the file is for token ids. Needs torch,
safetensors and gguf.
"""

import argparse
import json
import pathlib
import sys

import gguf
import torch
from safetensors import safe_open

sys.path.append(str(pathlib.Path(__file__).parent.parent))
import vocabulary

TYPES = {name: getattr(gguf.GGMLQuantizationType, name.upper()) for name in ("f32", "bf16", "q8_0", "q4_0")}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("output")
    a.add_argument("--type", choices=TYPES, default="bf16")
    o = a.parse_args()
    c = json.loads((o.folder / "config.json").read_text())
    if c["model_type"] != "qwen3":
        raise SystemExit(f"{o.folder}/config.json: model_type is {c['model_type']}: expected qwen3")
    writer = gguf.GGUFWriter(o.output, "qwen3")
    describe(writer, c)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, c["num_hidden_layers"])
    for file in sorted(o.folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():
                values = tensors.get_tensor(name).to(torch.float32).numpy()
                type = TYPES[o.type] if values.ndim == 2 else TYPES["f32"]
                writer.add_tensor(names.get_name(name, (".weight",)), gguf.quants.quantize(values, type), raw_dtype=type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def describe(writer, c):
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(c["num_key_value_heads"])
    writer.add_key_length(c["head_dim"])
    writer.add_value_length(c["head_dim"])
    # transformers 5 writes it in an object, earlier versions as a number.
    writer.add_rope_freq_base(c.get("rope_theta") or c["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_vocab_size(c["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(vocabulary.tokens(c["vocab_size"]))
    writer.add_token_types([gguf.TokenType.NORMAL] * c["vocab_size"])
    writer.add_token_merges(["w 2"])


if __name__ == "__main__":
    main()
