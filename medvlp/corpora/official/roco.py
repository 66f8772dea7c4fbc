"""ROCO: radiology figures of PubMed Central with their captions (Pelka et al. 2018).

Reads the radiology part: ``{train,validation,test}/radiology/captions.txt`` (id, tab, caption), ``dlinks.txt`` (id, command, name of
the figure) and ``images/<id>.jpg``, in ``data/`` of the official repository or in a folder that holds the splits itself; validation
may be called ``val``. Sentences that refer to a figure come with MedICaT, in ``roco_{train,val,test}_references.jsonl``
(fields roco_image_id, gorc_references); ``references`` names the folder of these files.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import JsonLines, read_fields
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.data.sample import long_enough

_FOLDERS = {TRAIN: ("train",), VALIDATION: ("validation", "val"), TEST: ("test",)}
_REFERENCES = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
_RETRIEVAL_SEED, _RETRIEVAL_IMAGES = 42, 2000


def open_roco(
    root: Path, *, references: str = "", retrieval: bool = False, minimum_words: int = 3, maximum_missing: float = MAXIMUM_MISSING
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder of the splits, or the one that holds it as ``data``.
        references: folder of MedICaT's references to these figures; absolute or inside ``root``. They come before the caption.
        retrieval: the retrieval benchmark of ARL: captions only, and 2,000 images each of validation and test, drawn with its seed.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    layout = "{train,validation,test}/radiology/captions.txt, dlinks.txt and images/"
    folder = SourceFolder(root / "data" if (root / "data" / "train").is_dir() else root, "roco", layout)
    items = {split: list(_items(folder, split, references if not retrieval else "")) for split in _FOLDERS}
    if retrieval:
        items = _retrieval(items, minimum_words)
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=False, minimum_words=minimum_words)


def _items(folder: SourceFolder, split: str, references: str) -> Iterator[Item]:
    captions = folder.file(*(f"{name}/radiology/captions.txt" for name in _FOLDERS[split]))
    place = captions.parent.relative_to(folder.root).as_posix()
    said = _references(folder, split, references, place) if references else {}
    for identifier, caption in read_fields(captions, 2, "\t"):
        texts = (*said.get(identifier, ()), caption)
        yield Item(image=f"{place}/images/{identifier}.jpg", texts=texts, source_id=identifier)


def _references(folder: SourceFolder, split: str, references: str, place: str) -> dict[str, list[str]]:
    """Read sentences by id. The files name a figure by its article and file name, which ``dlinks.txt`` maps to the id."""
    identifiers = {}
    for identifier, command, figure in read_fields(folder.file(f"{place}/dlinks.txt"), 3, "\t"):
        article = command.split(" ")[2].rsplit("/", 1)[-1].split(".")[0]
        identifiers[f"{article}_{figure.strip()}"] = identifier
    file = JsonLines(folder.file(f"{references}/roco_{_REFERENCES[split]}_references.jsonl"))
    return {
        identifiers[row["roco_image_id"]]: row["gorc_references"]
        for _, row in file.rows()
        if row.get("gorc_references") and row.get("roco_image_id") in identifiers
    }


def _retrieval(items: dict[str, list[Item]], minimum_words: int) -> dict[str, list[Item]]:
    """Sample as ARL's preparation does: one generator shuffles training, validation and test, in this order."""
    generator = random.Random(_RETRIEVAL_SEED)
    for of_split in items.values():
        generator.shuffle(of_split)
    for split in (VALIDATION, TEST):
        usable = [item for item in items[split] if long_enough(item.texts[0], minimum_words)]
        items[split] = usable[:_RETRIEVAL_IMAGES]
    return items
