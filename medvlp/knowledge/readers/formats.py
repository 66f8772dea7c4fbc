"""Recognise the format of an ontology file by its content; the suffix decides only where the content does not."""

import codecs
import re
from pathlib import Path
from typing import Literal

from medvlp.errors import KnowledgeError

Format = Literal["OBO", "RDF/XML"]

_READ_BYTES = 1 << 20
_MAGIC = {
    b"\x1f\x8b": "compressed (gzip): unpack it",
    b"PK\x03\x04": "compressed (zip): unpack it",
    b"BZh": "compressed (bzip2): unpack it",
    b"\xfd7zXZ": "compressed (xz): unpack it",
    b"\x00\x05\x16\x07": "a side file of macOS, without content: give the file of the same name without ._",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file with git lfs pull",
    codecs.BOM_UTF16_LE: "UTF-16 text: convert it to UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16 text: convert it to UTF-8",
}
_PROLOGUE = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)", re.DOTALL)
_XML_ROOT = re.compile(r"\s*<(?:[\w.-]+:)?([\w.-]+)")
_OTHER = {
    "N-Triples or Turtle": re.compile(r"<(?:https?://|urn:|file:)[^<>\s]*>\s"),
    "Turtle": re.compile(r"@prefix\s|@base\s|prefix\s+[\w-]*:\s*<|base\s+<", re.IGNORECASE),
    "OWL functional syntax": re.compile(r"(?:Prefix|Ontology)\s*\("),
    "OWL Manchester syntax": re.compile(r"(?:Prefix|Ontology):\s*[\w-]*:?\s*<"),
    "JSON (OBO graph or JSON-LD)": re.compile(r"\{|\[\s*[{\]]"),
}
_OWL_XML = "OWL/XML"
_OBO = re.compile(r"^(?:\[Term\]|format-version\s*:)", re.MULTILINE | re.IGNORECASE)


def detect_format(path: Path) -> Format:
    """Return the format of a file.

    Raises:
        KnowledgeError: no reader reads it; the message names its format and says what to do.
    """
    with path.open("rb") as file:
        content = file.read(_READ_BYTES)
    for magic, meaning in _MAGIC.items():
        if content.startswith(magic):
            raise KnowledgeError(f"{path} is {meaning}")
    text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace").lstrip()
    found = _named(text)
    if found == "OBO" or (found is None and path.suffix.lower() == ".obo"):
        return "OBO"
    if found == "RDF/XML":
        return "RDF/XML"
    advice = f"; convert it, for example with ROBOT: robot convert --input {path.name} --format owl --output {path.stem}.rdf"
    raise KnowledgeError(
        f"{path} is not a supported ontology: it is {found or 'of an unknown format'}, and OBO and OWL as RDF/XML are read"
        + (advice if found in _OTHER or found == _OWL_XML else "")
    )


def _named(text: str) -> str | None:
    uncommented = re.sub(r"\A(?:\s*#[^\n]*\n)+", "", text).lstrip()
    for name, pattern in _OTHER.items():
        if pattern.match(uncommented):
            return name
    if not text.startswith("<"):
        return "OBO" if _OBO.search(text) else None
    while match := _PROLOGUE.match(text):
        text = text[match.end() :]
    root = match[1] if (match := _XML_ROOT.match(text)) else ""
    return {"rdf": "RDF/XML", "ontology": _OWL_XML, "html": "a web page"}.get(root.lower(), f"XML of an unknown kind (<{root}>)")
