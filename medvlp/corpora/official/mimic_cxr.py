"""MIMIC-CXR: chest radiographs with free-text reports (Johnson et al. 2019; credentialed access).

Reads the tables of MIMIC-CXR-JPG, plain or gzipped: ``mimic-cxr-2.0.0-metadata.csv`` (dicom_id, subject_id, study_id, ViewPosition),
``mimic-cxr-2.0.0-split.csv`` and ``mimic-cxr-2.0.0-chexpert.csv``; the reports
``files/p<first two digits>/p<subject>/s<study>.txt``, there or below ``mimic-cxr-reports/``; and the images
``files/p../p<subject>/s<study>/<dicom_id>.jpg``, or ``.dcm`` of MIMIC-CXR. Only frontal views (PA, AP) and studies with CheXpert labels, in
the official split. Texts are the impression and the findings, each a separate caption. Labels are those that CheXpert found in the report,
in the set "chexpert"; the group is the patient.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import CsvFile, Row, read_text
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.identity import named
from medvlp.corpora.items import Item
from medvlp.corpora.official.reports import report_sections
from medvlp.corpora.splits import split_name
from medvlp.data.dicom import burned_in_rule
from medvlp.data.sample import Dropped, Label, State
from medvlp.errors import ConfigurationError, DataError

_IDS = ("dicom_id", "subject_id", "study_id")
_COLUMNS = (*_IDS, "ViewPosition")
_SUFFIXES = ("jpg", "dcm")
_SECTIONS = ("impression", "findings")
_CHEXPERT = "chexpert"
_STATES: dict[int, State] = {1: "positive", 0: "negative", -1: "uncertain"}


def open_mimic_cxr(
    root: Path,
    *,
    image_format: str = "jpg",
    views: str = "PA,AP",
    minimum_words: int = 3,
    maximum_missing: float = MAXIMUM_MISSING,
    burned_in: str = "drop",
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        image_format: jpg or dcm.
        views: view positions to keep, separated by commas.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the images that may be missing.
        burned_in: see ``BurnedIn``; for DICOM files.

    Raises:
        DataError: a table is missing, truncated or invalid.
        ConfigurationError: there is no such image format.
    """
    if image_format not in _SUFFIXES:
        raise ConfigurationError(f"MIMIC-CXR has images in {' and '.join(_SUFFIXES)}, not in {image_format!r}")
    folder = SourceFolder(root, "mimic-cxr", "mimic-cxr-2.0.0-{metadata,split,chexpert}.csv (or .csv.gz), files/ and the reports")
    table = _table(folder, "split", ("dicom_id", "split"))
    splits = {
        row["dicom_id"]: split_name(row["split"], f"{table.path}, row {number}") for number, (_, row) in enumerate(table.rows(), start=1)
    }
    table = _table(folder, "chexpert", ("subject_id", "study_id"))
    labels = {row["study_id"]: _mentioned(row, f"{table.path}, row {number}") for number, (_, row) in enumerate(table.rows(), start=1)}
    reports = "mimic-cxr-reports/" if (root / "mimic-cxr-reports").is_dir() else ""
    wanted = {view.strip() for view in views.split(",")}
    rows: dict[str, list[Row]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    for _, row in _table(folder, "metadata", _COLUMNS).rows():
        if row["ViewPosition"] not in wanted:
            left_out[f"view is not {' or '.join(sorted(wanted))}"] += 1
        elif row["study_id"] not in labels:
            left_out["study has no CheXpert labels"] += 1
        elif row["dicom_id"] not in splits:
            number = sum(map(len, rows.values())) + left_out.total() + 1
            raise DataError(f"the tables in {root} state no split for the image in row {number} of the metadata: was one cut off?")
        else:
            folder.note_image(f"{_study(row)}/{row['dicom_id']}.{image_format}")
            folder.note_size(f"{reports}{_study(row)}.txt")
            rows[splits[row["dicom_id"]]].append({**{name: row[name] for name in _COLUMNS}, "labels": labels[row["study_id"]]})
    items = {split: _MimicItems(root / reports, image_format, pa.Table.from_pylist(of_split)) for split, of_split in rows.items()}
    return FileCorpus.open(
        folder,
        items,
        maximum_missing=maximum_missing,
        public=False,
        minimum_words=minimum_words,
        burned_in=burned_in_rule(burned_in),
        left_out=dict(left_out),
    )


@dataclass(frozen=True)
class _MimicItems:
    """Images of a split. The reports are read on demand: by the workers, not on the driver."""

    reports: Path
    """The folder that contains their ``files/``."""
    suffix: str
    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> Item:
        row = {name: self.table.column(name)[index].as_py() for name in self.table.column_names}
        report = self.reports / f"{_study(row)}.txt"
        if not report.is_file():
            raise Dropped("report file is missing")
        sections = report_sections(read_text(report))
        return Item(
            image=f"{_study(row)}/{row['dicom_id']}.{self.suffix}",
            texts=tuple(sections[name] for name in _SECTIONS if name in sections),
            source_id=row["dicom_id"],
            modality="X-ray",
            labels=tuple(Label(_CHEXPERT, name, _STATES[value]) for name, value in json.loads(row["labels"]).items()),
            group=f"patient_id={row['subject_id']}",
            attributes={"view": row["ViewPosition"]},
        )


def _table(folder: SourceFolder, name: str, columns: tuple[str, ...]) -> CsvFile:
    file = f"mimic-cxr-2.0.0-{name}.csv"
    return CsvFile(folder.file(file, f"{file}.gz"), columns)


def _study(row: Row) -> str:
    subject = row["subject_id"]
    return f"files/p{subject[:2]}/p{subject}/s{row['study_id']}"


def _mentioned(row: Row, where: str) -> str:
    """Return the labels that CheXpert found in the report (1: present, 0: absent, -1: uncertain), as JSON.

    Raises:
        DataError: a label has another value.
    """
    found = {}
    for name, value in row.items():
        if name in ("subject_id", "study_id") or not named(value):
            continue
        try:
            found[name] = int(float(value))
            _STATES[found[name]]
        except (ValueError, OverflowError, KeyError) as error:
            raise DataError(f"{where} has {name} {value!r}, which is not 1, 0 or -1; correct it") from error
    return json.dumps(found)
