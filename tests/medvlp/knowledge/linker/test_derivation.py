"""Derivation: what an ontology implies by its own synonyms, and what it must not be read to imply."""

from pathlib import Path

import pytest

from medvlp.knowledge.linker.derivation import derived_names
from medvlp.knowledge.ontology import Concept, Ontology
from medvlp.knowledge.readers.registry import read_ontology


def ontology_of(*names: tuple[str, ...]) -> Ontology:
    return Ontology.build("test", [Concept(f"C{index}", first, tuple(rest)) for index, (first, *rest) in enumerate(names)], [])


PARTS = ("cortex", "artery", "pelvis", "vein")
KIDNEY = (("kidney",), *((f"kidney {part}", f"renal {part}") for part in PARTS))


def test_a_word_that_stands_for_a_name_in_many_synonyms_is_its_adjective() -> None:
    assert derived_names(ontology_of(*KIDNEY)) == {"C0": ("renal",)}


def test_of_is_another_order() -> None:
    of = (("kidney",), *((f"{part} of the kidney", f"renal {part}") for part in PARTS))
    assert derived_names(ontology_of(*of)) == {"C0": ("renal",)}


def test_few_synonyms_show_nothing() -> None:
    assert derived_names(ontology_of(*KIDNEY[:-1])) == {}


def test_a_word_that_ends_names_is_a_noun() -> None:
    tumours = (("cancer",), *((f"{part} cancer", f"{part} neoplastical") for part in PARTS))
    assert derived_names(ontology_of(*tumours)) == {}


def test_a_list_of_sites_shows_nothing() -> None:
    sites = ("renal", "kidney", "dermal", "buccal")
    lists = (("kidney",), *(tuple(f"{site} {part}" for site in sites) for part in PARTS))
    assert derived_names(ontology_of(*lists)) == {}


@pytest.mark.parametrize(
    ("noun", "adjective"), [("maxilla", "maxillary"), ("tibia", "tibial"), ("mandible", "mandibular"), ("larynx", "laryngeal")]
)
def test_regular_endings_need_one_name_with_the_adjective(noun: str, adjective: str) -> None:
    assert derived_names(ontology_of((noun,), (f"{adjective} ridge",))) == {"C0": (adjective,)}
    assert derived_names(ontology_of((noun,), ("other ridge",))) == {}


def test_a_common_adjective_has_left_its_noun_behind() -> None:
    common = tuple((f"central part{'x' * index}",) for index in range(50))
    assert derived_names(ontology_of(("centrum",), *common)) == {}


def test_a_shortened_name() -> None:
    bladder = (("urinary bladder",), *((f"urinary bladder {part}", f"bladder {part}") for part in PARTS))
    assert derived_names(ontology_of(*bladder)) == {"C0": ("bladder",)}


def test_a_shortened_name_that_many_concepts_share_is_none() -> None:
    plexus = (("nerve plexus",), *((f"nerve plexus {part}", f"plexus {part}") for part in PARTS))
    others = tuple((f"{'x' * index}coeliac plexus",) for index in range(9))
    assert derived_names(ontology_of(*plexus, *others)) == {}


@pytest.mark.real_data
def test_the_adjectives_of_the_real_graph(shared_data: Path) -> None:
    ontology = read_ontology(shared_data / "kg" / "cui_kg")
    names = {concept.id: concept.name for concept in ontology.concepts}
    meanings = {word: names[concept] for concept, words in derived_names(ontology).items() for word in words}
    expected = {
        "renal": "kidney",
        "pulmonary": "lung",
        "hepatic": "liver",
        "gastric": "stomach",
        "cardiac": "heart",
        "femoral": "femur",
        "maxillary": "maxilla",
        "bladder": "urinary bladder",
    }
    assert expected.items() <= meanings.items()
    assert not {"male", "central", "lateral", "chronic", "malignant", "aneurysm", "plexus"} & meanings.keys()
