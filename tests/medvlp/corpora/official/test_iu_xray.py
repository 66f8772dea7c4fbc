"""IU X-ray: reports in XML, each with its images."""

from pathlib import Path

import pytest

from medvlp.corpora.official.iu_xray import open_iu_xray
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, sources, write

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{number}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION">Cough for days.</AbstractText>
<AbstractText Label="FINDINGS">The heart is  large.</AbstractText><AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation><MeSH><major>Cardiomegaly/mild</major></MeSH>
<parentImage id="CXR{number}_1_IM-0001-3001"><caption>Xray Chest PA and Lateral</caption></parentImage>
<parentImage id="CXR{number}_1_IM-0001-4001"/></eCitation>"""


def make(root: Path, reports: int = 1) -> Path:
    for number in range(reports):
        impression = "" if number % 2 else "No acute disease today."
        write(root / "NLMCXR_reports" / "ecgen-radiology" / f"{number}.xml", REPORT.format(number=number, impression=impression))
        for view in (3001, 4001):
            draw(root / "NLMCXR_png" / f"CXR{number}_1_IM-0001-{view}.png")
    return root


def test_every_image_has_what_its_report_says(tmp_path: Path) -> None:
    samples, dropped = read(open_iu_xray(make(tmp_path, 2)))
    assert not dropped
    found = {sample.source_id: sample for of_split in samples.values() for sample in of_split}
    assert set(found) == {f"CXR{number}_1_IM-0001-{view}" for number in (0, 1) for view in (3001, 4001)}
    assert found["CXR0_1_IM-0001-4001"].texts == ("No acute disease today.", "The heart is large.")
    assert found["CXR1_1_IM-0001-3001"].texts == ("The heart is large.",)
    assert found["CXR1_1_IM-0001-3001"].attributes == {"findings": ["Cardiomegaly/mild"]}


def test_an_empty_section_erases_nothing_and_files_of_macos_are_no_reports(tmp_path: Path) -> None:
    reports = make(tmp_path) / "NLMCXR_reports" / "ecgen-radiology"
    write(reports / "._0.xml", "\0\5\26\7Mac OS X")
    again = '<AbstractText Label="FINDINGS">{}</AbstractText></Abstract>'
    report = REPORT.format(number=0, impression="")
    for second, expected in (("", "The heart is large."), ("The <b>lungs</b> are clear.", "The heart is large. The lungs are clear.")):
        write(reports / "0.xml", report.replace("</Abstract>", again.format(second)))
        samples, _ = read(open_iu_xray(tmp_path))
        assert {sample.texts for of_split in samples.values() for sample in of_split} == {(expected,)}


def test_one_broken_report_is_counted(tmp_path: Path) -> None:
    write(make(tmp_path, 3) / "NLMCXR_reports" / "ecgen-radiology" / "1.xml", '<?xml version="1.0" encoding="none"?><a/>')
    corpus = open_iu_xray(tmp_path)
    assert (sum(corpus.splits().values()), corpus.left_out) == (4, {"row is not XML": 1})


def test_a_report_is_in_one_split(tmp_path: Path) -> None:
    samples, _ = read(open_iu_xray(make(tmp_path, 30)))
    reports = {split: {source.split("_")[0] for source in sources(of_split)} for split, of_split in samples.items()}
    assert reports["validation"]
    assert not reports["train"] & reports["validation"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*NLMCXR_reports.ecgen-radiology or .*; the folder of corpus 'iu-xray'"):
        open_iu_xray(tmp_path)
    write(make(tmp_path) / "NLMCXR_reports" / "ecgen-radiology" / "0.xml", REPORT[:200])
    with pytest.raises(DataError, match=r"0\.xml is not XML: .*was the file cut off"):
        open_iu_xray(tmp_path)
