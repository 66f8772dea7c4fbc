"""Any corpus that somebody has brought into one plain form: a folder with ``captions.jsonl`` and images."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.data.sample import Sample, clean_texts
from medvlp.errors import DataError

CAPTIONS_FILE = "captions.jsonl"

_SPLIT_NAMES = {"val": "validation", "valid": "validation", "validate": "validation", "dev": "validation"}
_SPLIT_ORDER = ("train", "validation", "test")
_GROUP_FIELDS = ("patient_id", "subject_id", "case_id", "source_id", "image")
"""What belongs together in a split, the widest first."""
_IDENTIFYING_FIELDS = {"patient_id", "patient_name", "subject_id", "case_id", "study_id", "accession_number", "birth_date"}
"""Left behind: a shard knows a person by nothing but the ``source_id`` of the image."""
_SAMPLE_FIELDS = {"image", "text", "texts", "source_id", "split", "answer", "answer_type"}

Row = dict[str, Any]


@dataclass(frozen=True)
class JsonlCorpus:
    """A folder with ``captions.jsonl``: on each line a JSON object with ``image`` (a path inside the folder) and ``text`` or ``texts``.

    Optional fields are ``source_id``, ``split``, a modality, ``answer`` and ``answer_type``. Other fields become attributes, except
    those that identify a patient or case. Rows without a split are dealt to train and validation by patient, case or source, so
    that nobody is in both. Made by ``JsonlCorpus.open``; of each row only its place in the file is kept.
    """

    root: Path
    name: str
    public: bool
    modality_field: str
    minimum_words: int
    offsets: Mapping[str, tuple[int, ...]]
    """Where in ``captions.jsonl`` the rows of each split begin, in bytes."""

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        name: str | None = None,
        public: bool = False,
        modality_field: str = "modality",
        minimum_words: int = 3,
        validation_share: float = 0.1,
    ) -> "JsonlCorpus":
        """Read which rows there are.

        Args:
            root: the folder.
            name: of the corpus; by default the folder's.
            public: whether pictures of its images may be logged.
            modality_field: the field with the modality.
            minimum_words: shorter texts are left out.
            validation_share: of the rows that have no split.

        Raises:
            DataError: ``captions.jsonl`` is missing, or a line of it is not what it should be.
        """
        if not root.is_dir():
            raise DataError(f"no folder {root}; a jsonl corpus is a folder with {CAPTIONS_FILE} and images")
        rows = [(offset, _group(row), _split(row)) for offset, row in _read_rows(root / CAPTIONS_FILE)]
        if not rows:
            raise DataError(f"{root / CAPTIONS_FILE} holds no row")
        offsets = _deal(rows, validation_share)
        return cls(root, name or root.resolve().name, public, modality_field, minimum_words, offsets)

    def splits(self) -> dict[str, int]:
        """Number of rows of each split."""
        return {split: len(offsets) for split, offsets in self.offsets.items()}

    def sample(self, split: str, index: int) -> Sample:
        """Row number ``index`` of ``split``.

        Raises:
            Dropped: none of its texts is long enough.
            DataError: there is no such row, or its image is missing.
        """
        if split not in self.offsets or not 0 <= index < len(self.offsets[split]):
            raise DataError(f"corpus {self.name!r} has no item {index} in split {split!r}; its splits are {self.splits()}")
        row = self._row(self.offsets[split][index])
        texts = clean_texts(_texts(row), self.minimum_words)
        return Sample(
            image=self._image(row["image"]),
            texts=texts,
            source_id=_string(row.get("source_id")) or row["image"],
            modality=_string(row.get(self.modality_field)),
            answer=_string(row.get("answer")),
            answer_type=_string(row.get("answer_type")),
            attributes=self._attributes(row),
        )

    def _row(self, offset: int) -> Row:
        path = self.root / CAPTIONS_FILE
        with path.open("rb") as file:
            file.seek(offset)
            return _parse(file.readline(), f"{path}, byte {offset}")

    def _image(self, image: str) -> bytes:
        path = self.root / image
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.root / CAPTIONS_FILE} names the image {image}, which cannot be read: {error.strerror}") from error

    def _attributes(self, row: Row) -> Row:
        taken = _SAMPLE_FIELDS | _IDENTIFYING_FIELDS | {self.modality_field}
        return {key: value for key, value in row.items() if key not in taken and value is not None}


def _read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Every row and the byte at which it begins; empty lines are passed over."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; a jsonl corpus has a file of this name") from error
    with file:
        offset = 0
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield offset, _parse(line, f"{path}, line {number}")
            offset += len(line)


def _parse(line: bytes, where: str) -> Row:
    try:
        # Tables are often exported with NaN, which is no JSON, for what is unknown.
        row = json.loads(line.decode("utf-8-sig"), parse_constant=lambda _: None)
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("image"), str) or not row["image"]:
        raise DataError(f"{where} is no JSON object with a path in its field 'image'")
    image = PurePosixPath(row["image"])
    if image.is_absolute() or ".." in image.parts:
        raise DataError(f"{where} names the image {image}, which is not inside of the corpus's folder")
    texts = row.get("texts", row.get("text"))
    if not (texts is None or isinstance(texts, str) or (isinstance(texts, list) and all(isinstance(text, str) for text in texts))):
        raise DataError(f"{where} has a 'text' that is neither a text nor a list of texts")
    return row


def _texts(row: Row) -> Iterable[str]:
    texts = row.get("texts", row.get("text")) or ()
    return (texts,) if isinstance(texts, str) else texts


def _string(value: object) -> str:
    return "" if value is None else str(value).strip()


def _group(row: Row) -> str:
    """The patient, else the case, else the source: field and value."""
    field = next(field for field in _GROUP_FIELDS if _string(row.get(field)))
    return f"{field}={_string(row[field])}"


def _split(row: Row) -> str:
    split = _string(row.get("split")).lower()
    return _SPLIT_NAMES.get(split, split)


def _deal(rows: Iterable[tuple[int, str, str]], validation_share: float) -> dict[str, tuple[int, ...]]:
    """Offsets by split. A row without a split goes where the file puts others of its group, else by a hash of the group."""
    rows = list(rows)
    stated = {group: split for _, group, split in rows if split}
    offsets: dict[str, list[int]] = defaultdict(list)
    for offset, group, split in rows:
        offsets[split or stated.get(group) or _drawn_split(group, validation_share)].append(offset)
    order = [split for split in _SPLIT_ORDER if split in offsets] + sorted(set(offsets) - set(_SPLIT_ORDER))
    return {split: tuple(offsets[split]) for split in order}


def _drawn_split(group: str, validation_share: float) -> str:
    return "validation" if keyed_seed(0, Purpose.CORPUS, "split", group) < validation_share * 2**64 else "train"
