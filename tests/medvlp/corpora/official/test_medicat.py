"""MedICaT: radiology, references, and ARL's split."""

import random
from pathlib import Path
from typing import Any

import pytest

from medvlp.corpora.official.medicat import open_medicat
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, write, write_json_lines

FILE = "s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl"


def figure(number: int, **fields: Any) -> dict[str, Any]:
    texts = {"s2_caption": f"Figure {number}. A scan.", "s2orc_references": [f"As figure {number} shows.", "(Fig.)"]}
    return {"pdf_hash": f"abc{number}", "fig_uri": "3-Figure4-1.png", "fig_key": "Figure4", "radiology": True, **texts, **fields}


def make(root: Path, figures: list[dict[str, Any]]) -> Path:
    write_json_lines(root / "release" / FILE, figures)
    for each in figures:
        draw(root / "release" / "figures" / f"{each['pdf_hash']}_{each['fig_uri']}")
    return root


def test_captions_and_references_of_radiology_become_samples(tmp_path: Path) -> None:
    figures = [figure(0, radiology=False), figure(1), figure(2, s2orc_references=None), figure(3, s2_caption="", s2orc_references=[])]
    corpus = open_medicat(make(tmp_path, figures), validation=0, test=0)
    samples, dropped = read(corpus)
    assert corpus.left_out == {"figure is not radiology": 1}
    assert dropped == {"no text of at least 3 words": 1}
    found = {sample.source_id: sample.texts for sample in samples["train"]}
    assert found == {
        "abc1_3-Figure4-1": ("Figure 1. A scan.", "As figure 1 shows."),
        "abc2_3-Figure4-1": ("Figure 2. A scan.",),
    }


def test_the_split_is_arl_s(tmp_path: Path) -> None:
    figures = [figure(number, radiology=number % 3 > 0) for number in range(60)]
    samples, _ = read(open_medicat(make(tmp_path, figures) / "release", validation=10, test=10))
    radiology = [each for each in figures if each["radiology"]]
    random.seed(42)
    indices = list(range(len(radiology)))
    random.shuffle(indices)
    for split, chosen in (("train", indices[:-20]), ("validation", indices[-20:-10]), ("test", indices[-10:])):
        assert [sample.texts[0] for sample in samples[split]] == [radiology[index]["s2_caption"] for index in chosen]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"no file .*{FILE}; the folder of corpus 'medicat'"):
        open_medicat(tmp_path)
    whole = (make(tmp_path, [figure(0), figure(1)]) / "release" / FILE).read_text()
    write(tmp_path / "release" / FILE, whole[:-40])
    with pytest.raises(DataError, match="line 2 is not JSON"):
        open_medicat(tmp_path)
    write(tmp_path / "release" / FILE, whole.replace("fig_uri", "figure"))
    with pytest.raises(DataError, match="line 1 has a field 'fig_uri' that is missing"):
        open_medicat(tmp_path)
