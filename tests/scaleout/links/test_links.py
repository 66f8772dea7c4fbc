"""Links: where concepts stand in the texts, beside the shards and in step with them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError, DataError, KnowledgeError
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from scaleout.links.link import link_shards
from scaleout.links.manifest import LinksManifest
from scaleout.links.ontologies import check_links, read_ontology_uris
from scaleout.links.reader import LINKS_SCHEMA, check_alignment, read_links_checked
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.prepare import prepare_shards
from scaleout.shards.reader import read_shard_checked
from tests.scaleout.shards.toy import ToyCorpus

ONTOLOGY = Ontology.build(
    "toy",
    [Concept("T:1", "effusion"), Concept("T:2", "lump", ("nodule", "mass"))],
    [Triple("T:1", "is_a", "T:2")],
)
OTHER = Ontology.build("other", [Concept("T:1", "effusion"), Concept("T:9", "left")], [])


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Shards of the toy corpus, one item missing."""
    output = str(tmp_path / "shards")
    prepare_shards(ToyCorpus(short=frozenset({3})), output, samples_per_shard=10, vocabulary_size=0, run=map)
    return output


def make(shards: str, output: Path, ontology: Ontology = ONTOLOGY, *, overwrite: bool = False) -> LinksManifest:
    """Link without Ray."""
    return link_shards(shards, ontology, DictionaryLinker.build(ontology), str(output), overwrite=overwrite, run=map)


def test_spans_name_the_characters_of_the_text(shards: str, tmp_path: Path) -> None:
    manifest = make(shards, tmp_path / "links")
    surfaces = set()
    for shard, record in zip(ShardManifest.load(shards).shards, manifest.files, strict=True):
        samples = read_shard_checked(shards, shard)
        links = read_links_checked(str(tmp_path / "links"), record)
        assert links.schema.equals(LINKS_SCHEMA)
        check_alignment(samples, links, shard.name)
        texts = {row["key"]: row["texts"] for row in samples.to_pylist()}
        for row in links.to_pylist():
            text = texts[row["key"]][row["text"]]
            found = zip(row["start"], row["end"], row["concept"], strict=True)
            surfaces |= {(text[start:end], concept) for start, end, concept in found}
            # The second text of every toy sample denies.
            assert row["negated"] == [row["text"] == 1] * len(row["concept"])
    assert surfaces == {("effusion", "T:1"), ("nodule", "T:2"), ("mass", "T:2")}


def test_no_shard_is_read(shards: str, tmp_path: Path) -> None:
    expected = make(shards, tmp_path / "before")
    for path in Path(shards).glob("*.tar"):
        path.unlink()
    assert make(shards, tmp_path / "after") == expected


def test_altered_texts_are_not_linked(shards: str, tmp_path: Path) -> None:
    path = Path(shards) / "samples" / "train-00001.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    with pytest.raises(DataError, match=r"train-00001\.parquet: file of samples .*train-00001\.parquet was altered"):
        make(shards, tmp_path / "links")


def test_counts_are_of_the_training_split(shards: str, tmp_path: Path) -> None:
    manifest = make(shards, tmp_path / "links")
    corpus = ToyCorpus()
    train = [text for index in range(corpus.train) if index != 3 for text in corpus.sample("train", index).texts]
    assert manifest.counts == {
        "T:1": sum("effusion" in text for text in train),
        "T:2": sum("nodule" in text or "mass" in text for text in train),
    }
    assert manifest.texts == sum(ShardManifest.load(shards).texts.values())
    assert 0 < manifest.linked_texts < manifest.texts
    assert manifest.spans >= sum(manifest.counts.values())
    assert 0 < manifest.negated_spans < manifest.spans


def test_the_manifest_reads_back(shards: str, tmp_path: Path) -> None:
    manifest = make(shards, tmp_path / "links")
    assert LinksManifest.load(str(tmp_path / "links")) == manifest
    assert manifest.linker == "dictionary"
    assert manifest.shards_fingerprint == ShardManifest.load(shards).fingerprint


def test_an_altered_manifest_is_refused(shards: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json is missing.*jobs/link\.py"):
        LinksManifest.load(str(tmp_path))
    make(shards, tmp_path / "links")
    path = tmp_path / "links" / "manifest.json"
    path.write_text(path.read_text().replace('"ontology_fingerprint": "', '"ontology_fingerprint": "0'))
    with pytest.raises(DataError, match="altered"):
        LinksManifest.load(str(tmp_path / "links"))


def test_the_same_input_gives_the_same_bytes(shards: str, tmp_path: Path) -> None:
    first, second = make(shards, tmp_path / "a"), make(shards, tmp_path / "b")
    assert first == second
    for file in first.files:
        assert (tmp_path / "a" / file.name).read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_bad_files_are_named(shards: str, tmp_path: Path) -> None:
    manifest = make(shards, tmp_path / "links")
    path = tmp_path / "links" / manifest.files[0].name
    whole = path.read_bytes()
    cut = whole[:-10]
    path.write_bytes(cut)
    with pytest.raises(DataError, match=r"train-00000\.parquet is truncated"):
        read_links_checked(str(tmp_path / "links"), manifest.files[0])
    with pytest.raises(DataError, match=r"train-00000\.parquet is damaged"):
        read_links_checked(str(tmp_path / "links"), replace(manifest.files[0], bytes=len(cut), sha256=hashlib.sha256(cut).digest()))
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    with pytest.raises(DataError, match=r"train-00000\.parquet was altered: its sha256"):
        read_links_checked(str(tmp_path / "links"), manifest.files[0])
    path.unlink()
    with pytest.raises(DataError, match=r"train-00000\.parquet: no such file"):
        read_links_checked(str(tmp_path / "links"), manifest.files[0])


def test_links_of_another_shard_do_not_line_up(shards: str, tmp_path: Path) -> None:
    manifest = make(shards, tmp_path / "links")
    records = ShardManifest.load(shards).shards
    other = read_links_checked(str(tmp_path / "links"), manifest.files[1])
    samples = read_shard_checked(shards, records[0])
    for links in (other, other.slice(0, 3)):
        with pytest.raises(DataError, match=r"train-00000\.tar do not line up"):
            check_alignment(samples, links, records[0].name)


def test_other_ontologies_are_not_mixed_in(shards: str, tmp_path: Path) -> None:
    make(shards, tmp_path / "links")
    with pytest.raises(ConfigurationError, match=r"ontology: found toy, requested other.*--overwrite"):
        make(shards, tmp_path / "links", OTHER)
    assert make(shards, tmp_path / "links", OTHER, overwrite=True).ontology == "other"


def test_links_of_another_linker_are_not_gone_on_with(shards: str, tmp_path: Path) -> None:
    class Newer(DictionaryLinker):
        version = "dictionary-next"

    make(shards, tmp_path / "links")
    with pytest.raises(ConfigurationError, match=r"linker_version: found dictionary-3, requested dictionary-next.*--overwrite"):
        link_shards(shards, ONTOLOGY, Newer.build(ONTOLOGY), str(tmp_path / "links"), run=map)


def test_links_of_the_former_format_are_refused(shards: str, tmp_path: Path) -> None:
    make(shards, tmp_path / "links")
    path = tmp_path / "links" / "manifest.json"
    path.write_text(path.read_text().replace('"version": 4', '"version": 3'))
    with pytest.raises(DataError, match=r"has version 3, this code reads 4; make the links again with jobs/link\.py"):
        LinksManifest.load(str(tmp_path / "links"))


def test_links_belong_to_an_ontology_and_to_shards(shards: str, tmp_path: Path) -> None:
    links, manifest = make(shards, tmp_path / "links"), ShardManifest.load(shards)
    check_links(links, manifest, ONTOLOGY)
    with pytest.raises(KnowledgeError, match=r"made with ontology 'toy' .* not with 'other'"):
        check_links(links, manifest, OTHER)
    with pytest.raises(KnowledgeError, match="of other shards"):
        check_links(links, replace(manifest, corpus="another"), ONTOLOGY)


def test_an_ontology_has_to_be_named_and_to_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--ontology"):
        read_ontology_uris([])
    with pytest.raises(DataError, match=r"nothing\.obo"):
        read_ontology_uris([str(tmp_path / "nothing.obo")])
