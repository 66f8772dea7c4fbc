"""scispaCy's linker: which candidate is taken, and what to install where it is missing."""

from importlib.util import find_spec

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.linker.dictionary import Linker, Span
from medvlp.knowledge.linker.scispacy import Mention, ScispacyConfig, ScispacyLinker, choose_candidates
from medvlp.knowledge.ontology import Concept, Ontology

INSTALLED = find_spec("scispacy") is not None
ONTOLOGY = Ontology.build("umls", [Concept("C1", "lung"), Concept("C2", "lobe")], [])


@pytest.mark.parametrize(
    ("mentions", "expected"),
    [
        ([Mention(4, 8, (("C1", 0.99), ("C2", 0.96)))], [Span(4, 8, "C1")]),
        ([Mention(4, 8, (("C1", 0.94),))], []),
        ([Mention(4, 8, (("C1", 0.95),))], [Span(4, 8, "C1")]),
        ([Mention(4, 8, ())], []),
        ([Mention(4, 5, (("C1", 1.0),))], []),
        ([Mention(4, 8, (("C9", 1.0), ("C1", 0.99)))], []),  # the best reading is none of the ontology
        ([Mention(9, 12, (("C2", 1.0),)), Mention(4, 8, (("C1", 1.0),))], [Span(4, 8, "C1"), Span(9, 12, "C2")]),
    ],
)
def test_the_best_candidate_that_is_similar_enough(mentions: list[Mention], expected: list[Span]) -> None:
    assert choose_candidates(mentions, frozenset({"C1", "C2"}), 0.95) == expected


def test_the_defaults_are_those_of_the_paper() -> None:
    assert ScispacyConfig() == ScispacyConfig(model="en_core_sci_scibert", knowledge_base="umls", threshold=0.95)


@pytest.mark.skipif(INSTALLED, reason="scispaCy is installed here")
def test_what_to_install_is_said() -> None:
    with pytest.raises(KnowledgeError, match=r"pip install 'medvlp\[scispacy\]'.*--linker dictionary"):
        ScispacyLinker.build(ONTOLOGY, ScispacyConfig())


@pytest.mark.skipif(not INSTALLED, reason="scispaCy is an optional extra, not installed here")
def test_it_is_a_linker_with_a_version_of_its_own() -> None:
    linker: Linker = ScispacyLinker.build(ONTOLOGY, ScispacyConfig())
    assert linker.version.startswith("scispacy-")
    assert linker.version.endswith("-en_core_sci_scibert-umls-0.95")
