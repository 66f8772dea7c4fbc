"""Spelling: the variants of a name are those that authors write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.knowledge.linker.spelling import bare, is_abbreviation, plurals, variants


@pytest.mark.parametrize(
    ("name", "plural"),
    [
        ("nodule", "nodules"),
        ("mass", "masses"),
        ("biopsy", "biopsies"),
        ("CT", "CTs"),
        ("atrium", "atria"),
        ("humerus", "humeri"),
        ("metastasis", "metastases"),
        ("phalanx", "phalanges"),
        ("vertebra", "vertebrae"),
        ("sarcoma", "sarcomata"),
        ("lobe of lung", "lobes of lung"),
    ],
)
def test_plurals(name: str, plural: str) -> None:
    assert plural in set(plurals(name))


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("edema", "oedema"),
        ("liver tumor", "liver tumour"),
        ("esophagus", "oesophagus"),
        ("Crohn's disease", "Crohn disease"),
        ("Crohn disease", "Crohn's disease"),
        ("cortex of kidney", "kidney cortex"),
        ("cortex of kidney", "cortex of the kidney"),
        ("diabetes mellitus NOS", "diabetes mellitus"),
        ("dental caries (disorder)", "dental caries"),
    ],
)
def test_variants(name: str, variant: str) -> None:
    assert variant in set(variants(name))


@given(st.text(alphabet="abcXY '-of()", min_size=1, max_size=20))
def test_a_name_is_no_variant_of_itself(name: str) -> None:
    made = list(variants(name))
    assert name not in made
    assert all(made)


def test_qualifiers() -> None:
    assert bare("abducens nerve [VI] (nerve), NOS") == "abducens nerve"
    assert bare("axis [C II]") == "axis [C II]"


def test_abbreviations() -> None:
    assert all(is_abbreviation(name) for name in ("CT", "CTs", "AIDS", "As"))
    assert not any(is_abbreviation(name) for name in ("aids", "HIV-1", "PLEURA", "Hip"))
