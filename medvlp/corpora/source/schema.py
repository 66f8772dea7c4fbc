"""The schema of a row: which fields it must have, and what their values must be. The one place where rows are checked.

A corpus describes its rows as a ``RowSchema`` of the types below. Null, NaN and the text "nan" mean unknown everywhere.
"""

import itertools
import math
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from medvlp.corpora.source.files import Row
from medvlp.corpora.splits import is_split_name, split_name

_MISSING = {"missing": "is missing"}
_NAN = frozenset("".join(letters) for letters in itertools.product("nN", "aA", "nN"))


class RowSchema(BaseModel):
    """The fields of a row that a corpus reads; other fields do not matter."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


Schema = TypeVar("Schema", bound=RowSchema)


class BadRow(Exception):
    """A row does not match its schema. The message continues "row 7 …", and never has a value of the row."""


def check_row(schema: type[Schema], row: Row) -> Schema:
    """Return the fields of a row that ``schema`` names.

    Raises:
        BadRow: one is missing or of the wrong kind.
    """
    try:
        return schema.__pydantic_validator__.validate_python(row)  # what ``model_validate`` calls, without its checks of arguments
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise BadRow(f"has a field {first['loc'][0]!r} that {_MISSING.get(first['type'], first['msg'])}") from error


def _text(value: Any) -> Any:
    if type(value) is str:  # nearly all values are, and a table has millions
        return value if value not in _NAN else ""
    return "" if _is_unknown(value) else wrong("is not a text")


def _word(value: Any) -> Any:
    """Return a text without spaces around it; whole numbers, which JSON may hold without quotes, as text."""
    if type(value) is str:
        value = value.strip()
        return value if value not in _NAN else ""
    if _is_unknown(value):
        return ""
    return str(value) if type(value) in (int, float) else wrong("is neither a text nor a number")


def _is_unknown(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _answer(value: Any) -> Any:
    word = _word(value)
    return word if word or (isinstance(value, str) and not value.strip()) else wrong("is unknown")


def _texts(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        value = (value,)
    return tuple(text for text in map(_text, value) if text.strip())


def _words(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        value = (value,)
    return tuple(dict.fromkeys(filter(None, map(_word, value))))


def _filled(value: str) -> str:
    return value if value.strip() else wrong("is empty")


def _file_name(value: str) -> str:
    """Check that a name can be a part of a path, and does not lead out of the folder."""
    if value.startswith("/") or ".." in value.split("/"):
        return wrong("names a file that is not inside the folder")
    return _filled(value) if "\0" not in value else wrong("is not a file name")


def _split(value: str) -> str:
    name = split_name(value)
    return name if not name or is_split_name(name) else wrong("is no name of a split")


def wrong(problem: str) -> Any:
    """Reject a value in a validator; the message continues "a field 'x' that …"."""
    raise PydanticCustomError("row", "{problem}", {"problem": problem})


Text = Annotated[str, BeforeValidator(_text)]
"""A text as it is; "" if unknown."""
Word = Annotated[str, BeforeValidator(_word)]
"""A short text or a number, such as an answer or a modality; "" if unknown."""
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
"""One text or a list of texts, without unknown and empty ones."""
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""One word or a list of words, without unknown, empty and repeated ones."""
FilledText = Annotated[Text, AfterValidator(_filled)]
"""A text that is not empty."""
FilledWord = Annotated[Word, AfterValidator(_filled)]
"""A short text or a number that is not empty."""
Answer = Annotated[str, BeforeValidator(_answer)]
"""A word that may be empty, as one of SLAKE's answers is, but not unknown: null must not become an answer."""
FileName = Annotated[Text, AfterValidator(_file_name)]
"""A path inside the folder of the corpus, or a part of one."""
SplitName = Annotated[Word, AfterValidator(_split)]
"""The standard name of a split; "" if a row states none."""
