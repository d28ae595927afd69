"""Tests of scripts/corpus: tiny inputs of each format, and the paragraphs that are written."""

import gzip
import struct
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Benchmarks/corpus"))

import cleaning  # noqa: E402
import corpus  # noqa: E402
import dictionaries  # noqa: E402
import html_text  # noqa: E402
import packages  # noqa: E402
import plain_text  # noqa: E402
import rdata  # noqa: E402
import restructured  # noqa: E402
import sword  # noqa: E402
from works import Work  # noqa: E402

LONG = "It is a truth universally acknowledged, that a single man must be in want of a wife."


class Cleaning(unittest.TestCase):
    def test_characters_are_normalized(self):
        self.assertEqual(cleaning.normalize("cafe\u0301\u00a0 au\u200b  lait\r\n"), "caf\u00e9 au lait")

    def test_indentation_of_a_program_is_left(self):
        self.assertEqual(cleaning.normalize("if x:\n\ty  =  1\n\n"), "if x:\n        y = 1")

    def test_prose_loses_lines_that_are_mostly_not_letters(self):
        self.assertEqual(cleaning.clean("The end\n--- 12 --- 34 ---", prose=True), "The end")
        self.assertEqual(cleaning.clean("0x00 0x01 0x02 0x03", prose=False), "")

    def test_other_languages_are_dropped(self):
        german = (
            "Es ist eine allgemein anerkannte Wahrheit, dass ein Junggeselle im Besitz eines "
            "Vermögens nichts dringender braucht als eine Frau, so wenig auch sonst von seinen Gefühlen oder Ansichten "
            "bekannt sein mag, wenn er kommt."
        )
        self.assertEqual(cleaning.clean(german, prose=True), "")
        self.assertEqual(cleaning.clean("Это правда, известная всем", prose=False), "")
        self.assertEqual(cleaning.clean(LONG, prose=True), LONG)

    def test_old_files_are_decoded(self):
        self.assertEqual(cleaning.decode(b"caf\xe9 \x93so\x94"), "café “so”")


class Formats(unittest.TestCase):
    def test_html_has_no_navigation_and_programs_only_in_manuals(self):
        page = (
            "<head><title>T</title></head><div class='navheader'><p>Prev</p></div><h1>One</h1><p>Two <b>words</b>,\n"
            "&amp; more</p><pre>a\n  b</pre><table><tr><td>x</td><td>y</td></tr></table>"
        )
        self.assertEqual(html_text.paragraphs(page), ["One", "Two words, & more", "x y"])
        self.assertEqual(html_text.paragraphs(page, code=True), ["One", "Two words, & more", "a\n  b", "x y"])

    def test_restructured_text(self):
        page = (
            "Title\n=====\n\n.. module:: m\n   :synopsis: S\n\n"
            "Use :func:`~os.path.join` of /tmp.  It is in\n``__dict__``::\n\n"
            "   a = 1\n\n.. note::\n   Take *care* of `it <u>`_.\n\n"
            ".. method:: f(x)\n\n   Does g.\n\n.. comment\n   hidden\n\n- item"
        )
        expected = ["Title", "Use os.path.join of /tmp. It is in __dict__:", "a = 1", "Take care of it."]
        expected += ["f(x)", "Does g.", "item"]
        self.assertEqual(list(restructured.paragraphs(page)), expected)

    def test_pod(self):
        page = (
            "=head1 NAME\n\nA B<bold I<x>> L<link|perlop> E<gt> C<< a->b >>\nline\n\n    my $x;\n\n"
            "=begin x\n\nno\n\n=end x\n\n=over\n\n=item * one\n\n=back"
        )
        self.assertEqual(list(plain_text.pod_paragraphs(page)), ["NAME", "A bold x link > a->b line", "my $x;", "one"])

    def test_fortunes_are_rejoined(self):
        lines = ["A line that an editor broke because it is as long as this", "one.", "\t\t-- Somebody"]
        self.assertEqual(plain_text.rejoin(lines), f"{lines[0]} one.\n-- Somebody")

    def test_osis(self):
        text = (
            'In <w lemma="x">the</w> beginning<note>N</note> .<div sID="g" type="x-p"/>'
            'Lord &amp; <l sID="a"/>one<l eID="a"/><l sID="b"/>two'
        )
        self.assertEqual(list(sword.osis_paragraphs(text)), ["In the beginning.", "Lord &\none\ntwo"])

    def test_sword_entries(self):
        blocks = [zlib.compress(b"unused"), zlib.compress(b"first second")]
        index = struct.pack("<III", 0, len(blocks[0]), 6) + struct.pack("<III", len(blocks[0]), len(blocks[1]), 12)
        # Six entries of the one layout are as long as five of the other.
        places = [(1, 0, 5), (1, 6, 6), (1, 6, 6), (0, 0, 0), (1, 0, 5), (1, 6, 6)]
        for layout, count in (("<IIH", 6), ("<III", 5)):
            verses = b"".join(struct.pack(layout, *place) for place in places[:count])
            found = list(sword.testament_entries(index, verses, b"".join(blocks)))
            self.assertEqual(found, ["first", "second", "first", "second"][: count - 2])

    def test_r_data(self):
        def characters(text):
            return struct.pack(">II", 9, len(text)) + text.encode()

        data = b"X\n" + struct.pack(">III", 2, 0, 0) + struct.pack(">II", 16, 2) + characters("a") + characters("bc")
        self.assertEqual(rdata.Serialization(data).value(), ["a", "bc"])
        self.assertEqual(rdata.decompress(struct.pack(">I", len(data)) + zlib.compress(data)), data)

    def test_dictionaries(self):
        entry = (
            "Hate \\Hate\\ (h[=a]t), v. t.\n   [OE. haten; [root]36.]\n   1. To have a\n      {Ha\"tred} for.\n"
            "      [1913 Webster]\n\n            For hate. --Shak.\n"
        )
        expected = "Hate, v. t.\n1. To have a Hatred for.\nFor hate. --Shak."
        self.assertEqual(self.read(dictionaries.webster, entry), [expected])
        entry = "center\n    n 1: a middle; \"the center\"\n         [syn: {center}, {middle}]\n    v 1: move\n"
        expected = "center, noun: a middle; \"the center\". Synonyms: center, middle.\ncenter, verb: move"
        self.assertEqual(self.read(dictionaries.wordnet, entry), [expected])

    def read(self, reader, entry):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder, "usr/share/dictd")
            place.mkdir(parents=True)
            (place / "x.dict.dz").write_bytes(gzip.compress(entry.encode()))
            size = len(entry.encode())
            digits = "".join(list(dictionaries.DIGITS)[size >> shift & 63] for shift in (12, 6, 0))
            (place / "x.index").write_text(f"x\tA\t{digits}\ny\tA\t{digits}\n")
            return list(reader(Path(folder)))


class Corpus(unittest.TestCase):
    def texts(self, duplicates, *paragraphs, **options):
        return list(corpus.texts(Work("w", 0.1, ("p",), lambda root: paragraphs, **options), None, duplicates))

    def test_duplicates_and_what_is_held_out_are_dropped(self):
        duplicates = cleaning.Duplicates()
        self.assertEqual(self.texts(duplicates, LONG, held_out=True), [LONG])
        part = "He said: it is a truth universally acknowledged, that a single man must be in want of a horse."
        other = "Another paragraph that is longer than forty characters."
        self.assertEqual(self.texts(duplicates, LONG, part, other, other, "Yes.", "Yes."), [other, "Yes.", "Yes."])

    def test_a_file_appears_when_it_is_complete(self):
        def broken():
            yield "one"
            raise ValueError

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.txt")
            with self.assertRaises(ValueError):
                corpus.write(path, broken())
            self.assertFalse(path.exists())
            size, checksum = corpus.write(path, ["one", "two"])
            self.assertEqual((path.read_bytes(), size), (b"one\n\ntwo\n\n", 10))
            self.assertEqual(len(checksum), 64)

    def test_licenses(self):
        self.assertEqual(packages.license_name("Format: x\nFiles: *\nLicense: GPL-2+\n text"), "GPL-2+")
        self.assertEqual(packages.license_name("This file is in the public\n domain."), "public-domain")
        self.assertEqual(packages.license_name("All rights."), "see its copyright file")


if __name__ == "__main__":
    unittest.main()
