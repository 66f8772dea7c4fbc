"""Images that occur twice are found in whatever bytes, and under whatever name."""

import json
import shutil
from pathlib import Path

import pytest

from jobs.leaks import leaks
from medvlp.corpora.csv_table import open_csv
from medvlp.corpora.jsonl import open_jsonl
from medvlp.corpora.official.vqa_rad import open_vqa_rad
from medvlp.errors import DataError
from scaleout.cli import run_job
from scaleout.shards.card import read_card
from scaleout.shards.duplicates import find_overlap, overlaps_between_splits, read_tables, repeated_images
from scaleout.shards.leave_out import LeftOutItems
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.prepare import prepare_shards
from tests.medvlp.corpora.official.support import write_csv
from tests.medvlp.duplicates.test_perceptual import picture


def make(folder: Path, images: dict[str, tuple[int, str]]) -> str:
    """Shards of pictures: seed and split by file name, saved as the name says."""
    rows = []
    for name, (seed, split) in images.items():
        folder.mkdir(parents=True, exist_ok=True)
        picture(seed).save(folder / name)
        rows.append({"image": name, "text": "a picture of noise", "split": split, "source_id": name.split(".")[0]})
    write_csv(folder / "captions.csv", rows)
    output = str(folder / "shards")
    prepare_shards(open_csv(folder), output, samples_per_shard=2, vocabulary_size=0, run=map)
    return output


def test_a_corpus_is_compared_with_itself(tmp_path: Path) -> None:
    names = {"a.png": (0, "train"), "b.jpg": (1, "train"), "c.jpg": (0, "validation"), "d.jpg": (2, "validation"), "e.jpg": (1, "train")}
    output = make(tmp_path, names)
    tables = read_tables(output, ShardManifest.load(output))
    overlaps = overlaps_between_splits(tables)
    assert overlaps["validation in train"].by_picture == {0: 0}
    assert not overlaps["validation in train"].by_name
    assert repeated_images(tables["train"]) == 2
    assert repeated_images(tables["validation"]) == 0
    card = read_card(output)
    assert "| validation in train: 1 | 2 | 0 | 1 |" in card
    assert "a picture" not in card


def test_leaks_are_found_by_public_name_and_by_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = make(
        tmp_path / "trained",
        {"MPX1_synpic7.png": (0, "train"), "MPX2_synpic8.png": (1, "train"), "other.png": (2, "train"), "0001.png": (3, "validation")},
    )
    tested = make(
        tmp_path / "tested", {"synpic7.jpg": (50, "test"), "fig.jpg": (2, "test"), "0001.jpg": (51, "test"), "q.jpg": (52, "train")}
    )
    report = tmp_path / "report.json"
    options = ["--shards", trained, "--benchmark", tested]
    run_job(leaks, [*options, "--output", str(report)])
    assert "train: 2 of 3 images are among the 3 of tested test (1 by name, 1 by picture, 0 by both)" in capsys.readouterr().out
    record = json.loads(report.read_text())["leaks"]
    assert record["train"]["keys"] == ["000000000", "000000002"]
    assert record["train"]["matches"] == [
        {"image": "MPX1_synpic7", "benchmark_image": "synpic7", "by": "name"},
        {"image": "other", "benchmark_image": "fig", "by": "picture"},
    ]
    assert record["validation"]["shared"] == 0
    corpus = open_csv(tmp_path / "trained")
    without = {"leave_out": LeftOutItems.read(report, corpus), "samples_per_shard": 2, "vocabulary_size": 0}
    manifest = prepare_shards(corpus, str(tmp_path / "without"), **without, run=map)
    assert manifest.splits == {"train": 1, "validation": 1}
    assert manifest.dropped["train"] == {"image is in a benchmark": 2}
    tables = read_tables(str(tmp_path / "without"), manifest)
    assert (tables["train"].keys, tables["validation"].keys) == (("000000001",), ("000000003",))
    with pytest.raises(DataError, match="is about shards made from files with fingerprint"):
        LeftOutItems.read(report, open_csv(tmp_path / "tested"))
    with pytest.raises(DataError, match=r"captions\.csv is neither a report of jobs/leaks\.py nor a list of hashed groups"):
        LeftOutItems.read(tmp_path / "tested" / "captions.csv", open_csv(tmp_path / "tested"))
    with pytest.raises(SystemExit):
        run_job(leaks, [*options, "--fail"])
    assert "are in" in capsys.readouterr().err


def test_a_split_does_not_leak_into_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = make(tmp_path, {"a.png": (0, "train"), "b.png": (1, "test"), "c.png": (2, "validation")})
    copy = str(shutil.copytree(shards, tmp_path / "copy"))
    for benchmark in (shards, copy):
        run_job(leaks, ["--shards", shards, "--benchmark", benchmark, "--fail"])
        assert "test:" not in capsys.readouterr().out
    leaking = make(tmp_path / "leaking", {"a.png": (0, "train"), "b.png": (0, "test")})
    with pytest.raises(SystemExit):
        run_job(leaks, ["--shards", leaking, "--benchmark", leaking, "--fail"])


def test_the_report_of_leaks_goes_to_any_place(tmp_path: Path, s3: str, capsys: pytest.CaptureFixture[str]) -> None:
    shards = make(tmp_path / "a", {"a.png": (0, "train"), "b.png": (0, "test")})
    for output in (f"{tmp_path}/missing/folder/report.json", f"{s3}/leaks/report.json"):
        run_job(leaks, ["--shards", shards, "--benchmark", shards, "--output", output])
        assert LeftOutItems.read(output, open_csv(tmp_path / "a")).keys == {0}
    (tmp_path / "file").write_text("")
    for output, message in (
        (str(tmp_path), "is a folder: add a file name"),
        (s3, "is no file"),
        (f"{tmp_path}/file/report.json", "cannot write below"),
    ):
        with pytest.raises(SystemExit):
            run_job(leaks, ["--shards", shards, "--benchmark", shards, "--output", output])
        assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.real_data
def test_the_real_leak_is_found(shared_data: Path, tmp_path: Path) -> None:
    corpora = {"medpix": open_jsonl(shared_data / "medpix2", minimum_words=0), "rad": open_vqa_rad(shared_data / "vqa_rad")}
    tables = {}
    for name, corpus in corpora.items():
        output = str(tmp_path / name)
        tables[name] = read_tables(output, prepare_shards(corpus, output, samples_per_shard=1000, vocabulary_size=0, run=map))
    medpix, rad = tables["medpix"], tables["rad"]
    found: dict[str, set[str]] = {"by_name": set(), "by_picture": set()}
    for questions in rad.values():
        for captions in medpix.values():
            overlap = find_overlap(questions, captions, same_corpus=False)
            found["by_name"] |= {questions.sources[row] for row in overlap.by_name}
            found["by_picture"] |= {questions.sources[row] for row in overlap.by_picture}
    assert len(found["by_name"]) == 18
    assert len(found["by_name"] & found["by_picture"]) >= 16  # two were cropped
    assert len(found["by_picture"] - found["by_name"]) <= 2  # a slice under another name, with outlines drawn upon it
    images = overlaps_between_splits(rad)
    assert images["test in train"].summary()["images"] == 203
