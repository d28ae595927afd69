"""Plain English paragraphs out of what the readers find: Unicode, line breaks, and what is dropped.

A paragraph is a string. A newline in it is meant, as in a poem or a program; everything else is one line.
"""

import re
import unicodedata

# Characters that are not seen, and characters of other shapes that stand for a space or a newline.
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd]|[\x00-\x08\x0e-\x1f\x7f-\x9f]")
SPACES = re.compile("[\t\v\f\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
NEWLINES = re.compile("\r\n?|[\u2028\u2029\x85]")

# The words that English prose cannot avoid; of its words they are about two fifths.
COMMON = frozenset(
    "the of and to in a is that it for as with be on not was he his by are this or at from but have an they which you "
    "all we their has were if my will one so no there what i her she him when who them do can your more our me than "
    "its into would these been may shall thou thy unto".split()
)
URL = re.compile(r"\(?\b(?:https?|ftp)://\S+")
WORD = re.compile(r"[a-z0-9]+(?:['’][a-z]+)?")

# Shorter paragraphs, such as headings and answers in a dialog, may occur often.
SHORTEST_DUPLICATE = 40
# Words in a row that two works share only if one has the text of the other; the length is GPT-3's.
OVERLAP = 13


def decode(data):
    """Text of a file in UTF-8, or in the Windows encoding that old English files have."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def unwrap(text):
    """One line of a paragraph that was broken into lines."""
    return " ".join(text.split())


def dedent(lines):
    """The lines without the spaces that all of them start with."""
    lines = [line.expandtabs(8) for line in lines]
    shared = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[shared:].rstrip() for line in lines).strip("\n")


def blocks(text):
    """The lines of each block between blank lines."""
    for block in re.split(r"\n(?:[ \t]*\n)+", NEWLINES.sub("\n", text)):
        if block.strip():
            yield block.strip("\n").split("\n")


def normalize(text):
    """NFC without invisible characters; runs of spaces are one space, except at the start of a line of several."""
    text = INVISIBLE.sub("", NEWLINES.sub("\n", unicodedata.normalize("NFC", text)))
    lines = [SPACES.sub(" ", line.expandtabs(8)).rstrip() for line in text.split("\n")]
    lines = [line for line in lines if line]
    if len(lines) == 1:
        return " ".join(lines[0].split())
    indents = [len(line) - len(line.lstrip(" ")) for line in lines]
    return "\n".join(" " * indent + " ".join(line.split()) for indent, line in zip(indents, lines))


def letters(text):
    """The fraction of letters among the characters that are not spaces."""
    count = sum(not character.isspace() for character in text)
    return sum(character.isalpha() for character in text) / count if count else 0.0


def is_latin(text):
    """False for text of another script."""
    return sum(character.isalpha() and ord(character) > 0x24F for character in text) <= 0.1 * len(text)


def is_english(text):
    """False for text of another script, and for a longer one almost without the common words of English."""
    if not is_latin(text):
        return False
    words = WORD.findall(text.lower())
    return len(words) < 30 or sum(word in COMMON for word in words) >= 0.12 * len(words)


def clean(paragraph, prose):
    """The paragraph as it is written, or "" if it is dropped; `prose` drops lines that are mostly not letters."""
    text = normalize(paragraph)
    lines = text.split("\n")
    if prose:
        lines = [line for line in lines if letters(line) >= 0.6]
    text = "\n".join(lines)
    if letters(text) < (0.6 if prose else 0.45):
        return ""
    if len(URL.sub("", text)) < 0.5 * len(text):
        return ""
    return text if (is_english(text) if prose else is_latin(text)) else ""


class Duplicates:
    """What was written before: paragraphs, and word sequences of the works that are held out."""

    def __init__(self):
        self.paragraphs = set()
        self.held_out = set()

    @staticmethod
    def sequences(text):
        words = WORD.findall(text.lower())
        return (" ".join(words[start : start + OVERLAP]) for start in range(len(words) - OVERLAP + 1))

    def seen(self, text):
        """Whether the paragraph was written before; it is remembered."""
        if len(text) < SHORTEST_DUPLICATE:
            return False
        key = text.lower()
        if key in self.paragraphs:
            return True
        self.paragraphs.add(key)
        return False

    def hold_out(self, text):
        self.held_out.update(self.sequences(text))

    def overlaps(self, text):
        """Whether the paragraph has a sequence of words of a work that is held out."""
        return any(sequence in self.held_out for sequence in self.sequences(text))
