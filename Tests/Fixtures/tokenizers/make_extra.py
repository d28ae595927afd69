"""Fixtures of rarer tokenizer features from Hugging Face tokenizers 0.23: python make_extra.py CORPUS.txt

Writes extra/NAME/tokenizer.json and extra/NAME/cases.json beside this script: {"text_b64", "ids", "decoded_b64" (special
tokens kept), "skipped_b64" (special tokens skipped), "add_special" (whether the template was applied)}, and
extra/trained/expected.json: documents with the vocabulary and merges that BpeTrainer makes of them.
"""

import base64
import json
import pathlib
import random
import shutil
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).parent / "extra"
SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
HEAD = r"[^\r\n\p{L}\p{N}]?"
QWEN = SUFFIX + "|" + HEAD + r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
O200K = f"{HEAD}{UPPER}*{LOWER}+{SUFFIX}?|{HEAD}{UPPER}+{LOWER}*{SUFFIX}?" + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|" + TAIL
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

AWKWARD = [
    "", "  <mask>  <r>  x", "a<w> <w>b <w>-<w>", "<lr>  <lr>\t<lr>", "\u0f73\u0323\u0301 \U0002003c\u0338 \u0344 e\u0301t\u00e9",
    "\u180e x \u180e", "'\u017f'S ' 'LL\u2028\x85", "1234567 ٣½Ⅷ²\u0969", "\u1100\u1161\u11a8 가\u11a8 \u0958 \u2126",
    "\U000323a0\U0002ebf0 \U00010d4a\U0001ccf5", "  \r\n \r\n", "ǅAbcDEF camelCaseHTTP's",
]
POOLS = [
    "abc XYZ 019 .,;'\"\n\t", "éüñçßøÅ", "日本中文한글", "🙂👍🏽🇫🇷\u200d\ufe0f", "\u0301\u0300\u0323aeo\u0f73\u0344\u0338\U0002003c",
    "\r\n \u00a0\u3000\u180e\u200b\u2028\x85", "'sS'tT're<|>\u017f\u212aLLDd", "\u1100\u1161\u11a8가각\u11a7", "٣½Ⅷ²\u0969", "ǅǆǄﬁßẞİı",
]
WORDS = SPECIAL + [
    "<think>", "<mask>", "<r>", "<lr>", "<w>", "word", "e\u0301t\u00e9", "été", "A\u030a", "Å", " sp ace ", "<m", "\n\n", "日本",
    "<|n|>", "  ", "   ", "\r\n", "\t", "'ll", "'LL", " the ", " and", "_", "-", "\u0301", "1234567", " " * 20,
]


def step(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(*steps, prefix=False, use_regex=False):
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)])


def build(corpus, pre_tokenizer, normalizer=None, ignore_merges=False):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer, t.decoder = pre_tokenizer, decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator([corpus], trainers.BpeTrainer(vocab_size=340, show_progress=False, initial_alphabet=alphabet))
    t.add_special_tokens(SPECIAL)
    return t


def families(corpus):
    nfc = normalizers.NFC()
    han = step(r"\p{Han}+|[^\p{Han}\s]+|\s\S|\h")
    made = {
        "added-tokens": build(corpus, byte_level(step(QWEN)), nfc),
        "prefix-space": build(corpus, byte_level(step(r"\d+"), prefix=True, use_regex=True), normalizers.Sequence([nfc])),
        "o200k": build(corpus, byte_level(step(O200K))),
        "cl100k-strings": build(corpus, byte_level(step(CL100K))),
        "word-classes": build(corpus, byte_level(step(r"\w+|\W|\d"), han)),
        "deepseek-steps": build(corpus, byte_level(step(r"\p{N}{1,3}"), step(r"[一-龥぀-ゟ゠-ヿ]+"), step(DEEPSEEK))),
        "template": build(corpus, byte_level(step(LLAMA3)), ignore_merges=True),
        "digits": build(corpus, byte_level(pre_tokenizers.Digits(individual_digits=False), use_regex=True)),
    }
    ids = [(name, made["template"].token_to_id(name)) for name in SPECIAL[1:]]
    made["template"].post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{SPECIAL[1]} $A {SPECIAL[2]}", special_tokens=ids),
    ])
    made["added-tokens"].add_tokens([
        AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("<r>", rstrip=True, normalized=False),
        AddedToken("<lr>", lstrip=True, rstrip=True, normalized=True), AddedToken("<w>", single_word=True, normalized=False),
        AddedToken("word", single_word=True, normalized=True), AddedToken("e\u0301t\u00e9", normalized=True),
        AddedToken("A\u030a", normalized=False), AddedToken(" sp ace ", normalized=False), AddedToken("<m", normalized=False),
        AddedToken("\n\n", normalized=False), AddedToken("日本", normalized=True),
    ])
    made["added-tokens"].add_special_tokens([AddedToken("<|n|>", normalized=True, special=True)])
    model = json.loads(made["o200k"].to_str())["model"]
    for behavior in ["removed", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in [False, True]:
            t = Tokenizer(models.BPE(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]]))
            t.decoder, t.pre_tokenizer = decoders.ByteLevel(), byte_level(step(r"[aeiou\s]", behavior, invert))
            made[f"behavior-{behavior.replace('_', '-')}{'-inverted' * invert}"] = t
    return made


def texts(rng, count):
    for _ in range(count):
        if rng.random() < 0.5:
            yield "".join(rng.choice(rng.choice(POOLS)) for _ in range(rng.randint(0, 60)))
        else:
            yield "".join(rng.choice(WORDS) if rng.random() < 0.6 else rng.choice(rng.choice(POOLS)) for _ in range(rng.randint(1, 25)))[:90]


def b64(text):
    return base64.b64encode(text.encode()).decode()


def write(name, t, corpus):
    (OUT / name).mkdir(parents=True)
    path = OUT / name / "tokenizer.json"
    t.save(str(path), pretty=False)
    if name == "cl100k-strings":  # the form of older files: merges as strings, escapes, settings left out
        content = json.loads(path.read_text())
        content["model"]["merges"] = [" ".join(m) for m in content["model"]["merges"]]
        del content["model"]["ignore_merges"]
        path.write_text(json.dumps(content))
    t = Tokenizer.from_file(str(path))
    count = 45 if name == "added-tokens" else 2 if name.startswith("behavior") else 20
    # One piece of a few hundred bytes: longer ones are merged by another algorithm.
    long = ["".join(filter(str.isalpha, corpus[:600]))[:250]] if name in ("o200k", "template", "prefix-space") else []
    cases = []
    for text in AWKWARD + long + list(texts(random.Random(name), count)):
        for special in [False, True] if t.post_processor else [False]:
            ids = t.encode(text, add_special_tokens=special).ids
            kept, skipped = (b64(t.decode(ids, skip_special_tokens=skip)) for skip in [False, True])
            cases.append({"text_b64": b64(text), "ids": ids, "decoded_b64": kept, "skipped_b64": skipped, "add_special": special})
    (OUT / name / "cases.json").write_text(json.dumps(cases, separators=(",", ":")))


def write_trained():
    rng = random.Random(5)
    parts = ["the ", "ing", "in", "g", "an", "and", " hand", " thing", "thin", "👍", "日本", "é", "e\u0301", "12", " ", "\n", "\r\n",
             "aaaa", "aa", "a", "'s", "<|endoftext|>", "\u180e", "\u00a0"]
    text = "".join(rng.choice(parts) for _ in range(2500))
    documents = [text[:3000], text[3000:7000], "", text[7000:]]
    special = ["<|endoftext|>", "<|pad|>"]
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = byte_level(step(LLAMA3))
    t.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=420, show_progress=False, min_frequency=2, special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(t.to_str())["model"]
    expected = {"documents_b64": [b64(d) for d in documents], "vocabulary_size": 420, "special_tokens": special,
                "vocab": model["vocab"], "merges": model["merges"]}
    (OUT / "trained").mkdir()
    (OUT / "trained" / "expected.json").write_text(json.dumps(expected, separators=(",", ":")))


def main(corpus_path):
    corpus = open(corpus_path, encoding="utf-8").read()[:60_000]
    corpus += "日本語のテキスト naïve café Å 👩‍👩‍👧‍👦 مرحبا " * 8
    shutil.rmtree(OUT, ignore_errors=True)
    for name, tokenizer in families(corpus).items():
        write(name, tokenizer, corpus)
    write_trained()


if __name__ == "__main__":
    main(*sys.argv[1:])
