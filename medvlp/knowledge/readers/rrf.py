"""UMLS in its Rich Release Format: ``MRCONSO.RRF`` (names), ``MRSTY.RRF`` (semantic types) and ``MRREL.RRF`` (relations).

The files have up to tens of millions of rows. They are read in blocks with pyarrow's CSV reader; besides the selected concepts and triples,
memory use is one byte per possible identifier, whatever the size of the files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple

NAMES_FILE = "MRCONSO.RRF"
TYPES_FILE = "MRSTY.RRF"
RELATIONS_FILE = "MRREL.RRF"

_COLUMNS = {
    NAMES_FILE: "CUI LAT TS LUI STT SUI ISPREF AUI SAUI SCUI SDUI SAB TTY CODE STR SRL SUPPRESS CVF",
    TYPES_FILE: "CUI TUI STN STY ATUI CVF",
    RELATIONS_FILE: "CUI1 AUI1 STYPE1 REL CUI2 AUI2 STYPE2 RELA RUI SRUI SAB SL RG DIR SUPPRESS CVF",
}
_BLOCK_BYTES = 1 << 20
_IDENTIFIERS = 10_000_000
"""A concept identifier is C and seven digits."""
_HIERARCHY = {"CHD": "is_a", "RN": "narrower_than"}
"""REL of rows without RELA, from the second concept of the row to the first."""
_TRIPLE_RELATIONS = ("CHD", "RN", "RO")
"""PAR and RB are the inverses of CHD and RN; the others are siblings, synonyms and permissions."""


@dataclass(frozen=True, kw_only=True)
class UMLSFilter:
    """Which rows of UMLS to use; rows that UMLS suppresses are never used."""

    languages: list[str] = field(default_factory=lambda: ["ENG"])
    """LAT of names; empty for all."""
    sources: list[str] = field(default_factory=list)
    """SAB of names and relations ("SNOMEDCT_US", "MSH", "RADLEX"); empty for all."""
    semantic_types: list[str] = field(default_factory=list)
    """STY or TUI of concepts ("Neoplastic Process", "T191"); empty for all."""


EVERYTHING = UMLSFilter()


def read_rrf(folder: Path, umls: UMLSFilter = EVERYTHING) -> Ontology:
    """Read the UMLS release in ``folder``.

    The name of a concept is UMLS's preferred name (TS P, STT PF, ISPREF Y) if the filter keeps it, else the first of the closest ones; its
    semantic type is the first in the file that the filter keeps. A relation goes from the second concept of its row to the first, as in
    UMLS: RELA, or is_a and narrower_than if that is empty. Of rows that a source gives in both directions, the source's own direction is
    used.

    Raises:
        KnowledgeError: a file is missing, truncated, not UTF-8 or from another release, or the filter leaves no concept.
    """
    types, type_names = _read_types(folder / TYPES_FILE, umls.semantic_types)
    names = _read_names(folder / NAMES_FILE, umls, types)
    if not names:
        raise KnowledgeError(f"{folder / NAMES_FILE} has no name that the filter keeps ({umls}); choose other languages, sources or types")
    known = np.zeros(_IDENTIFIERS, dtype=bool)
    known[list(names)] = True
    concepts = (
        Concept.cleaned(_identifier(number), min(ranked)[-1], (name for *_, name in sorted(ranked)), type_names[types[number]])
        for number, ranked in names.items()
    )
    return Ontology.build(folder.name, concepts, _read_relations(folder / RELATIONS_FILE, umls, known))


def _read_types(path: Path, wanted: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Read for each identifier the index of its semantic type, uint8 [10,000,000], and the list of types; 0 is none."""
    types = np.zeros(_IDENTIFIERS, dtype=np.uint8)
    places: dict[str, int] = {"": 0}
    for rows in _rows(path, ["CUI", "TUI", "STY"]):
        if wanted:
            values = pa.array(wanted)
            rows = rows.filter(pc.or_(pc.is_in(rows["STY"], values), pc.is_in(rows["TUI"], values)))
        numbers = _numbers(rows["CUI"], path)
        fresh, first = np.unique(numbers[types[numbers] == 0], return_index=True)
        names = np.asarray(rows["STY"].to_pylist(), dtype=object)[types[numbers] == 0][first]
        types[fresh] = [places.setdefault(name, len(places)) for name in names]
    return types, list(places)


def _read_names(path: Path, umls: UMLSFilter, types: np.ndarray) -> dict[int, list[tuple[int, int, str]]]:
    """Read the names of each identifier, each with its rank and its position in the file."""
    names: dict[int, list[tuple[int, int, str]]] = {}
    place = 0
    for rows in _rows(path, ["CUI", "LAT", "TS", "STT", "ISPREF", "SAB", "STR", "SUPPRESS"]):
        kept = _kept(rows, umls.sources)
        if umls.languages:
            kept = kept.filter(pc.is_in(kept["LAT"], pa.array(umls.languages)))
        numbers = _numbers(kept["CUI"], path)
        if umls.semantic_types:
            chosen = types[numbers] > 0
            kept, numbers = kept.filter(pa.array(chosen)), numbers[chosen]
        columns = (kept[name].to_pylist() for name in ("TS", "STT", "ISPREF", "STR"))
        for number, status, form, preferred, name in zip(numbers.tolist(), *columns, strict=True):
            rank = 4 * (status != "P") + 2 * (form != "PF") + (preferred != "Y")
            names.setdefault(number, []).append((rank, place, name))
            place += 1
    return names


def _read_relations(path: Path, umls: UMLSFilter, known: np.ndarray) -> Iterator[Triple]:
    for rows in _rows(path, ["CUI1", "REL", "CUI2", "RELA", "SAB", "DIR", "SUPPRESS"]):
        kept = _kept(rows, umls.sources)
        kept = kept.filter(pc.and_(pc.is_in(kept["REL"], pa.array(_TRIPLE_RELATIONS)), pc.not_equal(kept["DIR"], "N")))
        heads, tails = _numbers(kept["CUI2"], path), _numbers(kept["CUI1"], path)
        inside = known[heads] & known[tails] & (heads != tails)
        kept = kept.filter(pa.array(inside))
        columns = (kept[name].to_pylist() for name in ("REL", "RELA"))
        for head, tail, relation, attribute in zip(heads[inside].tolist(), tails[inside].tolist(), *columns, strict=True):
            yield Triple(_identifier(head), _relation(relation, attribute), _identifier(tail))


def _relation(relation: str, attribute: str) -> str:
    """Return the name of a relation; UMLS's "isa" becomes the usual "is_a"."""
    return "is_a" if attribute == "isa" else attribute or _HIERARCHY.get(relation, relation)


def _kept(rows: pa.RecordBatch, sources: Sequence[str]) -> pa.RecordBatch:
    kept = rows.filter(pc.equal(rows["SUPPRESS"], "N"))
    return kept.filter(pc.is_in(kept["SAB"], pa.array(sources))) if sources else kept


def _numbers(identifiers: pa.Array, path: Path) -> np.ndarray:
    """Return the digits of concept identifiers, int64 [n]."""
    if not pc.all(pc.match_substring_regex(identifiers, r"^C\d{7}$"), min_count=0).as_py():
        wrong = next(value for value in identifiers.to_pylist() if not (len(value) == 8 and value[0] == "C" and value[1:].isdigit()))
        raise KnowledgeError(f"{path} has {wrong!r} where a concept identifier (C and seven digits) is expected: is it a UMLS file?")
    numbers: np.ndarray = pc.cast(pc.utf8_slice_codeunits(identifiers, 1), pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _identifier(number: int) -> str:
    return f"C{number:07d}"


def _rows(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the columns of a file in blocks, all as strings."""
    names = _COLUMNS[path.name].split()
    _check_form(path, len(names))
    names.append("")  # every row ends with a separator
    try:
        reader = pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
            parse_options=pyarrow.csv.ParseOptions(delimiter="|", quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), include_columns=columns, strings_can_be_null=False
            ),
        )
        yield from reader
    except (pa.ArrowException, OSError) as error:
        raise KnowledgeError(f"{path} is damaged or truncated: {error}; get it again from the release") from error


def _check_form(path: Path, columns: int) -> None:
    """Check both ends of a file before reading it: the number of columns, and that the last row is complete."""
    try:
        with path.open("rb") as file:
            first = file.readline()
            file.seek(0, 2)
            size = file.tell()
            file.seek(max(size - 2, 0))
            end = file.read().replace(b"\r", b"")
    except FileNotFoundError as error:
        wanted = ", ".join(_COLUMNS)
        raise KnowledgeError(f"there is no file {path}; a UMLS release has {wanted} in its META folder") from error
    if not first:
        raise KnowledgeError(f"{path} is empty; get it again from the release")
    if (found := first.count(b"|")) != columns:
        raise KnowledgeError(
            f"{path} has {found} columns instead of {columns} ({_COLUMNS[path.name]}): its release or format is not supported by this "
            "code; use the RRF files of a release since 2004"
        )
    if not end.endswith(b"\n"):
        raise KnowledgeError(f"{path} is truncated: its last row is incomplete; get it again from the release")
