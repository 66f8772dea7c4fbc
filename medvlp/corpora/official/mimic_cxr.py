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
from typing import Annotated

import pyarrow as pa
from pydantic import AfterValidator, ConfigDict

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.official.reports import report_sections
from medvlp.corpora.source.files import read_text
from medvlp.corpora.source.folder import SourceFolder, file_size
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import FileName, RowSchema, SplitName, Text, Word, wrong
from medvlp.corpora.source.tables import CsvFile
from medvlp.data.dicom import burned_in_rule
from medvlp.data.sample import Dropped, Label, State
from medvlp.errors import ConfigurationError
from medvlp.values import CountOrZero, Share

_SUFFIXES = ("jpg", "dcm")
_SECTIONS = ("impression", "findings")
_CHEXPERT = "chexpert"
_STATES: dict[float, State] = {1: "positive", 0: "negative", -1: "uncertain"}
"""CheXpert: present, absent, uncertain; a label that its report does not mention has no value."""


class _Image(RowSchema):
    dicom_id: FileName
    subject_id: FileName
    study_id: FileName
    ViewPosition: Word

    @property
    def study(self) -> str:
        return f"files/p{self.subject_id[:2]}/p{self.subject_id}/s{self.study_id}"


class _Split(RowSchema):
    dicom_id: FileName
    split: SplitName


class _Labels(RowSchema):
    """The labels of a study; every other column is one."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[Word, AfterValidator(lambda value: _state(value))]]

    subject_id: Text
    study_id: FileName

    def as_json(self) -> str:
        return json.dumps({name: value for name, value in (self.model_extra or {}).items() if value})


def _state(value: str) -> str:
    try:
        return _STATES[float(value)] if value else ""
    except (ValueError, KeyError):
        return wrong("is not 1, 0 or -1")


def open_mimic_cxr(
    root: Path,
    *,
    image_format: str = "jpg",
    views: str = "PA,AP",
    minimum_words: CountOrZero = 3,
    maximum_missing: Share = MAXIMUM_MISSING,
    burned_in: str = "drop",
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        image_format: jpg or dcm.
        views: view positions to keep, separated by commas.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the rows that may be bad.
        burned_in: see ``BurnedIn``; for DICOM files.

    Raises:
        DataError: a table is missing, truncated or invalid.
        ConfigurationError: there is no such image format.
    """
    if image_format not in _SUFFIXES:
        raise ConfigurationError(f"MIMIC-CXR has images in {' and '.join(_SUFFIXES)}, not in {image_format!r}")
    layout = "mimic-cxr-2.0.0-{metadata,split,chexpert}.csv (or .csv.gz), files/ and the reports"
    folder = SourceFolder(root, "mimic-cxr", layout, maximum_missing)
    splits = {row.fields.dicom_id: row.fields.split for row in folder.lookup(_table(folder, "split", ("dicom_id", "split")), _Split)}
    labels = {
        row.fields.study_id: row.fields.as_json() for row in folder.lookup(_table(folder, "chexpert", ("subject_id", "study_id")), _Labels)
    }
    reports = "mimic-cxr-reports/" if (root / "mimic-cxr-reports").is_dir() else ""
    wanted = {view.strip() for view in views.split(",")}
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    for row in folder.rows(_table(folder, "metadata", tuple(_Image.model_fields)), _Image):
        image = row.fields
        if image.ViewPosition not in wanted:
            left_out[f"view is not {' or '.join(sorted(wanted))}"] += 1
        elif image.study_id not in labels:
            left_out["study has no CheXpert labels"] += 1
        elif not (split := splits.get(image.dicom_id)):
            folder.reject(row.where, "names an image for which the other tables state no split: was one cut off?")
        else:
            folder.note_image(f"{image.study}/{image.dicom_id}.{image_format}")
            folder.note_group(f"subject_id={image.subject_id}")
            folder.note_size(f"{reports}{image.study}.txt")
            rows[split].append({**image.model_dump(), "study": image.study, "labels": labels[image.study_id]})
    items = {split: _MimicItems(root / reports, image_format, pa.Table.from_pylist(of_split)) for split, of_split in rows.items()}
    return FileCorpus.open(
        folder,
        items,
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
        report = self.reports / f"{row['study']}.txt"
        if file_size(report) is None:
            raise Dropped("report file is missing")
        try:
            sections = report_sections(read_text(report))
        except UnicodeDecodeError as error:
            raise Dropped("report is not in UTF-8") from error
        return Item(
            image=f"{row['study']}/{row['dicom_id']}.{self.suffix}",
            texts=tuple(sections[name] for name in _SECTIONS if name in sections),
            source_id=row["dicom_id"],
            modality="X-ray",
            labels=tuple(Label(_CHEXPERT, name, state) for name, state in json.loads(row["labels"]).items()),
            group=f"patient_id={row['subject_id']}",
            attributes={"view": row["ViewPosition"]},
        )


def _table(folder: SourceFolder, name: str, columns: tuple[str, ...]) -> CsvFile:
    file = f"mimic-cxr-2.0.0-{name}.csv"
    return CsvFile(folder.file(file, f"{file}.gz"), columns)
