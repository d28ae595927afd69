"""Dictionaries for dictd: a compressed file of entries, and an index of headwords with positions."""

import gzip
import re

from cleaning import blocks, decode, unwrap

DIGITS = {
    character: value
    for value, character in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
BRACES = re.compile(r"\{([^{}]*)\}")
PARTS_OF_SPEECH = {"n": "noun", "v": "verb", "adj": "adjective", "adv": "adverb"}
# A sense of WordNet: its part of speech, which the next ones share, and its number.
SENSE = re.compile(r"(?:(n|v|adj|adv) )?(?:\d+)?: (.*)", re.DOTALL)
RELATION = re.compile(r"[;.]?\s*\[(syn|ant|also): ([^\]]*)\]")
RELATIONS = {"syn": "Synonyms", "ant": "Antonyms", "also": "Also"}

# Webster's: who added a paragraph, pronunciations, etymologies, and marks of accents in headwords.
ADDED = re.compile(r"\[(?:1913|Webster|WordNet|Century|PJC|RH|AS|MW|RP|JWO|VT|Soule|Stormonth)[^\[\]]*\]")
PRONUNCIATION = re.compile(r"\\[^\\]*\\|\((?:\?|[^()]*(?:\[[^\]\s]{1,5}\]|[*\"`][a-z])[^()]*)\)")
NUMBERED = re.compile(r"\n\s+(?=(?:\d+|\([a-z]\))\.? [A-Z(])")
# Characters that ASCII lacks, such as ['e] and [a^]: a combining accent by the mark before or after the letter.
ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "=": "\u0304", "~": "\u0303", ".": "\u0307",
           ",": "\u0327", "-": ""}  # fmt: skip
SIGNS = {"ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aum": "ä", "oum": "ö", "uum": "ü", "imac": "ī", "deg": "°",
         "eth": "ð", "thorn": "þ", "root": "√", "pound": "£", "sect": "§", "frac12": "½", "frac14": "¼", "times": "×",
         "min": "′", "sec": "″", "ccedil": "ç", "breve": "", "hand": ""}  # fmt: skip
SIGN = re.compile(rf"\[({'|'.join(SIGNS)}|['`^\"=~.,-][A-Za-z]|[A-Za-z]\^)\]")


def number(digits):
    value = 0
    for digit in digits:
        value = 64 * value + DIGITS[digit]
    return value


def entries(root):
    """The entries of a package's dictionary in the order of the file, each once."""
    index = next(root.glob("usr/share/dictd/*.index"))
    data = gzip.decompress(index.with_suffix(".dict.dz").read_bytes())
    places = set()
    for line in decode(index.read_bytes()).split("\n"):
        fields = line.split("\t")
        if len(fields) >= 3:
            places.add((number(fields[1]), number(fields[2])))
    for start, size in sorted(places):
        entry = decode(data[start : start + size])
        if not entry.lstrip().startswith("00-database"):
            yield entry


def wordnet(root):
    """A line for each meaning, with the first of the words that share it."""
    known = set()
    for entry in entries(root):
        head, _, body = entry.strip("\n").partition("\n")
        part, lines = "", []
        for sense in re.split(r"\n\s+(?=(?:(?:n|v|adj|adv) )?\d*: |(?:n|v|adj|adv) \d+: )", "\n" + body):
            found = SENSE.fullmatch(unwrap(sense))
            if not found:
                continue
            part = found.group(1) or part
            text = BRACES.sub(r"\1", found.group(2))
            if (part, text) in known:
                continue
            known.add((part, text))
            text = RELATION.sub(lambda match: f". {RELATIONS[match.group(1)]}: {match.group(2)}.", text)
            lines.append(f"{head.strip()}, {PARTS_OF_SPEECH.get(part, part)}: {text.replace('..', '.')}")
        if lines:
            yield "\n".join(lines)


def sign(match):
    """The character that a mark in brackets means."""
    name = match.group(1)
    if name in SIGNS:
        return SIGNS[name]
    return name[0] + "\u0306" if name[1] == "^" else name[1] + ACCENTS[name[0]]


def without_etymology(head):
    """The first paragraph of an entry without the first bracket, which may have others in it."""
    found = re.search(r"\s\[", head)
    if not found:
        return head
    start, depth = found.start(), 0
    for place in range(start + 1, len(head)):
        depth += {"[": 1, "]": -1}.get(head[place], 0)
        if not depth:
            return head[:start] + head[place + 1 :]
    return head[:start]


def webster(root):
    """An entry is a paragraph with a line for the headword, and for each meaning and quotation."""
    for entry in entries(root):
        lines = []
        for position, block in enumerate(blocks(ADDED.sub("", entry.strip("\n")))):
            # Some entries end with the headword of the next one: only the first line is not indented.
            block = "\n".join(line for start, line in enumerate(block) if line[0] == " " or not position + start)
            if not position:
                block = without_etymology(PRONUNCIATION.sub("", block))
            block = BRACES.sub(lambda match: re.sub(r'[*`"]|\|\|', "", match.group(1)), block)
            block = SIGN.sub(sign, PRONUNCIATION.sub("", block))
            lines += [re.sub(r"\s+([,.;])", r"\1", unwrap(part)) for part in NUMBERED.split(block)]
        yield "\n".join(line for line in lines if line)


def computing(root):
    """Entries of the Free On-line Dictionary of Computing: headwords, a field in angle brackets, text and a date."""
    for entry in entries(root):
        found = [block for block in blocks(BRACES.sub(r"\1", entry))]
        if len(found) < 2:
            continue
        head = ", ".join(line.strip() for line in found[0])
        for position, block in enumerate(found[1:]):
            text = re.sub(r"^(\d+\. )?<[^<>]*> *", r"\1", unwrap("\n".join(block)))
            if not re.fullmatch(r"\([\d-]+\)|\[Jargon File\]", text):
                yield text if position else f"{head}: {text}"


def plain(root):
    """Entries without markup; what is indented is a poem or an example, and keeps its lines."""
    for entry in entries(root):
        for block in blocks(entry.replace("_", "")):
            if all(line.startswith("    ") for line in block):
                yield "\n".join(line.strip() for line in block)
            else:
                yield unwrap("\n".join(block))
