"""IU X-ray: chest radiographs of Indiana University with reports, from Open-i (Demner-Fushman et al. 2016).

Reads the reports ``NLMCXR_reports/ecgen-radiology/*.xml`` (or ``ecgen-radiology/*.xml``: sections as ``AbstractText`` with a ``Label``,
images as ``parentImage`` with an ``id``) and the images ``NLMCXR_png/<id>.png`` (or beside the folder of the reports). There is no
official split: a hash of (``seed``, number of the report) divides reports between training and validation.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import BadRow, FileName, RowSchema, check_row
from medvlp.corpora.splits import deal, drawn_by_group
from medvlp.errors import DataError
from medvlp.values import AnyInteger, CountOrZero, Share

_REPORTS = ("NLMCXR_reports/ecgen-radiology", "ecgen-radiology")
_SECTIONS = ("IMPRESSION", "FINDINGS")


class _Image(RowSchema):
    id: FileName


def open_iu_xray(
    root: Path,
    *,
    validation_share: Share = 0.1,
    seed: AnyInteger = 0,
    minimum_words: CountOrZero = 3,
    maximum_missing: Share = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation_share: fraction of the reports for validation.
        seed: seed of that hash.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: there are no reports, or too many are damaged.
    """
    folder = SourceFolder(root, "iu-xray", f"{_REPORTS[0]}/*.xml and NLMCXR_png/", maximum_missing)
    place = next((place for place in _REPORTS if (root / place).is_dir()), None)
    if place is None:
        raise DataError(f"no folder {' or '.join(str(root / name) for name in _REPORTS)}; {folder.remedy}")
    images = "NLMCXR_png/" if (root / "NLMCXR_png").is_dir() else ""
    rows = [
        (item, item.group, "")
        for path in sorted((root / place).glob("*.xml"), key=lambda path: (len(path.stem), path.stem))
        if not path.name.startswith(".")  # macOS puts "._1.xml" beside "1.xml"
        for item in _items(folder, f"{place}/{path.name}", images)
    ]
    folder.division = drawn_by_group(validation_share)
    items = deal(rows, validation_share, seed)
    return FileCorpus.hold(folder, items, public=True, minimum_words=minimum_words)


def _items(folder: SourceFolder, name: str, images: str) -> Iterator[Item]:
    """Yield the images of a report, each with the whole text."""
    path = folder.file(name)
    try:
        report = ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two: unknown encodings
        folder.reject(str(path), f"is not XML: {error}; was the file cut off?")
        return
    texts = tuple(filter(None, (_section(report, name) for name in _SECTIONS)))
    findings = [major.text for major in report.iter("major") if major.text]
    attributes = {"findings": findings} if findings else {}
    for image in report.iter("parentImage"):
        try:
            identifier = check_row(_Image, image.attrib).id
        except BadRow as error:
            folder.reject(str(path), str(error))
            continue
        yield Item(
            image=f"{images}{identifier}.png",
            texts=texts,
            source_id=identifier,
            modality="X-ray",
            group=path.stem,
            attributes=attributes,
        )


def _section(report: ElementTree.Element, name: str) -> str:
    """Return the text of all parts with this label."""
    parts = [part for part in report.iter("AbstractText") if (part.get("Label") or "").strip().upper() == name]
    return " ".join(filter(None, ("".join(part.itertext()).strip() for part in parts)))
