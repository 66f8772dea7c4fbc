"""The format of a file is that of its content; a format that is not read is named."""

import gzip
from pathlib import Path

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.readers.formats import detect_format

RDF = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
DOCTYPE = '<!DOCTYPE rdf:RDF [\n  <!ENTITY owl "http://www.w3.org/2002/07/owl#" >\n]>'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("format-version: 1.2\n", "OBO"),
        ("! a comment\nontology: x\n\n[Term]\nid: X:1\n", "OBO"),
        ("[Term]\nid: X:1\n", "OBO"),
        (RDF, "RDF/XML"),
        (f'\ufeff<?xml version="1.0"?>\n{DOCTYPE}\n<!-- <html> -->\n{RDF}', "RDF/XML"),
    ],
)
@pytest.mark.parametrize("suffix", ["obo", "owl", "txt"])
def test_what_is_read(tmp_path: Path, content: str, expected: str, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_text(content, encoding="utf-8")
    assert detect_format(path) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# a comment\n@prefix owl: <http://www.w3.org/2002/07/owl#> .\n", "it is Turtle, and"),
        ("PREFIX owl: <http://www.w3.org/2002/07/owl#>\n", "it is Turtle, and"),
        ("<http://a.example/1> <http://a.example/2> <http://a.example/3> .\n", "it is N-Triples or Turtle"),
        ("Prefix(:=<http://a.example/>)\nOntology(<http://a.example>\n)", "it is OWL functional syntax"),
        ("Prefix: owl: <http://www.w3.org/2002/07/owl#>\nOntology: <http://a.example>\n", "it is OWL Manchester syntax"),
        ('<?xml version="1.0"?>\n<Ontology xmlns="http://www.w3.org/2002/07/owl#"/>', "it is OWL/XML"),
        ('{"graphs": []}', "it is JSON"),
        ("<!DOCTYPE html>\n<html><body>404</body></html>", "it is a web page, and OBO and OWL as RDF/XML are read$"),
        ("<records/>", r"it is XML of an unknown kind \(<records>\)"),
        ("hello", "it is of an unknown format"),
        ("", "it is of an unknown format"),
        ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (gzip.compress(b"format-version: 1.2"), "compressed"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "a side file of macOS"),
        ("format-version: 1.2".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "x.owl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(KnowledgeError, match=rf"x\.owl .*{message}"):
        detect_format(path)


def test_the_message_says_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.owl"
    path.write_text("@prefix : <http://a.example/> .")
    with pytest.raises(KnowledgeError, match=r"RDF/XML are read; convert it.* robot convert --input x\.owl --format owl --output x\.rdf$"):
        detect_format(path)
