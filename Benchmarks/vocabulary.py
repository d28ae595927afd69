"""A vocabulary of a given size for models with random weights: single bytes, and names without a meaning.

    python3 Benchmarks/vocabulary.py FOLDER

writes a `tokenizer.json` with as many tokens as the model in FOLDER has, so that servers can show what it generates.
"""

import json
import pathlib
import sys


def byte_characters():
    """The characters that byte-level vocabularies write for bytes 0 to 255."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in shown]
    characters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [characters[byte] for byte in range(256)]


def tokens(size):
    characters = byte_characters()
    return characters[:size] + [f"w{index}" for index in range(len(characters), size)]


def main():
    folder = pathlib.Path(sys.argv[1])
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    vocabulary = {token: index for index, token in enumerate(tokens(size))}
    bytes_alone = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    model = {"type": "BPE", "vocab": vocabulary, "merges": []}
    document = {"version": "1.0", "added_tokens": [], "pre_tokenizer": bytes_alone, "decoder": bytes_alone, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False))


if __name__ == "__main__":
    main()
