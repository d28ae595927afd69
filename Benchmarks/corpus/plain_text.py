"""Paragraphs of formats with little markup: Perl's POD, fortunes, the Jargon File, and the texts of a game."""

import json
import re

from cleaning import blocks, dedent, unwrap
from html_text import read

ESCAPES = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/", "nbsp": " "}
POD_CODE = re.compile(r"([A-Z])(?:<<+ +(.*?) +>>+|<([^<>]*)>)", re.DOTALL)
TRANSLATIONS = frozenset(("perlcn", "perljp", "perlko", "perltw"))
# Fortunes that are not prose: drawings of characters, and the protocol of a chat.
DRAWINGS = frozenset(("ascii-art", "knghtbrd"))
# Authors whose works are held out, and whom fortunes quote in sentences too short to be found by comparison.
HELD_OUT = re.compile("Bierce|Austen")
# Lines as long as these were broken by an editor; shorter ones end where the author wanted.
BROKEN = 50
# Lines that start something: a speaker, a question, an answer, who said it, an item of a list.
START = re.compile(r"\s*(?:<|\* |[QA]:|--|\(?\d+[.)]|\(?[A-Z][a-z]+:)")
# Keys of the game's data whose values are texts for players.
TEXTS = frozenset(
    "description text dynamic_line messages offer advice success success_lie failure accepted rejected yes no inquire "
    "accepted_lie denied job_description sound info msg message".split()
)


def pod_code(match):
    """The text of a formatting code, such as B<bold>, L<text|target> and E<gt>."""
    code, text = match.group(1), match.group(2) if match.group(2) is not None else match.group(3)
    if code in "XZ":
        return ""
    if code == "E":
        return ESCAPES.get(text) or (chr(int(text, 0)) if re.fullmatch(r"0x[0-9a-fA-F]+|[1-9]\d*", text) else "")
    if code == "L":
        text = text.partition("|")[0] if "|" in text else text.strip("/").replace('"', "").replace("/", ", ")
    # What was in angle brackets must not look like a code again.
    return text.replace("<", "\x1c").replace(">", "\x1d")


def pod_inline(text):
    last = None
    while last != text:
        last, text = text, POD_CODE.sub(pod_code, text)
    return text.replace("\x1c", "<").replace("\x1d", ">")


def pod_paragraphs(text):
    """The paragraphs of POD; lines that are indented are a program."""
    hidden, program = None, []
    for block in blocks(text):
        if block[0].startswith((" ", "\t")) and not hidden:
            program += ["", *block]
            continue
        if program:
            yield dedent(program)
            program = []
        command, _, rest = unwrap("\n".join(block)).partition(" ")
        if command in ("=begin", "=cut"):
            hidden = command
        elif command == "=end" or command == "=pod" or hidden == "=cut" and command.startswith("="):
            hidden = None
        if hidden or command in ("=over", "=back", "=for", "=encoding", "=end", "=pod"):
            continue
        if command.startswith("="):
            rest = re.sub(r"^(?:\*|\d+\.?)(?: +|$)", "", rest) if command == "=item" else rest
            yield pod_inline(rest)
        else:
            yield pod_inline(unwrap("\n".join(block)))
    if program:
        yield dedent(program)


def pod(root):
    """Perl's manual; not the translations of its overview, nor the table of contents and lists of characters."""
    for path in sorted(root.glob("usr/share/perl/*/pod/*.pod")):
        if path.stem not in TRANSLATIONS | {"perltoc", "perluniprops"}:
            yield from pod_paragraphs(read(path))


def rejoin(lines):
    """Lines without the breaks of an editor: a line continues a long one unless it is indented further."""
    found, length, indent = [], 0, 0
    for line in lines:
        line, text = line.rstrip().expandtabs(8), unwrap(line)
        deeper, indent = len(line) - len(line.lstrip()) > indent, len(line) - len(line.lstrip())
        if found and length >= BROKEN and not deeper and not START.match(line):
            found[-1] += " " + text
        elif text:
            found.append(text)
        length = len(line)
    return "\n".join(found)


def fortunes(root):
    """A fortune is a paragraph; links are other names, and folders are other languages."""
    for path in sorted(root.glob("usr/share/games/fortunes/*")):
        if path.is_file() and not path.is_symlink() and not path.suffix and path.name not in DRAWINGS:
            for fortune in re.split(r"^%\n", read(path), flags=re.MULTILINE):
                if not HELD_OUT.search(fortune):
                    # Overstrikes: what was underlined on a printer.
                    yield rejoin(re.sub(".\x08", "", fortune).strip("\n").split("\n"))


def jargon(root):
    """The Jargon File without its table of contents."""
    text = read(next(root.glob("usr/share/doc/jargon-text/jargon.txt*")))
    start = "Welcome to the Jargon File\n"
    for block in blocks(text[text.index(start, text.index(start) + 1) :]):
        # A line of a few words is one of the list of all entries.
        if len(block) == 1 and len(block[0]) < 45 and block[0].strip()[-1] not in ".:!?,;":
            continue
        # Braces mark other entries, and colons the headword.
        joined = re.sub(r"^ *:([^:]+):", r"\1:", re.sub(r"\{([^{}]*)\}", r"\1", "\n".join(block)))
        yield dedent(joined.split("\n")) if block[-1].startswith("     ") else unwrap(joined)


def game_texts(value, key=""):
    """The texts for players in a value of JSON."""
    if isinstance(value, str) and key in TEXTS and len(value) >= 60:
        text = re.sub(r"</?(?:color|info|good|bad|neutral|header)[^<>]*>", "", value)
        if not re.search(r"[<>]|%[sd]|\$[a-z]", text):
            yield from text.split("\n")
    elif isinstance(value, list):
        for element in value:
            yield from game_texts(element, key)
    elif isinstance(value, dict):
        for name, element in value.items():
            yield from game_texts(element, key if name in ("str", "str_sp") else name)


def game(root):
    for path in sorted(root.glob("usr/share/games/cataclysm-dda/json/**/*.json")):
        yield from game_texts(json.loads(path.read_text(encoding="utf-8")))
