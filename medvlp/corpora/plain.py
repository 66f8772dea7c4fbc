"""The plain format of custom corpora: rows with an image, texts and further fields."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field, create_model

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.identity import group_of, named, without_identity
from medvlp.corpora.items import FileItems, Item
from medvlp.corpora.source.files import Row, SeekableFile
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.schema import FileName, RowSchema, SplitName, Texts, Word, Words, check_row
from medvlp.corpora.splits import deal, drawn_by_group
from medvlp.data.dicom import burned_in_rule
from medvlp.errors import ConfigurationError

_SAMPLE_FIELDS = {"texts", "source_id", "split", "answer", "answers", "answer_type"}


class PlainRow(RowSchema):
    """A row; ``PlainForm`` names the fields without a default."""

    image: FileName
    text: Texts
    modality: Word
    texts: Texts = ()
    source_id: Word = ""
    split: SplitName = ""
    answer: Word = ""
    answers: Words = ()
    answer_type: Word = ""


@dataclass(frozen=True)
class PlainForm:
    """The names of the fields."""

    image: str = "image"
    text: str = "text"
    modality: str = "modality"
    patient: str = ""
    """The field with the patient; without it, the widest group that a known name states."""

    @property
    def schema(self) -> type[PlainRow]:
        """The schema of a row with these names."""
        return _schema(self)

    def item(self, values: Row) -> Item:
        """Convert a row that matches the schema to an item."""
        row = check_row(self.schema, values)
        taken = _SAMPLE_FIELDS | {self.image, self.text, self.modality, self.patient}
        others = without_identity({key: value for key, value in values.items() if key not in taken and value not in (None, "")})
        return Item(
            image=row.image,
            texts=row.texts or row.text,
            source_id=row.source_id or row.image,
            modality=row.modality,
            answers=row.answers or tuple(filter(None, [row.answer])),
            answer_type=row.answer_type,
            group=self.group(values),
            attributes=others,
        )

    def group(self, values: Row) -> str:
        """Return the group of the row: its patient, else its case, else its source, else its image."""
        patient = named(values.get(self.patient)) if self.patient else ""
        return (f"patient_id={patient}" if patient else group_of(values)) or f"image={values[self.image].strip()}"


class _Place(NamedTuple):
    """Where a row is."""

    offset: int
    line: int
    image: str


def open_plain(
    folder: SourceFolder,
    file: SeekableFile,
    form: PlainForm,
    *,
    name: str | None,
    public: bool,
    minimum_words: int,
    validation_share: float,
    burned_in: str,
) -> FileCorpus:
    """Open a corpus of the rows of ``file``; only their offsets are kept in memory.

    If no row states a split, rows are divided between train and validation by patient, case or source, so that no patient is in both. If
    others do, a row without one follows its patient; otherwise it is bad.

    Raises:
        DataError: too many rows are bad.
        ConfigurationError: no row has the field of the patient.
    """
    rows = [
        (_Place(row.offset, row.line, row.fields.image), form.group(row.values), row.fields.split) for row in folder.rows(file, form.schema)
    ]
    stated = {group for _, group, split in rows if split}
    usable = []
    for place, group, split in rows:
        if stated and not split and group not in stated:
            folder.reject(f"{file.path}, line {place.line}", "states no split, although others do")
        else:
            folder.note_image(place.image)
            folder.note_group(group)
            usable.append((place.offset, group, split))
    if form.patient and rows and not any(group.startswith("patient_id=") for _, group, _ in rows):
        raise ConfigurationError(f"no row of {file.path} names a patient in {form.patient!r}; is it the right name?")
    if not stated:
        folder.division = drawn_by_group(validation_share)
    items = {split: FileItems(file, offsets, form.item) for split, offsets in deal(usable, validation_share).items()}
    return FileCorpus.open(
        folder,
        items,
        name=name or folder.root.resolve().name,
        public=public,
        minimum_words=minimum_words,
        burned_in=burned_in_rule(burned_in),
    )


@lru_cache
def _schema(form: PlainForm) -> type[PlainRow]:
    return create_model(
        "PlainRow",
        __base__=PlainRow,
        image=(FileName, Field(alias=form.image)),
        text=(Texts, Field(default=(), alias=form.text)),
        modality=(Word, Field(default="", alias=form.modality)),
    )
