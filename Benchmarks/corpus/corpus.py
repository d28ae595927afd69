"""Writes training text from Debian packages (scripts/corpus)."""

import argparse
import collections
import hashlib
import itertools
import json
import lzma
import signal
import struct
import sys
import zlib
from pathlib import Path

import packages
from cleaning import Duplicates, clean
from packages import CorpusError
from works import PROSE, WORKS

# How many paragraphs must pass before a short one may occur again: pages of manuals repeat their headings.
DISTANCE = 4


def say(text):
    print(f"corpus: {text}", flush=True)


def texts(work, root, duplicates):
    """The paragraphs of a work as they are written."""
    recent = collections.deque(maxlen=DISTANCE)
    for paragraph in work.reader(root):
        text = clean(paragraph, work.kind == PROSE)
        if not text or duplicates.seen(text) or work.kind != PROSE and text in recent:
            continue
        recent.append(text)
        if work.held_out:
            duplicates.hold_out(text)
        elif duplicates.overlaps(text):
            continue
        yield text


def write(path, paragraphs):
    """Writes paragraphs with empty lines between them to a file that appears when it is complete.

    Returns its bytes and checksum.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    checksum, size = hashlib.sha256(), 0
    with open(partial, "wb") as file:
        for text in paragraphs:
            data = text.encode() + b"\n\n"
            file.write(data)
            checksum.update(data)
            size += len(data)
    if size:
        partial.replace(path)
    else:
        partial.unlink()
    return size, checksum.hexdigest()


class Corpus:
    """The folder: packages as they were fetched, texts, and what is said about them."""

    def __init__(self, folder):
        self.folder, self.duplicates = folder, Duplicates()
        self.files, self.licenses, self.missing = [], {}, []
        manifest = folder / "manifest.json"
        self.earlier = json.loads(manifest.read_text())["files"] if manifest.exists() else []

    def make(self, works):
        """Fetches all packages first, then writes the texts."""
        found = {}
        for work in works:
            if work.packages not in found:
                found[work.packages] = packages.find(work.packages)
            if not found[work.packages]:
                self.leave_out(work, f"{work.packages[0]}: apt knows no such package")
        works = [work for work in works if found[work.packages]]
        if not works:
            raise CorpusError("apt knows none of the packages: expected package lists, as from: sudo apt-get update")
        fetched = {
            package: packages.fetch(package, self.folder / "packages", say)
            for package in dict.fromkeys(found[work.packages] for work in works)
        }
        # Works of a package follow each other, so that it is unpacked once for those that are held out or not.
        for package, group in itertools.groupby(works, key=lambda work: found[work.packages]):
            with packages.unpacked(fetched[package], self.folder / "unpacked.partial") as root:
                self.licenses.setdefault(package.name, packages.copyright_text(package, root))
                for work in group:
                    self.add(work, package, root)
        self.finish()

    def leave_out(self, work, reason):
        self.missing.append(work.name)
        say(f"{reason}: {work.name} is left out, which has {work.megabytes} MB")

    def add(self, work, package, root):
        name = f"held-out/{work.name}.txt" if work.held_out else f"train/{work.kind}-{work.name}.txt"
        reason = "no text found"
        try:
            size, checksum = write(self.folder / name, texts(work, root, self.duplicates))
        except (RuntimeError, LookupError, ValueError, EOFError, struct.error, zlib.error, lzma.LZMAError) as error:
            # Another version of the package may have another format.
            size, reason = 0, f"not the format that is known: {error}"
        if not size:
            self.leave_out(work, f"{package.name} {package.version}: {reason}")
            return
        say(f"{name}: {size / 1e6:.2f} MB")
        self.files.append({
            "file": name, "kind": work.kind, "held_out": work.held_out, "package": package.name,
            "version": package.version, "license": packages.license_name(self.licenses[package.name]),
            "bytes": size, "sha256": checksum,
        })  # fmt: skip

    def finish(self):
        """Removes the files that an earlier run wrote and this one did not, and writes the licenses and, last, the manifest."""
        names = {entry["file"] for entry in self.files}
        for entry in self.earlier:
            if entry["file"] not in names:
                (self.folder / entry["file"]).unlink(missing_ok=True)
        for name in {entry["package"] for entry in self.files}:
            write(self.folder / "licenses" / f"{name}.txt", [self.licenses[name]] if self.licenses[name] else [])
        rows = [
            f"| {entry['file']} | {entry['package']} {entry['version']} | {entry['license']} |" for entry in self.files
        ]
        head = "# Licenses\n\nThe copyright file of each package is in licenses/. It says what may be done with a work."
        write(self.folder / "LICENSES.md", [head, "\n".join(["| file | package | license |", "|---|---|---|", *rows])])
        totals = collections.Counter()
        for entry in self.files:
            totals["held-out" if entry["held_out"] else f"train {entry['kind']}"] += entry["bytes"]
        manifest = {"files": self.files, "bytes": dict(totals), "left_out": self.missing}
        write(self.folder / "manifest.json", [json.dumps(manifest, indent=2, ensure_ascii=False)])
        say(", ".join(f"{kind}: {size / 1e6:.1f} MB" for kind, size in totals.items()) + f", in {self.folder}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/corpus", description="Makes training text from Debian packages.")
    parser.add_argument("--technical", action="store_true", help="also dictionaries, manuals and references")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to make, or to go on with")
    arguments = parser.parse_args()
    try:
        packages.require_tools()
        if arguments.folder.exists() and not arguments.folder.is_dir():
            raise CorpusError(f"{arguments.folder}: expected a folder")
        arguments.folder.mkdir(parents=True, exist_ok=True)
        Corpus(arguments.folder.absolute()).make([w for w in WORKS if w.kind == PROSE or arguments.technical])
    except (CorpusError, OSError) as error:
        sys.exit(f"corpus: {error}")
    except KeyboardInterrupt:
        say("interrupted; the same command goes on")
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
