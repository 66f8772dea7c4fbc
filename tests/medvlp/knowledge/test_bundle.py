"""The knowledge bundle: what is chosen for it, and that its files are taken whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medvlp.errors import KnowledgeError
from medvlp.knowledge.bundle import METADATA_FILE, TENSORS_FILE, DroppedConcept, Entity, KnowledgeBundle, Provenance
from medvlp.knowledge.linker.dictionary import DictionaryLinker, Span
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.transe import TransEConfig
from medvlp.knowledge.vocabulary import Coverage, build_bundle

TRANSE = TransEConfig(width=8, epochs=2)
PROVENANCE = Provenance("small", "abc", "def", "dictionary-1", 2)

ONTOLOGY = Ontology.build(
    "small",
    [Concept(identifier, f"name of {identifier}", (f"synonym of {identifier}",), "finding") for identifier in "ABCDEF"],
    [
        Triple("A", "is_a", "C"),
        Triple("B", "is_a", "C"),
        Triple("B", "part_of", "C"),
        Triple("A", "is_a", "D"),
        Triple("E", "is_a", "F"),
    ],
)
COUNTS = {"A": 3, "B": 2, "C": 9, "D": 1, "E": 5, "elsewhere": 4, "F": 0}


def build(counts: dict[str, int] = COUNTS, minimum_count: int = 2, ontology: Ontology = ONTOLOGY) -> tuple[KnowledgeBundle, Coverage]:
    return build_bundle(ontology, counts, minimum_count=minimum_count, links_fingerprint="def", linker="dictionary-1", transe=TRANSE)


def small_bundle() -> KnowledgeBundle:
    entities = (Entity("A", "Ménière", "finding", 3, ("Menière's disease",)), Entity("B", "b", "finding", 2))
    vectors = torch.arange(6, dtype=torch.float32).view(2, 3)
    return KnowledgeBundle(entities, ("is_a",), torch.tensor([[1, 0, 0], [1, 0, 0]]), vectors, PROVENANCE)


def test_entities_are_frequent_concepts_in_a_triple_of_frequent_concepts() -> None:
    bundle, _ = build()
    # D is too rare, and E has no frequent neighbour. C has 3 triple ends, B 2, A 1.
    assert [entity.concept for entity in bundle.entities] == ["C", "B", "A"]
    assert bundle.entities[0] == Entity("C", "name of C", "finding", 9, ("synonym of C",))
    assert bundle.relations == ("is_a", "part_of")
    assert bundle.triples.tolist() == [[2, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert bundle.edge_index.tolist() == [[2, 1, 1], [0, 0, 0]]
    assert bundle.vectors.shape == (3, 8)
    assert bundle.provenance == Provenance("small", ONTOLOGY.fingerprint, "def", "dictionary-1", 2)


def test_inverse_relations_are_an_option() -> None:
    bundle, coverage = build_bundle(
        ONTOLOGY, COUNTS, minimum_count=2, links_fingerprint="def", linker="dictionary-1", transe=TRANSE, inverse_relations=True
    )
    assert bundle.relations == ("inverse of is_a", "is_a", "inverse of part_of", "part_of")
    assert coverage.triples == 6
    assert {(1, 0), (2, 0), (0, 1), (0, 2)} == set(map(tuple, bundle.edge_index.T.tolist()))


def test_implied_names_are_kept_with_the_entities() -> None:
    concepts = [Concept("A", "maxilla"), Concept("B", "maxillary sinus")]
    bundle, _ = build({"A": 5, "B": 5}, ontology=Ontology.build("implied", concepts, [Triple("B", "part_of", "A")]))
    assert next(entity for entity in bundle.entities if entity.concept == "A").synonyms == ("maxillary",)


def test_ties_go_by_identifier() -> None:
    bundle, _ = build({"A": 1, "C": 1}, minimum_count=1)
    assert [entity.concept for entity in bundle.entities] == ["A", "C"]


def test_coverage() -> None:
    _, coverage = build()
    assert coverage == Coverage(
        concepts_mentioned=6, concepts_unknown=1, concepts_frequent=4, concepts_kept=3, triples=3, mentions=24, mentions_kept=14
    )
    assert coverage.mentions_fraction == pytest.approx(14 / 24)
    assert "14 of 24 mentions covered (58.3%)" in str(coverage)
    assert "1 of them not in the ontology" in str(coverage)


def test_dropped_concepts_are_named_with_the_reason() -> None:
    ontology = Ontology.build("small", [*ONTOLOGY.concepts, Concept("G", "name of G")], ONTOLOGY.triples)
    bundle, _ = build({**COUNTS, "F": 1, "G": 4}, ontology=ontology)
    assert bundle.dropped == (
        DroppedConcept("E", "name of E", 5, "none of its neighbours in the ontology (1) has 2 mentions; the commonest is name of F with 1"),
        DroppedConcept("G", "name of G", 4, "no triple of the ontology contains it"),
        DroppedConcept("elsewhere", "elsewhere", 4, "not in the ontology"),
        DroppedConcept("D", "name of D", 1, "fewer than 2 mentions"),
        DroppedConcept("F", "name of F", 1, "fewer than 2 mentions"),
    )


def test_dropped_concepts_are_kept_and_change_no_fingerprint(tmp_path: Path) -> None:
    bundle = build()[0]
    bundle.save(tmp_path)
    loaded = KnowledgeBundle.load(tmp_path)
    assert loaded.dropped == bundle.dropped != ()
    assert replace(bundle, dropped=()).fingerprint == bundle.fingerprint == loaded.fingerprint
    record = json.loads((tmp_path / METADATA_FILE).read_text())
    del record["dropped"]
    (tmp_path / METADATA_FILE).write_text(json.dumps(record))  # as an older version wrote it
    assert KnowledgeBundle.load(tmp_path).dropped == ()


@pytest.mark.parametrize(
    ("counts", "minimum_count", "message"),
    [
        (COUNTS, 100, "at least 100 times.*lower the minimum count"),
        ({"E": 5, "A": 5}, 2, "2 often enough, 0 of these.*ontology with more triples"),
        ({"X": 5}, 2, "do not belong to this ontology"),
        ({}, 2, "lower the minimum count"),
    ],
)
def test_nothing_left_says_what_to_change(counts: dict[str, int], minimum_count: int, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        build(counts, minimum_count)


def test_a_minimum_count_below_one_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="minimum_count is 0"):
        build(minimum_count=0)


def test_building_again_gives_the_same_bundle() -> None:
    first, second = build()[0], build(dict(reversed(COUNTS.items())))[0]
    assert first.fingerprint == second.fingerprint
    assert build(minimum_count=1)[0].fingerprint != first.fingerprint


def test_round_trip(tmp_path: Path) -> None:
    bundle = small_bundle()
    bundle.save(tmp_path / "new" / "folder")
    loaded = KnowledgeBundle.load(tmp_path / "new" / "folder")
    assert (loaded.entities, loaded.relations, loaded.provenance) == (bundle.entities, bundle.relations, bundle.provenance)
    assert torch.equal(loaded.triples, bundle.triples)
    assert torch.equal(loaded.vectors, bundle.vectors)
    assert loaded.entity_ids == {"A": 0, "B": 1}
    assert loaded.fingerprint == bundle.fingerprint


def test_a_bundle_links_texts_by_all_names_of_its_entities() -> None:
    bundle, _ = build()
    linker = DictionaryLinker.build(bundle.ontology)
    assert linker.link("synonym of C, names of E, name of B") == [Span(0, 12, "C"), Span(26, 35, "B")]
    assert bundle.ontology.triples == tuple(triple for triple in ONTOLOGY.triples if triple.tail == "C")


def test_fingerprint_is_stable_and_sees_everything() -> None:
    bundle = small_bundle()
    assert bundle.fingerprint == "6e671fd7967e427b"  # checkpoints name it
    renamed = KnowledgeBundle(bundle.entities, ("part_of",), bundle.triples, bundle.vectors, PROVENANCE)
    moved = KnowledgeBundle(bundle.entities, bundle.relations, bundle.triples, bundle.vectors + 1, PROVENANCE)
    assert len({bundle.fingerprint, renamed.fingerprint, moved.fingerprint}) == 3


def test_altered_metadata_is_refused(tmp_path: Path) -> None:
    small_bundle().save(tmp_path)
    path = tmp_path / METADATA_FILE
    path.write_text(path.read_text().replace('"count": 3', '"count": 4'))
    with pytest.raises(KnowledgeError, match="changed or do not belong together"):
        KnowledgeBundle.load(tmp_path)


def test_tensors_of_another_bundle_are_refused(tmp_path: Path) -> None:
    bundle = small_bundle()
    bundle.save(tmp_path)
    KnowledgeBundle(bundle.entities, ("part_of",), bundle.triples, bundle.vectors, PROVENANCE).save(tmp_path / "other")
    (tmp_path / TENSORS_FILE).write_bytes((tmp_path / "other" / TENSORS_FILE).read_bytes())
    with pytest.raises(KnowledgeError, match="changed or do not belong together"):
        KnowledgeBundle.load(tmp_path)


def test_one_altered_byte_of_the_tensors_is_refused(tmp_path: Path) -> None:
    small_bundle().save(tmp_path)
    content = bytearray((tmp_path / TENSORS_FILE).read_bytes())
    content[-1] ^= 1
    (tmp_path / TENSORS_FILE).write_bytes(content)
    with pytest.raises(KnowledgeError, match="changed or do not belong together"):
        KnowledgeBundle.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"not json", b"\xff"])
@pytest.mark.parametrize("file", [METADATA_FILE, TENSORS_FILE])
def test_damaged_files_are_refused(tmp_path: Path, file: str, content: bytes) -> None:
    small_bundle().save(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(KnowledgeError, match=r"bundle\."):
        KnowledgeBundle.load(tmp_path)


@pytest.mark.parametrize("file", [METADATA_FILE, TENSORS_FILE])
def test_missing_files_are_named(tmp_path: Path, file: str) -> None:
    small_bundle().save(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(KnowledgeError, match=file):
        KnowledgeBundle.load(tmp_path)


@pytest.mark.parametrize("change", [{"version": 99}, {"entities": [{"name": "x"}]}, {"provenance": {}}, {"relations": []}])
def test_other_versions_and_forms_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    small_bundle().save(tmp_path)
    path = tmp_path / METADATA_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(KnowledgeError, match=r"build it again|make one with jobs/knowledge"):
        KnowledgeBundle.load(tmp_path)


@pytest.mark.parametrize("triple", [[0, 0, 2], [0, 1, 1], [-1, 0, 1]])
def test_a_triple_outside_the_bundle_is_refused(triple: list[int]) -> None:
    bundle = small_bundle()
    with pytest.raises(KnowledgeError, match="is inconsistent"):
        KnowledgeBundle(bundle.entities, bundle.relations, torch.tensor([triple]), bundle.vectors, PROVENANCE)
    with pytest.raises(KnowledgeError, match="is inconsistent"):
        KnowledgeBundle(bundle.entities[:1], bundle.relations, bundle.triples, bundle.vectors, PROVENANCE)


@pytest.mark.parametrize(
    "change", [{"entities": None}, {"provenance": None}, {"relations": [None]}, {"entities": [{"concept": "a"}]}, {"dropped": 3}]
)
def test_metadata_of_other_types_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    small_bundle().save(tmp_path)
    path = tmp_path / METADATA_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(KnowledgeError, match=f"{METADATA_FILE}: {next(iter(change))}"):
        KnowledgeBundle.load(tmp_path)


def test_deep_metadata_are_refused(tmp_path: Path) -> None:
    small_bundle().save(tmp_path)
    (tmp_path / METADATA_FILE).write_text("[" * 100_000)
    with pytest.raises(KnowledgeError, match="nested too deeply"):
        KnowledgeBundle.load(tmp_path)
