"""MedICaT: figures of open-access papers with captions and the sentences that refer to them (Subramanian et al. 2020).

Reads ``release/s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl`` (fields pdf_hash, fig_uri, s2_caption, s2orc_references,
radiology) and ``release/figures/<pdf_hash>_<fig_uri>``; the folder may also be ``release`` itself. Radiology only. ARL's split: a
shuffle with seed 42, the last 1,000 figures for test, the 1,000 before for validation.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import FileItems, Item
from medvlp.corpora.source.files import Row
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.json_files import JsonLines
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import FileName, RowSchema, Text, Texts, check_row
from medvlp.corpora.splits import shuffled
from medvlp.values import AnyInteger, CountOrZero, Share

_FIGURES = "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl"


class _Figure(RowSchema):
    pdf_hash: FileName
    fig_uri: FileName
    radiology: bool
    s2_caption: Text = ""
    s2orc_references: Texts = ()

    @property
    def name(self) -> str:
        return f"{self.pdf_hash}_{self.fig_uri}"


def open_medicat(
    root: Path,
    *,
    validation: CountOrZero = 1000,
    test: CountOrZero = 1000,
    seed: AnyInteger = 42,
    minimum_words: CountOrZero = 3,
    maximum_missing: Share = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation: number of figures of that split.
        test: number of figures of that split.
        seed: seed of the shuffle that selects them.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    place = root / "release" if (root / "release").is_dir() else root
    folder = SourceFolder(place, "medicat", f"release/{_FIGURES} and release/figures/", maximum_missing)
    file = JsonLines(folder.file(_FIGURES))
    offsets = []
    others = 0
    for row in folder.rows(file, _Figure):
        if not row.fields.radiology:
            others += 1
            continue
        folder.note_image(f"figures/{row.fields.name}")
        folder.note_group("")
        offsets.append(row.offset)
    folder.division = f"drawn at random with seed {seed}, {validation:,} for validation and {test:,} for test"
    splits = shuffled(offsets, validation=validation, test=test, seed=seed)
    return FileCorpus.open(
        folder,
        {split: FileItems(file, places, _item) for split, places in splits.items()},
        public=False,
        minimum_words=minimum_words,
        left_out={"figure is not radiology": others},
    )


def _item(values: Row) -> Item:
    figure = check_row(_Figure, values)
    return Item(image=f"figures/{figure.name}", texts=(figure.s2_caption, *figure.s2orc_references), source_id=Path(figure.name).stem)
