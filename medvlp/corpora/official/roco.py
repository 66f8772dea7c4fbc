"""ROCO: radiology figures of PubMed Central with their captions (Pelka et al. 2018).

Reads the radiology part: ``{train,validation,test}/radiology/captions.txt`` (id, tab, caption), ``dlinks.txt`` (id, command, name of
the figure) and ``images/<id>.jpg``, in ``data/`` of the official repository or in a folder that holds the splits itself; validation
may be called ``val``. Sentences that refer to a figure come with MedICaT, in ``roco_{train,val,test}_references.jsonl``
(fields roco_image_id, gorc_references); ``references`` names the folder of these files.
"""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.json_files import JsonLines
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import FileName, FilledText, RowSchema, Text, Texts, wrong
from medvlp.corpora.source.tables import FieldFile
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.data.sample import count_words
from medvlp.values import CountOrZero, Share

_FOLDERS = {TRAIN: ("train",), VALIDATION: ("validation", "val"), TEST: ("test",)}
_REFERENCES = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
_RETRIEVAL_SEED, _RETRIEVAL_IMAGES = 42, 2000
_ARTICLE = re.compile(r"/([^/\s.]+)\.[^/\s]+(?:\s|$)")
"""The article in a command of ``dlinks.txt``, which fetches ``…/PMC123.tar.gz``."""


def _article(command: str) -> str:
    found = _ARTICLE.search(command)
    return found[1] if found else wrong("names no article")


class _Caption(RowSchema):
    identifier: FileName
    caption: Text


class _Link(RowSchema):
    identifier: FilledText
    article: Annotated[Text, AfterValidator(_article), Field(alias="command")]
    figure: FilledText


class _References(RowSchema):
    figure: Text = Field(default="", alias="roco_image_id")
    references: Texts = Field(default=(), alias="gorc_references")


def open_roco(
    root: Path, *, references: str = "", retrieval: bool = False, minimum_words: CountOrZero = 3, maximum_missing: Share = MAXIMUM_MISSING
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder of the splits, or the one that holds it as ``data``.
        references: folder of MedICaT's references to these figures; absolute or inside ``root``. They come before the caption.
        retrieval: the retrieval benchmark of ARL: captions only, and 2,000 images each of validation and test, drawn with its seed.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    layout = "{train,validation,test}/radiology/captions.txt, dlinks.txt and images/"
    folder = SourceFolder(root / "data" if (root / "data" / "train").is_dir() else root, "roco", layout, maximum_missing)
    items = {split: list(_items(folder, split, references if not retrieval else "")) for split in _FOLDERS}
    if retrieval:
        items = _retrieval(items, minimum_words)
    return FileCorpus.hold(folder, items, public=False, minimum_words=minimum_words)


def _items(folder: SourceFolder, split: str, references: str) -> Iterator[Item]:
    captions = folder.file(*(f"{name}/radiology/captions.txt" for name in _FOLDERS[split]))
    place = captions.parent.relative_to(folder.root).as_posix()
    said = _references(folder, split, references, place) if references else {}
    for row in folder.rows(FieldFile(captions, ("identifier", "caption"), "\t"), _Caption):
        identifier = row.fields.identifier
        texts = (*said.get(identifier, ()), row.fields.caption)
        yield Item(image=f"{place}/images/{identifier}.jpg", texts=texts, source_id=identifier)


def _references(folder: SourceFolder, split: str, references: str, place: str) -> dict[str, tuple[str, ...]]:
    """Read sentences by id. The files name a figure by its article and file name, which ``dlinks.txt`` maps to the id."""
    links = FieldFile(folder.file(f"{place}/dlinks.txt"), ("identifier", "command", "figure"), "\t")
    identifiers = {f"{row.fields.article}_{row.fields.figure.strip()}": row.fields.identifier for row in folder.lookup(links, _Link)}
    file = JsonLines(folder.file(f"{references}/roco_{_REFERENCES[split]}_references.jsonl"))
    return {
        identifiers[row.fields.figure]: row.fields.references
        for row in folder.lookup(file, _References)
        if row.fields.references and row.fields.figure in identifiers
    }


def _retrieval(items: dict[str, list[Item]], minimum_words: int) -> dict[str, list[Item]]:
    """Sample as ARL's preparation does: one generator shuffles training, validation and test, in this order."""
    generator = random.Random(_RETRIEVAL_SEED)
    for of_split in items.values():
        generator.shuffle(of_split)
    for split in (VALIDATION, TEST):
        usable = [item for item in items[split] if count_words(item.texts[0]) >= minimum_words]
        items[split] = usable[:_RETRIEVAL_IMAGES]
    return items
