"""The phantom ontology: well-formed, and joined to the texts that are written with it."""

import warnings
from collections import Counter

import pronto
import pytest

from medvlp.corpora.phantom import PhantomCorpus, phantom_ontology_path
from medvlp.corpora.phantom.lexicon import lexicon
from medvlp.corpora.phantom.scene import VIEWS
from medvlp.corpora.phantom.view import SEVERITIES, SIZES
from medvlp.errors import KnowledgeError
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.registry import read_ontology


@pytest.fixture(scope="module")
def ontology() -> Ontology:
    return read_ontology(phantom_ontology_path())


def test_the_file_is_read_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = pronto.Ontology(phantom_ontology_path())
    terms = list(document.terms())
    assert len(terms) >= 120
    assert all(term.definition for term in terms)
    assert {term.namespace for term in terms} == {"finding", "anatomy", "modality", "qualifier"}


def test_no_two_concepts_share_a_name(ontology: Ontology) -> None:
    names = Counter(name.lower() for concept in ontology.concepts for name in (concept.name, *concept.synonyms))
    assert names.most_common(1)[0][1] == 1


def test_every_name_of_the_grammar_is_a_concept_of_its_kind(ontology: Ontology) -> None:
    types = {concept.name: concept.semantic_type for concept in ontology.concepts}
    for view in VIEWS:
        assert [types[view.modality], types[view.technique], types[view.region]] == ["modality", "modality", "anatomy"]
        for kind in view.kinds:
            assert types[kind.name] == "finding"
            assert {types[name] for name in (kind.organ, *(place.site for place in kind.places))} == {"anatomy"}
    assert {types[name] for name in (*SIZES, *SEVERITIES, "left", "right", "normal appearance")} == {"qualifier"}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="no concept named 'broken heart'"):
        lexicon().concept("broken heart")


def test_drawn_findings_lie_in_their_organ_and_are_visible_on_their_modality(ontology: Ontology) -> None:
    identifiers = {concept.name: concept.id for concept in ontology.concepts}
    triples = {(triple.head, triple.relation, triple.tail) for triple in ontology.triples}
    for view in VIEWS:
        for kind in view.kinds:
            finding = identifiers[kind.name]
            assert (finding, "finding_site", identifiers[kind.organ]) in triples, kind.name
            assert (finding, "visible_on", identifiers[view.modality]) in triples, kind.name


def test_a_thousand_texts_fill_a_vocabulary(ontology: Ontology) -> None:
    corpus, linker = PhantomCorpus(size=16), DictionaryLinker.build(ontology)
    texts = [text for index in range(420) for text in corpus.sample("train", index).texts][:1_000]
    counts = Counter(span.concept for text in texts for span in linker.link(text))
    frequent = {concept for concept, count in counts.items() if count >= 10}
    triples = [triple for triple in ontology.triples if triple.head in frequent and triple.tail in frequent]
    assert len(texts) == 1_000
    assert len({end for triple in triples for end in (triple.head, triple.tail)}) >= 60
    assert {"is_a", "part_of", "finding_site"} <= {triple.relation for triple in triples}
