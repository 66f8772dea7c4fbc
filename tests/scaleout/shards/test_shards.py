"""Shards: what is written is read back, the same bytes every time, and whatever is wrong is named."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medvlp.corpora.corpus import Grouping
from medvlp.corpora.identity import hashed_group
from medvlp.data.sample import SAMPLE_COLUMNS, SAMPLE_SCHEMA, Box, Label, Sample, field_values, from_columns
from medvlp.errors import DataError
from scaleout.io.sidecar import pack_sidecar, read_sidecar
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.prepare import ShardRanges, prepare_shards
from scaleout.shards.reader import parse_shard, read_shard_checked
from scaleout.shards.sidecar import SIDECAR_SCHEMA, read_all_samples, read_samples, read_texts
from scaleout.shards.writer import ShardRange, pack_shard
from tests.scaleout.shards.toy import ToyCorpus, encode


def blank_png(width: int, height: int) -> bytes:
    """A PNG file of one bit per pixel: a few kilobytes for any size."""
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class ListedCorpus:
    """A corpus of given samples."""

    samples: tuple[Sample, ...]
    name: str = "listed"
    public: bool = False
    fingerprint: str = "listed"
    left_out: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    maximum_missing: float = 0.5
    grouping: Grouping = field(default_factory=Grouping)

    def splits(self) -> dict[str, int]:
        return {"train": len(self.samples)}

    def where(self, split: str, index: int) -> str:
        return f"{split} {index}"

    def sample(self, split: str, index: int) -> Sample:
        return self.samples[index]


TEXT = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() or "\n" in text)
JSON = st.recursive(st.one_of(st.integers(-9, 9), TEXT, st.none(), st.booleans()), lambda inner: st.lists(inner, max_size=2), max_leaves=3)
SAMPLES = st.builds(
    Sample,
    image=st.builds(encode, st.integers(0, 255), st.sampled_from(["PNG", "JPEG"])),
    texts=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
    source_id=TEXT,
    modality=st.sampled_from(["", "CT", "超音波"]),
    answers=st.lists(TEXT, max_size=3).map(tuple),
    answer_type=st.sampled_from(["", "OPEN"]),
    labels=st.lists(st.builds(Label, TEXT, TEXT, st.sampled_from(["positive", "negative", "uncertain"])), max_size=3).map(tuple),
    boxes=st.lists(st.builds(Box, TEXT, *[st.floats(0, 1)] * 4), max_size=2).map(tuple),
    group=st.sampled_from(["", hashed_group("listed", "patient_id=1")]),
    attributes=st.dictionaries(st.text(max_size=5), JSON, max_size=2),
)


@settings(max_examples=40, deadline=None)
@given(samples=st.lists(SAMPLES, max_size=5), first_key=st.integers(0, 900_000_000))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample], first_key: int) -> None:
    corpus, items = ListedCorpus(tuple(samples)), ShardRange("train", 0, len(samples), first_key)
    packed = pack_shard(corpus, items)
    table = parse_shard(packed.content, "train-00000.tar")
    assert table.schema.equals(SAMPLE_SCHEMA)
    assert packed.counts["rows"] == len(samples)
    rows = table.to_pylist()
    assert [row.pop("key") for row in rows] == [f"{first_key + index:09d}" for index in range(len(samples))]
    assert [Sample(image=row.pop("image"), **from_columns(row)) for row in rows] == samples
    content, path = pack_sidecar(packed.samples), tmp_path_factory.mktemp("shard") / "beside.parquet"
    path.write_bytes(content)
    found = {"size": len(content), "sha256": hashlib.sha256(content).digest()}
    beside = read_sidecar(str(path), SIDECAR_SCHEMA, what="samples", maker="a job", **found)
    assert beside.drop_columns("hash").equals(table.drop_columns("image"))
    assert pack_shard(corpus, items).content == packed.content


def test_any_reader_of_webdataset_sees_every_image(tmp_path: Path) -> None:
    make(tmp_path / "shards")
    shards = sorted(map(str, (tmp_path / "shards").glob("*.tar")))
    seen = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("jpg;png", "json"))
    assert len(seen) == 35
    assert all(image.size == (16, 16) and set(fields) == set(SAMPLE_COLUMNS) for image, fields in seen)


def make(output: Path, corpus: ToyCorpus | None = None, **options: object) -> ShardManifest:
    settings = {"samples_per_shard": 10, "vocabulary_size": 0, **options}
    return prepare_shards(corpus or ToyCorpus(), str(output), run=map, **settings)


def test_keys_run_over_all_splits_and_members_come_image_first(tmp_path: Path) -> None:
    manifest = make(tmp_path / "shards")
    assert [shard.name for shard in manifest.shards] == [
        "train-00000.tar",
        "train-00001.tar",
        "train-00002.tar",
        "validation-00000.tar",
    ]
    keys = [key for shard in manifest.shards for key in read_shard_checked(str(tmp_path / "shards"), shard)["key"].to_pylist()]
    assert keys == [f"{number:09d}" for number in range(35)]
    with tarfile.open(tmp_path / "shards" / "train-00001.tar") as tar:
        assert tar.getnames()[:4] == ["000000010.jpg", "000000010.json", "000000011.png", "000000011.json"]


def test_the_manifest_reads_back_and_sums_up(tmp_path: Path) -> None:
    manifest = make(tmp_path / "shards", ToyCorpus(broken=frozenset({3, 4}), short=frozenset({5})))
    assert ShardManifest.load(str(tmp_path / "shards")) == manifest
    assert manifest.splits == {"train": 22, "validation": 7}
    assert manifest.texts == {"train": 44, "validation": 14}
    assert manifest.dropped["train"] == {"image does not decode": 2, "no text of at least 3 words": 1}
    assert manifest.modalities["validation"] == {"CT": 4, "MR": 3}
    for split, items in ToyCorpus().splits().items():
        assert manifest.splits[split] + sum(manifest.dropped[split].values()) == items


def test_texts_and_answers_are_read_without_a_shard(tmp_path: Path) -> None:
    class Asked(ToyCorpus):
        def sample(self, split: str, index: int) -> Sample:
            return replace(super().sample(split, index), answers=("yes", "it is") if index % 2 else ())

    manifest = make(tmp_path / "shards", Asked(short=frozenset({3})), samples_per_shard=1)
    for path in (tmp_path / "shards").glob("*.tar"):
        path.unlink()
    corpus = Asked()
    left = [corpus.sample("train", index) for index in range(25) if index != 3]
    assert list(read_texts(str(tmp_path / "shards"), manifest, "train")) == [text for sample in left for text in sample.texts]
    tables = list(read_all_samples(str(tmp_path / "shards"), manifest.shards_of("train"), ["answers"]))
    assert {len(table) for table in tables} == {1}
    assert [answers for table in tables for answers in field_values("answers", table["answers"].to_pylist())] == [
        sample.answers for sample in left
    ]
    texts = read_texts(str(tmp_path / "shards"), manifest, "train")
    assert next(texts) == left[0].texts[0]
    texts.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"samples/train-00001\.parquet: no such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), r"train-00001\.parquet is truncated: 100 bytes, its manifest says \d+"),
        (lambda path: flip(path, 100), r"train-00001\.parquet was altered: its sha256 is not the one in the manifest; .*jobs/prepare\.py"),
    ],
)
def test_a_bad_file_beside_a_shard_is_named(tmp_path: Path, damage: object, message: str) -> None:
    manifest = make(tmp_path / "shards")
    damage(tmp_path / "shards" / "samples" / "train-00001.parquet")  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        read_samples(str(tmp_path / "shards"), manifest.shards[1])
    read_samples(str(tmp_path / "shards"), manifest.shards[0])


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    corpus = ToyCorpus(broken=frozenset({7}))
    first, second = make(tmp_path / "a", corpus, vocabulary_size=300), make(tmp_path / "b", corpus, vocabulary_size=300)
    assert first == second
    assert first.fingerprint == second.fingerprint
    assert content_of(tmp_path / "a") == content_of(tmp_path / "b")


def test_a_dropped_item_changes_no_other_shard(tmp_path: Path) -> None:
    whole, less = make(tmp_path / "a"), make(tmp_path / "b", ToyCorpus(short=frozenset({0})))
    assert [shard.sha256 for shard in whole.shards[1:3]] == [shard.sha256 for shard in less.shards[1:3]]
    assert whole.fingerprint != less.fingerprint


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "image does not decode"),
        (b"<html>not found</html>", "image does not decode"),
        (encode(5, "GIF"), "image is GIF, neither JPEG nor PNG"),
        (encode(5, "JPEG")[:300], "image does not decode"),
    ],
)
def test_a_bad_image_is_counted_by_reason(image: bytes, reason: str) -> None:
    sample = Sample(image=image, texts=("left effusion seen",), source_id="1")
    packed = pack_shard(ListedCorpus((sample,)), ShardRange("train", 0, 1, 0))
    assert packed.counts["dropped"] == {reason: 1}
    assert packed.counts["rows"] == 0
    assert packed.samples.num_rows == 0
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as tar:
        assert tar.getnames() == []


@pytest.mark.parametrize("image", [blank_png(9_000, 9_000), blank_png(14_000, 14_000), blank_png(10, 8_000_001)])
def test_an_enormous_image_is_refused_before_it_is_decoded(image: bytes) -> None:
    sample = Sample(image=image, texts=("left effusion seen",), source_id="1")
    counts = pack_shard(ListedCorpus((sample,)), ShardRange("train", 0, 1, 0)).counts
    assert counts["dropped"] == {"image has more than 80 million pixels": 1}


def test_a_file_of_several_pictures_is_kept_whole_as_jpeg() -> None:
    buffer = io.BytesIO()
    Image.new("L", (16, 16), 200).save(buffer, "MPO", save_all=True, append_images=[Image.new("L", (16, 16))])
    sample = Sample(image=buffer.getvalue(), texts=("left effusion seen",), source_id="1")
    packed = pack_shard(ListedCorpus((sample,)), ShardRange("train", 0, 1, 0))
    assert packed.counts["dropped"] == {}
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as tar:
        assert tar.getnames() == ["000000000.jpg", "000000000.json"]
        assert tar.extractfile("000000000.jpg").read() == sample.image  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"train-00001\.tar: no such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), r"train-00001\.tar is truncated: 3000 bytes, its manifest says \d+"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), r"train-00001\.tar was altered: \d+ bytes"),
        (lambda path: flip(path, 600), r"train-00001\.tar was altered: its sha256"),
    ],
)
def test_a_bad_shard_is_named(tmp_path: Path, damage: object, message: str) -> None:
    manifest = make(tmp_path / "shards")
    damage(tmp_path / "shards" / "train-00001.tar")  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        read_shard_checked(str(tmp_path / "shards"), manifest.shards[1])
    read_shard_checked(str(tmp_path / "shards"), manifest.shards[0])


def test_a_damaged_header_is_found_without_the_hash(tmp_path: Path) -> None:
    make(tmp_path / "shards")
    path = tmp_path / "shards" / "train-00000.tar"
    flip(path, 3)
    with pytest.raises(DataError, match=r"train-00000\.tar is damaged"):
        parse_shard(path.read_bytes(), path.name)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("000000001.jpg", b"i"), ("000000001.json", b"{}")], "000000001 lacks answer_type, answers, .*texts"),
        ([("1.jpg", b"i"), ("1.json", None)], "member 1 is not named by a key of 9 digits"),
        ([("a/000000001.jpg", b"i"), ("a/000000001.json", None)], "member a/000000001 is not named by a key"),
        ([("000000001.jpg", b"i"), ("000000001.png", b"i"), ("000000001.json", None)], "000000001 has two images"),
        ([("000000001.jpg", b"i"), ("000000001.txt", b"t"), ("000000001.json", None)], "000000001 has another member, txt"),
        ([("000000001.json", b"{}")], "000000001 lacks its image"),
        ([("000000001.jpg", b"i"), ("000000001.json", b"[" * 100_000)], "nested too deeply"),
        ([("000000001.jpg", b"i"), ("000000001.json", b"null")], "not a JSON object"),
        ([("000000001.jpg", b"i")], "000000001 lacks its json"),
        ([("000000001.jpg", b"i"), ("000000001.json", b"{")], "EOF while parsing"),
        ([("000000001.jpg", b"i"), ("000000001.jpg", b"i")], "duplicate"),
        ([("000000002.jpg", b"i"), ("000000002.json", None), ("000000001.jpg", b"i"), ("000000001.json", None)], "comes after"),
    ],
)
def test_foreign_tars_are_refused(tmp_path: Path, members: list[tuple[str, bytes | None]], message: str) -> None:
    good = Sample(image=b"", texts=("a b c",), source_id="1").metadata()
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(good if content is None else content)
            tar.addfile(info, io.BytesIO(good if content is None else content))
    with pytest.raises(DataError, match=rf"x\.tar is damaged: .*{message}"):
        parse_shard((tmp_path / "x.tar").read_bytes(), "x.tar")


def altered(manifest: str, fact: str, value: object) -> str:
    return json.dumps({**json.loads(manifest), fact: value})


def test_an_altered_or_absent_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json is missing.*jobs/prepare\.py"):
        ShardManifest.load(str(tmp_path))
    make(tmp_path / "shards")
    path = tmp_path / "shards" / "manifest.json"
    whole = path.read_text()
    for text, message in (
        (whole.replace('"corpus": "', '"corpus": "another ', 1), "altered"),
        (whole.replace('"version": 3', '"version": 2'), r"has version 2, this code reads 3; make the shards again with jobs/prepare\.py"),
        (whole.replace('"version": 3', '"version": 99'), "has version 99, this code reads 3; use the release of medvlp that made it"),
        (whole[:100], "damaged"),
        (whole.replace('"public"', '"open"'), "damaged"),
        (altered(whole, "splits", {"train": 9, "test": 99}), r"states splits \{'train': 9, 'test': 99\}, its shards have \{'train'"),
        (altered(whole, "texts", {}), r"was altered: it states texts \{\}"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            ShardManifest.load(str(tmp_path / "shards"))


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    manifest = make(tmp_path / "shards")
    with pytest.raises(DataError, match="no sample of split 'test'; splits with samples: train, validation"):
        manifest.shards_of("test")


@given(splits=st.dictionaries(st.sampled_from(["train", "validation", "test"]), st.integers(0, 50)), size=st.integers(1, 20))
def test_the_plan_covers_every_item_once(splits: dict[str, int], size: int) -> None:
    shards = ShardRanges(splits, size)
    ranges = [shards[name] for name in shards]
    items = [(shard.split, index) for shard in ranges for index in range(shard.start, shard.stop)]
    keys = [shard.first_key + offset for shard in ranges for offset in range(shard.stop - shard.start)]
    assert items == [(split, index) for split, count in splits.items() for index in range(count)]
    assert keys == list(range(sum(splits.values())))


def test_more_items_than_keys_are_refused() -> None:
    with pytest.raises(DataError, match="1,000,000,001 items exceed the number of keys of a folder of shards; divide the corpus"):
        ShardRanges({"train": 10**9, "test": 1}, 1000)


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path: Path, position: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
