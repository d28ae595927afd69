"""Paragraphs of reStructuredText, without directives that say how a page looks."""

import re

from cleaning import dedent, unwrap
from html_text import in_order, read

# Directives without text of their own, and those whose argument is a heading; of others only the content is text.
SILENT = frozenset(
    "toctree image figure raw index contents only include literalinclude module moduleauthor sectionauthor highlight "
    "currentmodule tabularcolumns kernel-doc kernel-figure kernel-render graphviz meta csv-table list-table cssclass "
    "default-role role testsetup testcleanup doctest-skip py:currentmodule program table flat-table sectnum "
    "kernel-include kernel-abi kernel-feat ifconfig impl-detail-hidden availability deprecated-removed".split()
)
DIRECTIVE = re.compile(r"\.\. +(?:\|[^|]+\| +)?([A-Za-z][\w:.+-]*)::(?: +(.*))?$")
OPTION = re.compile(r":[\w-]+:(?: .*)?$")
ADORNMENT = re.compile(r"([=\-`:.'\"~^_*+#<>])\1{2,} *$")
BORDER = re.compile(r"[+|]?[-=+| ]{3,}[+|]?$")
BULLET = re.compile(r"\A(?:[-*+•]|\(?(?:\d+|[a-zA-Z#])[.)]) +")
FIELD = re.compile(r"\A:([\w -]+):(?:\s+|$)")
INLINE = [
    (re.compile(r"(?<!`)``([^`]+|`[^`]+`)``"), r"\1"),
    (re.compile(r":[\w:+.-]+:`!?~?([^`<]*?)\s*<[^`>]*>`"), r"\1"),
    (re.compile(r":[\w:+.-]+:`[!~]?([^`]*)`"), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{0,2}"), r"\1"),
    (re.compile(r"`([^`]+)`_{0,2}"), r"\1"),
    (re.compile(r"(?<![\w*])\*\*(?=\S)([^*]+?)(?<=\S)\*\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\s][^*]*?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"\s?\[#?[\w.-]*\]_(?!\w)"), ""),
    (re.compile(r"\|([A-Za-z][\w -]*)\|_{0,2}"), r"\1"),
    (re.compile(r"(?<!\w)([A-Za-z][A-Za-z0-9]*)__?(?=[\s.,;:)]|$)"), r"\1"),
    (re.compile(r"\\(?=[*`|_\\ ])"), ""),
]  # fmt: skip


def inline(text):
    for pattern, replacement in INLINE:
        text = pattern.sub(replacement, text)
    return text


def indentation(line):
    return len(line) - len(line.lstrip())


def section(lines, start):
    """The lines from `start` on that are indented or empty, and the position after them."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end][0] == " "):
        end += 1
    return lines[start:end], end


def paragraphs(text):
    """The paragraphs of a page."""
    yield from body([line.expandtabs(8).rstrip() for line in text.split("\n")])


def body(lines):
    """The paragraphs of lines that are not indented together."""
    place = 0
    while place < len(lines):
        line = lines[place]
        if not line:
            place += 1
        elif line[0] == " ":
            # A quotation, or the text under a term or a field.
            inner, place = section(lines, place)
            yield from body(dedent(inner).split("\n"))
        elif line.startswith(".. ") or line == "..":
            inner, after = section(lines, place + 1)
            yield from directive(line, inner)
            place = after
        else:
            place = yield from paragraph(lines, place)


def directive(line, inner):
    """The text of a directive, and of a footnote; comments and targets have none."""
    footnote = re.match(r"\.\. \[[^\]]*\] (.*)", line)
    found = DIRECTIVE.match(line)
    if footnote:
        rest = dedent(inner).split("\n\n")
        yield inline(unwrap(footnote.group(1) + " " + rest[0]))
        return
    if not found or found.group(1) in SILENT or line.startswith(".. |"):
        return
    name, argument = found.groups()
    # Options, and further arguments on lines of their own, end at the first empty line.
    lines = dedent(inner).split("\n")
    if inner and not inner[0]:
        lines.insert(0, "")
    while lines and OPTION.match(lines[0]):
        del lines[0]
        while lines and lines[0].startswith(" "):
            del lines[0]
    if "code" in name or name in ("parsed-literal", "productionlist", "doctest", "testcode", "sourcecode", "math"):
        yield "\n".join(lines).strip("\n")
        return
    if argument and not name.startswith(("versionadded", "versionchanged", "deprecated")):
        arguments = [argument]
        while name not in ("note", "warning", "tip", "seealso", "rubric") and lines and lines[0].strip():
            arguments.append(lines.pop(0).strip())
        yield "\n".join(inline(text) for text in arguments)
    yield from body(lines)


def paragraph(lines, place):
    """Text up to an empty line, and the program after `::`; returns the position after it."""
    text, literal = [], False
    while place < len(lines) and lines[place]:
        line = lines[place]
        if text and indentation(line) > 0 and len(text) == 1 and not BULLET.match(text[0]) and not FIELD.match(text[0]):
            # A term of a list of definitions, whose text is indented.
            break
        if text and (BULLET.match(line) or FIELD.match(line) or line.startswith("| ") or line.startswith(".. ")):
            break
        place += 1
        if ADORNMENT.match(line) and not line.startswith(">>>"):
            if text:
                break
            continue
        if not BORDER.match(line):
            text.append(line)
    joined = inline(unwrap(FIELD.sub(r"\1: ", BULLET.sub("", "\n".join(text), count=1), count=1)))
    if text and text[0].startswith(">>>"):
        yield "\n".join(text)
        return place
    if joined.endswith("::"):
        joined, literal = joined[:-2].rstrip() + ":" if joined[:-2].strip() else "", True
    joined = joined.replace(" | ", " ").strip("| ")
    if joined:
        yield joined
    if literal:
        inner, place = section(lines, place)
        yield dedent(inner)
    return place


def files(pattern, without=()):
    """A reader of the files of a package whose paths match, without those in the folders or of the names given."""

    def reader(root):
        for path in in_order(root, pattern):
            if not set(path.relative_to(root.resolve()).parts) & set(without):
                yield from paragraphs(read(path))

    return reader
