"""IU X-ray: chest radiographs of Indiana University with reports, from Open-i (Demner-Fushman et al. 2016).

Reads the reports ``NLMCXR_reports/ecgen-radiology/*.xml`` (or ``ecgen-radiology/*.xml``: sections as ``AbstractText`` with a ``Label``,
images as ``parentImage`` with an ``id``) and the images ``NLMCXR_png/<id>.png`` (or beside the folder of the reports). There is no
official split: a hash of (``seed``, number of the report) divides reports between training and validation.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.splits import deal
from medvlp.errors import DataError

_REPORTS = ("NLMCXR_reports/ecgen-radiology", "ecgen-radiology")
_SECTIONS = ("IMPRESSION", "FINDINGS")


def open_iu_xray(
    root: Path, *, validation_share: float = 0.1, seed: int = 0, minimum_words: int = 3, maximum_missing: float = MAXIMUM_MISSING
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation_share: fraction of the reports for validation.
        seed: seed of that hash.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: there are no reports, or one is damaged.
    """
    folder = SourceFolder(root, "iu-xray", f"{_REPORTS[0]}/*.xml and NLMCXR_png/")
    place = next((place for place in _REPORTS if (root / place).is_dir()), None)
    if place is None:
        raise DataError(f"no folder {' or '.join(str(root / name) for name in _REPORTS)}; {folder.remedy}")
    images = "NLMCXR_png/" if (root / "NLMCXR_png").is_dir() else ""
    rows = [
        (item, item.group, "")
        for path in sorted((root / place).glob("*.xml"), key=lambda path: (len(path.stem), path.stem))
        for item in _items(folder.file(f"{place}/{path.name}"), images)
    ]
    items = deal(rows, validation_share, seed)
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=True, minimum_words=minimum_words)


def _items(path: Path, images: str) -> Iterator[Item]:
    """Yield the images of a report, each with the whole text."""
    try:
        report = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise DataError(f"{path} is not XML ({error}): was the file cut off?") from error
    sections = {(part.get("Label") or "").upper(): (part.text or "").strip() for part in report.iter("AbstractText")}
    texts = tuple(sections[name] for name in _SECTIONS if sections.get(name))
    findings = [major.text for major in report.iter("major") if major.text]
    attributes = {"findings": findings} if findings else {}
    for image in report.iter("parentImage"):
        name = image.get("id") or ""
        yield Item(
            image=f"{images}{name}.png",
            texts=texts,
            source_id=name,
            modality="X-ray",
            group=path.stem,
            attributes=attributes,
        )
