"""Paragraphs of HTML: what a reader sees of a page, without its navigation."""

import gzip
import re
from html.parser import HTMLParser

from cleaning import decode, dedent, unwrap

# Elements that start and end a paragraph.
BLOCKS = frozenset(
    "address article blockquote body caption center dd div dl dt fieldset figcaption figure form h1 h2 h3 h4 h5 h6 hr "
    "li main ol p pre section table tbody td th thead tr ul".split()
)
# Cells of a row are one paragraph, unless they contain paragraphs themselves.
CELLS = frozenset(("td", "th"))
# Elements that are not part of the text.
HIDDEN = frozenset("aside button footer head header nav noscript script select style svg textarea title".split())
# Classes and ids of navigation in the pages of DocBook, Publican, Sphinx, AsciiDoc, LibreOffice and SQLite.
NAVIGATION = frozenset(
    "banner docnav footer header headerlink navfooter navheader navigation-footer navigation-header navheader1 related "
    "sphinxsidebar toc toc-box toctree-wrapper toctitle footer-text breadcrumbs legalnotice footnotes-list "
    "menu searchmenu fancy_toc tagline nosearch list-of-figures list-of-tables list-of-examples index bibliography "
    "colophon".split()
)
# Paragraphs that are links to other pages.
BUTTONS = frozenset(("INDEX", "Prev", "Next", "Up", "Home", "Contents"))
VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())


class Paragraphs(HTMLParser):
    """Collects the paragraphs of a page. `code` keeps preformatted text line by line; otherwise it is dropped."""

    def __init__(self, code):
        super().__init__(convert_charrefs=True)
        self.code = code
        self.found, self.parts = [], []
        # The element that is skipped and how many of its kind are open; the preformatted elements that are open.
        self.skipped, self.depth, self.preformatted = None, 0, 0

    def flush(self):
        text = "".join(self.parts)
        self.parts = []
        if self.preformatted:
            text = dedent(text.split("\n")) if self.code else ""
        else:
            text = unwrap(text)
        if text.strip() and text not in BUTTONS:
            self.found.append(text)

    def handle_starttag(self, tag, attributes):
        if self.skipped:
            self.depth += tag == self.skipped
            return
        values = dict(attributes)
        names = {*(values.get("class") or "").split(), values.get("id")}
        if tag not in VOID and (tag in HIDDEN or names & NAVIGATION or (tag, values.get("id")) == ("p", "title")):
            self.skipped, self.depth = tag, 1
            return
        if tag in CELLS:
            self.parts.append(" ")
        elif tag in BLOCKS:
            self.flush()
            self.preformatted += tag == "pre"
        elif tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag):
        if self.skipped:
            self.depth -= tag == self.skipped
            if not self.depth:
                self.skipped = None
            return
        if tag in BLOCKS and tag not in CELLS:
            self.flush()
            if tag == "pre":
                self.preformatted = max(0, self.preformatted - 1)

    def handle_data(self, data):
        if not self.skipped:
            self.parts.append(data)


def paragraphs(page, code=False):
    """The paragraphs of a page that is given as text."""
    parser = Paragraphs(code)
    parser.feed(page)
    parser.close()
    parser.flush()
    return parser.found


def read(path):
    """The text of a file that may be compressed."""
    data = path.read_bytes()
    return decode(gzip.decompress(data) if path.suffix == ".gz" else data)


def in_order(root, pattern):
    """The files whose paths match, chapter 2 before chapter 10; links within the package are not followed twice."""
    root = root.resolve()
    found = {path.resolve() for path in root.glob(pattern)}

    def key(path):
        return [(int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", str(path))]

    return sorted((path for path in found if path.is_file() and path.is_relative_to(root)), key=key)


def pages(pattern, code=False, without=()):
    """A reader of the pages of a package whose paths match, sorted by path, without those whose names are given."""

    def reader(root):
        for path in in_order(root, pattern):
            if path.name.split(".")[0] not in without:
                yield from paragraphs(read(path), code)

    return reader
