"""The plain format of custom corpora: rows with an image, texts and further fields."""

from collections.abc import Sequence
from dataclasses import dataclass

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import Row, RowFile
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.identity import group_of, without_identity
from medvlp.corpora.items import FileItems, Item
from medvlp.corpora.questions import right_answers
from medvlp.corpora.splits import deal, split_name
from medvlp.data.dicom import BurnedIn, burned_in_rule
from medvlp.errors import DataError

_SAMPLE_FIELDS = {"texts", "source_id", "split", "answer", "answers", "answer_type"}


@dataclass(frozen=True)
class PlainForm:
    """The names of the fields."""

    image: str = "image"
    text: str = "text"
    modality: str = "modality"

    def item(self, row: Row) -> Item:
        """Convert a row to an item."""
        taken = _SAMPLE_FIELDS | {self.image, self.text, self.modality}
        others = without_identity({key: value for key, value in row.items() if key not in taken and value not in (None, "")})
        return Item(
            image=row[self.image],
            texts=tuple(self._texts(row)),
            source_id=_string(row.get("source_id")) or row[self.image],
            modality=_string(row.get(self.modality)),
            answers=self._answers(row),
            answer_type=_string(row.get("answer_type")),
            group=self.group(row),
            attributes=others,
        )

    def check(self, row: Row, where: str) -> None:
        """Check that a row has the fields of an item.

        Raises:
            DataError: it does not.
        """
        if not isinstance(row.get(self.image), str) or not row[self.image]:
            raise DataError(f"{where} has no image path in its field {self.image!r}")
        texts = row.get("texts", row.get(self.text))
        if not (texts is None or isinstance(texts, str) or (isinstance(texts, list) and all(isinstance(text, str) for text in texts))):
            raise DataError(f"{where} has a {self.text!r} that is neither a text nor a list of texts")
        answers = row.get("answers") or []
        if not isinstance(answers, (str, list)) or any(isinstance(answer, (list, dict)) for answer in answers):
            raise DataError(f"{where} has 'answers' that are neither a text nor a list of texts")

    def group(self, row: Row) -> str:
        """Return the group of the row: its patient, else its case, else its source, else its image."""
        return group_of(row) or f"image={_string(row[self.image])}"

    def _answers(self, row: Row) -> tuple[str, ...]:
        """Return all correct answers: those of "answers", else "answer"."""
        answers = row.get("answers") or (row.get("answer"),)
        return right_answers((answers,) if isinstance(answers, str) else answers)

    def _texts(self, row: Row) -> Sequence[str]:
        texts = row.get("texts", row.get(self.text)) or ()
        return (texts,) if isinstance(texts, str) else texts


def open_plain(
    folder: SourceFolder,
    file: RowFile,
    form: PlainForm,
    *,
    name: str | None,
    public: bool,
    minimum_words: int,
    validation_share: float,
    maximum_missing: float = MAXIMUM_MISSING,
    burned_in: str = BurnedIn.DROP,
) -> FileCorpus:
    """Open a corpus of the rows of ``file``; only their offsets are kept in memory.

    Rows without a split are divided between train and validation by patient, case or source, so that no patient is in both.

    Raises:
        DataError: a row is invalid.
    """
    rows = []
    for number, (offset, row) in enumerate(file.rows(), start=1):
        where = f"{file.path}, row {number}"
        form.check(row, where)
        folder.note_image(row[form.image], where)
        rows.append((offset, form.group(row), split_name(_string(row.get("split")), where)))
    items = {split: FileItems(file, offsets, form.item) for split, offsets in deal(rows, validation_share).items()}
    fields = {"public": public, "minimum_words": minimum_words, "burned_in": burned_in_rule(burned_in)}
    return FileCorpus.open(folder, items, maximum_missing=maximum_missing, name=name or folder.root.resolve().name, **fields)


def _string(value: object) -> str:
    return "" if value is None else str(value).strip()
