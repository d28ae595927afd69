"""The works of the corpus: where each is, how it is read, and whether it is held out."""

import dataclasses
from collections.abc import Callable

import dictionaries
import plain_text
import rdata
import restructured
import sword
from html_text import pages

PROSE, TECHNICAL = "prose", "technical"


@dataclasses.dataclass(frozen=True)
class Work:
    """A text. Of `packages`, releases have one or another: the first that is known to apt is taken."""

    name: str
    # The size of the text in MB, with the packages of Debian 12.
    megabytes: float
    packages: tuple[str, ...]
    reader: Callable
    kind: str = PROSE
    held_out: bool = False


def prose(name, megabytes, package, reader, **options):
    return Work(name, megabytes, (package,), reader, **options)


def technical(name, megabytes, packages, reader):
    return Work(name, megabytes, tuple(packages.split()), reader, TECHNICAL)


def novel(name, megabytes, variable, **options):
    return prose(name, megabytes, "r-cran-janeaustenr", rdata.novel(variable), **options)


FAQ_INDEX = (
    "links", "alinks", "arlinks", "biblio", "book", "contact", "index", "new", "pdf", "quotes", "supplementary",
    "translations", "", "append1", "append13", "append3", "append4",
)  # fmt: skip
DEBIAN = ("index", "ix", "apa", "search", "genindex", "copyright", "changelog", "changelog_history", "credits")

SQLITE_INDEX = ("doc_backlink_crossref", "doc_keyword_crossref", "doc_pagelink_crossref", "doc_target_crossref",
                "doclist", "docs", "keyword_index")  # fmt: skip

# Held out are a novel, a book of essays and a satirical dictionary: three kinds of prose, by authors of whom at most
# other novels are in the rest. Commentaries and bibles are not held out: they quote each other.
WORKS = (
    novel("persuasion", 0.5, "persuasion", held_out=True),
    prose("devils-dictionary", 0.4, "dict-devil", dictionaries.plain, held_out=True),
    prose("copyright-does-not-exist", 0.5, "cfi-en", pages("usr/share/doc/cfi-en/html/*.htm", without=("mainindex",)),
          held_out=True),  # fmt: skip
    novel("emma", 0.9, "emma"),
    novel("mansfield-park", 0.9, "mansfieldpark"),
    novel("northanger-abbey", 0.4, "northangerabbey"),
    novel("pride-and-prejudice", 0.7, "prideprejudice"),
    novel("sense-and-sensibility", 0.7, "sensesensibility"),
    prose("king-james-bible", 4.2, "sword-text-kjv", sword.module),
    prose("world-english-bible", 4.9, "sword-text-web", sword.module),
    prose("treasury-of-david", 11.8, "sword-comm-tdavid", sword.module),
    prose("concise-commentary", 3.8, "sword-comm-mhcc", sword.module),
    prose("anarchist-faq", 11.1, "anarchism", pages("usr/share/doc/anarchism/html/*.html", without=FAQ_INDEX)),
    prose("jargon-file", 1.4, "jargon-text", plain_text.jargon),
    prose("fortunes", 2.3, "fortunes", plain_text.fortunes),
    prose("fortunes-min", 0.1, "fortunes-min", plain_text.fortunes),
    prose("fortunes-anarchism", 0.2, "fortune-anarchism", plain_text.fortunes),
    prose("fortunes-debian-hints", 0.01, "fortunes-debian-hints", plain_text.fortunes),
    prose("cataclysm", 1.7, "cataclysm-dda-data", plain_text.game),
    prose("debian-handbook", 1.0, "debian-handbook", pages(
        "usr/share/doc/debian-handbook/html/en-US/*.html", without=DEBIAN)),
    prose("securing-debian", 0.4, "harden-doc", pages("usr/share/doc/harden-doc/html/en-US/*.html", without=DEBIAN)),
    prose("debian-faq", 0.1, "debian-faq", pages("usr/share/doc/debian/FAQ/*.en.html", without=DEBIAN)),
    prose("debian-history", 0.1, "debian-history", pages("usr/share/doc/debian-history/docs/*.en.html", without=DEBIAN)),
    technical("gcide", 25.8, "dict-gcide", dictionaries.webster),
    technical("wordnet", 13.9, "dict-wn", dictionaries.wordnet),
    technical("foldoc", 4.7, "dict-foldoc", dictionaries.computing),
    technical("elements", 0.1, "dict-elements", dictionaries.plain),
    technical("linux", 17.4, "linux-doc-6.1 linux-doc-6.12 linux-doc-6.8", restructured.files(
        "usr/share/doc/linux-doc*/Documentation/**/*.rst*", without=("translations",))),
    technical("python", 8.5, "python3.11-doc python3.13-doc python3.12-doc", restructured.files(
        "usr/share/doc/python3.*/html/_sources/**/*.rst.txt", without=("changelog.rst.txt",))),
    technical("developers-reference", 0.3, "developers-reference", restructured.files(
        "usr/share/developers-reference/_sources/*.rst.txt")),
    technical("perl", 6.2, "perl-doc", plain_text.pod),
    technical("postgresql", 6.4, "postgresql-doc-15 postgresql-doc-17 postgresql-doc-16", pages(
        "usr/share/doc/postgresql-doc-*/html/*.html", code=True, without=("bookindex", "biblio", "index"))),
    technical("sqlite", 4.5, "sqlite3-doc", pages(
        "usr/share/doc/sqlite3/**/*.html", code=True, without=SQLITE_INDEX)),
    technical("git", 2.8, "git-doc", pages("usr/share/doc/git/html/**/*.html", code=True)),
    technical("libreoffice", 3.6, "libreoffice-help-en-us", pages(
        "usr/share/libreoffice/help/en-US/text/**/*.html", code=True)),
    technical("debian-policy", 0.4, "debian-policy", pages("usr/share/doc/debian-policy/policy.html/*.html", code=True)),
    technical("debian-reference", 0.5, "debian-reference-en", pages(
        "usr/share/debian-reference/*.en.html", code=True, without=DEBIAN)),
    technical("kernel-handbook", 0.1, "debian-kernel-handbook", pages(
        "usr/share/doc/**/*.html", code=True, without=DEBIAN)),
)  # fmt: skip
