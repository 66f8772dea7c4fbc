"""MedICaT: figures of open-access papers with captions and the sentences that refer to them (Subramanian et al. 2020).

Reads ``release/s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl`` (fields pdf_hash, fig_uri, s2_caption, s2orc_references,
radiology) and ``release/figures/<pdf_hash>_<fig_uri>``; the folder may also be ``release`` itself. Radiology only. ARL's split: a
shuffle with seed 42, the last 1,000 figures for test, the 1,000 before for validation.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import JsonLines, Row
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import FileItems, Item
from medvlp.corpora.splits import shuffled
from medvlp.errors import DataError

_FIGURES = "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl"


def open_medicat(
    root: Path,
    *,
    validation: int = 1000,
    test: int = 1000,
    seed: int = 42,
    minimum_words: int = 3,
    maximum_missing: float = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation: number of figures of that split.
        test: number of figures of that split.
        seed: seed of the shuffle that selects them.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root / "release" if (root / "release").is_dir() else root, "medicat", f"release/{_FIGURES} and release/figures/")
    file = JsonLines(folder.file(_FIGURES))
    offsets = []
    others = 0
    for number, (offset, row) in enumerate(file.rows(), start=1):
        if not {"pdf_hash", "fig_uri", "radiology"} <= set(row):
            raise DataError(f"{file.path}, row {number} has no pdf_hash, fig_uri and radiology")
        if not row["radiology"]:
            others += 1
            continue
        folder.note_image(_item(row).image)
        offsets.append(offset)
    splits = shuffled(offsets, validation=validation, test=test, seed=seed)
    return FileCorpus.open(
        folder,
        {split: FileItems(file, places, _item) for split, places in splits.items()},
        maximum_missing=maximum_missing,
        public=False,
        minimum_words=minimum_words,
        left_out={"figure is not radiology": others},
    )


def _item(row: Row) -> Item:
    texts = (row.get("s2_caption") or "", *(row.get("s2orc_references") or ()))
    name = f"{row['pdf_hash']}_{row['fig_uri']}"
    return Item(image=f"figures/{name}", texts=texts, source_id=Path(name).stem)
