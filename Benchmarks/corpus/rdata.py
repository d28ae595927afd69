"""The novels in a package of GNU R: character vectors in R's serialization.

Format: "R Internals", section 1.8. Only what such data contain is read.
"""

import bz2
import gzip
import lzma
import struct
import zlib

from cleaning import unwrap

# Types of values, as R numbers them.
SYMBOL, PAIRS, LOGICAL, INTEGER, REAL, CHARACTERS, STRINGS, LIST = 1, 2, 10, 13, 14, 9, 16, 19
NULL, REFERENCE, MISSING = 254, 255, 0xFFFFFFFF


class Serialization:
    """Reads one value in the XDR format of version 2 or 3."""

    def __init__(self, data):
        if data[:2] != b"X\n":
            raise ValueError("R data: expected the XDR format")
        self.data, self.place, self.symbols = data, 2, []
        version, _, _ = (self.integer() for _ in range(3))
        if version == 3:
            self.bytes(self.integer())

    def bytes(self, count):
        self.place += count
        return self.data[self.place - count : self.place]

    def integer(self):
        return struct.unpack(">I", self.bytes(4))[0]

    def value(self):
        flags = self.integer()
        kind, has_attributes, has_tag = flags & 0xFF, flags & 0x200, flags & 0x400
        if kind == NULL:
            return None
        if kind == SYMBOL:
            self.symbols.append(self.value())
            return self.symbols[-1]
        if kind == REFERENCE:
            return self.symbols[(flags >> 8 or self.integer()) - 1]
        if kind == PAIRS:
            return self.pairs(has_attributes, has_tag)
        length = self.integer()
        if kind == CHARACTERS:
            # Bit 2 of the levels says Latin-1; anything else is ASCII or UTF-8.
            return None if length == MISSING else self.bytes(length).decode("latin-1" if flags >> 12 & 4 else "utf-8")
        if kind in (LOGICAL, INTEGER):
            found = list(struct.unpack(f">{length}i", self.bytes(4 * length)))
        elif kind == REAL:
            found = list(struct.unpack(f">{length}d", self.bytes(8 * length)))
        elif kind in (STRINGS, LIST):
            found = [self.value() for _ in range(length)]
        else:
            raise ValueError(f"R data: type {kind}: expected a vector or a list")
        attributes = self.value() if has_attributes else {}
        if kind == LIST and "names" in attributes:
            return dict(zip(attributes["names"], found))
        return found

    def pairs(self, has_attributes, has_tag):
        found = {}
        while True:
            if has_attributes:
                self.value()
            tag = self.value() if has_tag else len(found)
            found[tag] = self.value()
            flags = self.integer()
            if flags & 0xFF != PAIRS:
                return found
            has_attributes, has_tag = flags & 0x200, flags & 0x400


def decompress(data):
    """A value of a database: its size, and data by zlib or, after a letter, by bzip2 or xz."""
    kind, size = data[4:5], struct.unpack(">I", data[:4])[0]
    if kind == b"2":
        return bz2.decompress(data[5:])
    if kind == b"Z":
        # xz's LZMA2 without a header.
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(data[5:], size)
    return zlib.decompress(data[4:])


def novel(name):
    """A reader of the novel that is the variable `name`: lines, and empty ones between paragraphs."""

    def reader(root):
        base = next(root.glob("usr/lib/R/site-library/*/data/Rdata.rdx"))
        index = base.read_bytes()
        try:
            index = gzip.decompress(index)
        except gzip.BadGzipFile:
            index = zlib.decompress(index)
        place, size = Serialization(index).value()["variables"][name]
        lines = Serialization(decompress(base.with_suffix(".rdb").read_bytes()[place : place + size])).value()
        for block in "\n".join(line.strip() for line in lines).split("\n\n"):
            yield unwrap(block).replace("_", "").replace("--", "—")

    return reader
