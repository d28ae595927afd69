"""Bibles and commentaries of the SWORD project: compressed blocks of verses in OSIS."""

import html
import re
import struct
import zlib

from cleaning import decode

# Notes, variant readings and the marks of importers are not part of the text.
DROPPED = re.compile(r"<(note|rdg|catchWord)\b[^>]*?(?<!/)>.*?</\1>", re.DOTALL)
# What starts or ends a paragraph. Only books and paragraphs have types that start with these letters.
BREAK = re.compile(
    r'</?(?:title|row|table|item|list|speaker|lg)\b[^>]*>|<chapter\b[^>]*>|<lb\b[^>]*type="x-p"[^>]*>'
    r'|<div\b[^>]*type="(?:x-p|book|introduction|section|majorSection|colophon)[^>]*>|<milestone\b[^>]*marker="¶"[^>]*>'
)
LINE = re.compile(r"<l\b[^>]*sID=[^>]*>|<lb\b[^>]*>")
# Headings without words, and numbers of verses at the start or the end of a paragraph.
VERSE = re.compile(r"(?:Verses?|Chapter|Chapter Outline) ?[\d, -]*\.?")
NUMBERS = re.compile(r"^Verses? [\d, -]+ (?=\w)|(?<=[.?!])\s?\([\d:, -]+\)$")
TAG = re.compile(r"<[^>]*>")
# Marks of the format from which a module was made.
USFM = re.compile(r"¶|\\\+?[a-z]+\d?\*? ?")


def entries(folder):
    """The entries of a module in the order of the verses, which several verses may share."""
    for testament in ("ot", "nt"):
        for files in sorted(folder.glob(f"{testament}.?zs")):
            kind = files.suffix[1]
            index = files.read_bytes()
            verses = files.with_suffix(f".{kind}zv").read_bytes()
            data = files.with_suffix(f".{kind}zz").read_bytes()
            yield from testament_entries(index, verses, data)


def testament_entries(index, verses, data):
    """`verses` has for each verse a block, a start and a size in it; `index` has for each block its start and size."""
    count = len(index) // 12
    # The size of an entry has two bytes, or four in newer modules, in which the first interpretation has no sense.
    layout = next(layout for layout in ("<IIH", "<III") if fits(layout, verses, count))
    number, block, last = None, b"", None
    for place in struct.iter_unpack(layout, verses):
        if not place[2] or place == last:
            continue
        last = place
        if place[0] != number:
            number = place[0]
            start, size, _ = struct.unpack_from("<III", index, 12 * number)
            block = zlib.decompress(data[start : start + size])
        yield decode(block[place[1] : place[1] + place[2]])


def fits(layout, verses, count):
    return not len(verses) % struct.calcsize(layout) and all(
        block < count or not size for block, _, size in struct.iter_unpack(layout, verses)
    )


def osis_paragraphs(text):
    """The paragraphs of OSIS in which elements may start in one verse and end in another."""
    text = DROPPED.sub("", text.replace("\n", " "))
    # A title before a verse is its own paragraph, and so is a chapter; a line of a poem is a line.
    for part in BREAK.sub("\x1e", text).split("\x1e"):
        part = USFM.sub("", part)
        lines = [html.unescape(TAG.sub("", line)) for line in LINE.sub("\x1f", part).split("\x1f")]
        lines = [re.sub(r"\s+([,.;:?!])", r"\1", " ".join(line.split())) for line in lines]
        lines = [line for line in lines if line]
        if lines and not VERSE.fullmatch(lines[0]):
            yield NUMBERS.sub("", "\n".join(lines))


def module(root):
    """A reader of the module of a package."""
    for folder in sorted({path.parent for path in root.glob("usr/share/sword/modules/**/*.?zs")}):
        yield from osis_paragraphs(" ".join(entries(folder)))
