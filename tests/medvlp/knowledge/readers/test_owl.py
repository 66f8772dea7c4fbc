"""OWL, RDFS and SKOS in RDF/XML: names, languages, relations, and what is left out."""

from pathlib import Path

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.readers.owl import read_owl
from medvlp.knowledge.readers.registry import read_ontology

OWL = """\
<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
 xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:oboInOwl="http://www.geneontology.org/formats/oboInOwl#">
<owl:Ontology rdf:about="http://purl.obolibrary.org/obo/x.owl"/>
<owl:Class rdf:about="http://purl.obolibrary.org/obo/X_1"><rdfs:label>lung</rdfs:label>
 <oboInOwl:hasExactSynonym>pulmo</oboInOwl:hasExactSynonym>
 <rdfs:subClassOf rdf:resource="http://purl.obolibrary.org/obo/X_2"/></owl:Class>
<owl:Class rdf:about="http://purl.obolibrary.org/obo/X_2"><rdfs:label>organ</rdfs:label></owl:Class>
</rdf:RDF>
"""


def test_owl(tmp_path: Path) -> None:
    path = tmp_path / "x.owl"
    path.write_text(OWL)
    ontology = read_ontology(path)
    assert ontology.concepts == (Concept("X:1", "lung", ("pulmo",), "X"), Concept("X:2", "organ", (), "X"))
    assert ontology.triples == (Triple("X:1", "is_a", "X:2"),)


NAMESPACES = """xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
 xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:skos="http://www.w3.org/2004/02/skos/core#" xmlns:obo="http://purl.obolibrary.org/obo/"
 xmlns:oboInOwl="http://www.geneontology.org/formats/oboInOwl#"
 xmlns:xl="http://www.w3.org/2008/05/skos-xl#" xmlns:r="http://radlex.example/RID/" xml:base="http://purl.obolibrary.org/obo/x"
"""
XL = '<xl:{0}Label><xl:Label><xl:literalForm xml:lang="{1}">{2}</xl:literalForm></xl:Label></xl:{0}Label>'
X = "http://purl.obolibrary.org/obo/X_"


def read(tmp_path: Path, content: str, language: str = "en", root: str = "") -> Ontology:
    path = tmp_path / "x.owl"
    path.write_text(f'<?xml version="1.0"?>\n<rdf:RDF {" ".join(NAMESPACES.split())} {root}>\n{content}\n</rdf:RDF>\n', encoding="utf-8")
    return read_owl(path, language=language)


def of_class(content: str, number: int = 1, tag: str = "owl:Class") -> str:
    return f'<{tag} rdf:about="{X}{number}">{content}</{tag}>\n'


@pytest.mark.parametrize(
    ("content", "name", "synonyms"),
    [
        ('<rdfs:label xml:lang="fr">poumon</rdfs:label><rdfs:label xml:lang="en">lung</rdfs:label>', "lung", ()),
        ('<rdfs:label xml:lang="de">Lunge</rdfs:label><rdfs:label>lung</rdfs:label>', "lung", ()),
        ('<rdfs:label>poumon</rdfs:label><rdfs:label xml:lang="en">lung</rdfs:label>', "lung", ("poumon",)),
        ('<rdfs:label xml:lang="en-GB">colour</rdfs:label><rdfs:label xml:lang="EN">color</rdfs:label>', "color", ("colour",)),
        ('<rdfs:label xml:lang="en_US">lung</rdfs:label>', "lung", ()),
        ('<rdfs:label xml:lang="es">pulmón</rdfs:label><skos:altLabel xml:lang="es">bofe</skos:altLabel>', "pulmón", ("bofe",)),
        ('<skos:prefLabel xml:lang="en">lung</skos:prefLabel><skos:altLabel xml:lang="en">pulmo</skos:altLabel>', "lung", ("pulmo",)),
        ("<rdfs:label>RID1301</rdfs:label><skos:prefLabel>lung</skos:prefLabel>", "lung", ("RID1301",)),
        ("<r:Preferred_name>lung</r:Preferred_name><r:Synonym>pulmo</r:Synonym>", "lung", ("pulmo",)),
        ('<r:Preferred_name>lung</r:Preferred_name><rdfs:label xml:lang="de">Lunge</rdfs:label>', "lung", ()),
        ("<rdfs:label>lung</rdfs:label><oboInOwl:hasExactSynonym>pulmo</oboInOwl:hasExactSynonym>", "lung", ("pulmo",)),
        ("<rdfs:label>lung</rdfs:label><oboInOwl:hasRelatedSynonym>chest</oboInOwl:hasRelatedSynonym>", "lung", ()),
        ("<rdfs:label>lung</rdfs:label><obo:IAO_0000118>pulmo</obo:IAO_0000118>", "lung", ("pulmo",)),
        (f"{XL.format('pref', 'en', 'lung')}{XL.format('alt', 'en', 'pulmo')}{XL.format('alt', 'fr', 'poumon')}", "lung", ("pulmo",)),
        ("<rdfs:label>lung</rdfs:label><rdfs:label>pulmo</rdfs:label>", "lung", ("pulmo",)),
        ("<rdfs:label>\n  left\n  lung </rdfs:label>", "left lung", ()),
    ],
)
def test_names(tmp_path: Path, content: str, name: str, synonyms: tuple[str, ...]) -> None:
    assert read(tmp_path, of_class(content)).concepts == (Concept("X:1", name, synonyms, "X"),)


def test_the_language_is_an_option_and_inherited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = of_class('<rdfs:label>Lunge</rdfs:label><rdfs:label xml:lang="en">lung</rdfs:label><rdfs:label xml:lang="">L1</rdfs:label>')
    assert read(tmp_path, content, "de", 'xml:lang="de"').concepts == (Concept("X:1", "Lunge", ("L1",), "X"),)
    assert "names in other languages, left out: 1 (line 3)" in caplog.text
    assert read(tmp_path, content, "EN", 'xml:lang="de"').concepts == (Concept("X:1", "lung", ("L1",), "X"),)


@pytest.mark.parametrize("tag", ["owl:Class", "rdfs:Class", "skos:Concept"])
def test_terms_are_found_in_every_form(tmp_path: Path, tag: str) -> None:
    iri = {
        "owl": "http://www.w3.org/2002/07/owl#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
    }
    prefix, name = tag.split(":")
    content = "".join(
        (
            of_class("<rdfs:label>one</rdfs:label>", 1, tag),
            of_class(f'<rdf:type rdf:resource="{iri[prefix]}{name}"/><rdfs:label>two</rdfs:label>', 2, "rdf:Description"),
            f'<{tag} rdf:ID="three"><rdfs:label>three</rdfs:label></{tag}>',
            f'<{tag} rdf:about="{X}4" rdfs:label="four"/>',
            f'<skos:ConceptScheme><skos:hasTopConcept><{tag} rdf:about="{X}5"><rdfs:label>five</rdfs:label></{tag}></skos:hasTopConcept>'
            "</skos:ConceptScheme>",
            of_class("<rdfs:label>again</rdfs:label>", 1, tag),
        )
    )
    found = {concept.id: (concept.name, *concept.synonyms) for concept in read(tmp_path, content).concepts}
    assert found == {
        "X:1": ("one", "again"),
        "X:2": ("two",),
        "http://purl.obolibrary.org/obo/x#three": ("three",),
        "X:4": ("four",),
        "X:5": ("five",),
    }


def test_relations(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def named(number: int, parent: str) -> str:
        return of_class(f"<rdfs:label>n{number}</rdfs:label>{parent}", number)

    def subclass(prop: str, filler: str = "someValuesFrom") -> str:
        parts = f'<owl:onProperty rdf:resource="{prop}"/><owl:{filler} rdf:resource="{X}1"/>'
        return f"<rdfs:subClassOf><owl:Restriction>{parts}</owl:Restriction></rdfs:subClassOf>"

    part_of, near = "http://purl.obolibrary.org/obo/BFO_0000050", "http://a.example/b#near"
    thing = "http://www.w3.org/2002/07/owl#Thing"
    content = [
        named(1, ""),
        named(2, f'<rdfs:subClassOf rdf:resource="{X}1"/>'),
        named(3, f'<rdfs:subClassOf><owl:Class rdf:about="{X}1"/></rdfs:subClassOf>'),
        named(4, subclass(part_of)),
        named(5, subclass(near)),
        named(6, '<rdfs:subClassOf rdf:nodeID="n1"/>'),
        f'<rdf:Description rdf:nodeID="n1"><owl:onProperty rdf:resource="{near}"/>',
        f'<owl:someValuesFrom rdf:resource="{X}1"/></rdf:Description>',
        named(7, subclass(near, "allValuesFrom")),
        named(8, f'<skos:broader rdf:resource="{X}1"/>'),
        named(9, f'<skos:narrower rdf:resource="{X}2"/><rdfs:subClassOf rdf:resource="{thing}"/>'),
        f'<owl:ObjectProperty rdf:about="{part_of}"><oboInOwl:shorthand>part_of</oboInOwl:shorthand></owl:ObjectProperty>',
        named(10, f'<rdfs:subClassOf rdf:resource="{X}404"/>'),
    ]
    assert read(tmp_path, "\n".join(content)).triples == (
        Triple("X:2", "is_a", "X:1"),
        Triple("X:2", "narrower_than", "X:9"),
        Triple("X:3", "is_a", "X:1"),
        Triple("X:4", "part_of", "X:1"),
        Triple("X:5", "near", "X:1"),
        Triple("X:6", "near", "X:1"),
        Triple("X:8", "narrower_than", "X:1"),
    )
    assert "class expressions other than someValuesFrom a class, left out: 1" in caplog.text
    assert "references to terms that the file does not define, or that are obsolete, left out: 1" in caplog.text


def test_former_identifiers_and_deprecated_classes(tmp_path: Path) -> None:
    content = [
        of_class("<rdfs:label>lung</rdfs:label><oboInOwl:hasAlternativeId>X:9</oboInOwl:hasAlternativeId>"),
        of_class(f'<rdfs:label>left lung</rdfs:label><rdfs:subClassOf rdf:resource="{X}9"/>', 2),
        of_class(f'<rdfs:label>right lung</rdfs:label><rdfs:subClassOf rdf:resource="{X}8"/>', 3),
        of_class(f'<rdfs:label>old</rdfs:label><owl:deprecated>True</owl:deprecated><obo:IAO_0100001 rdf:resource="{X}1"/>', 8),
    ]
    ontology = read(tmp_path, "".join(content))
    assert [concept.id for concept in ontology.concepts] == ["X:1", "X:2", "X:3"]
    assert ontology.triples == (Triple("X:2", "is_a", "X:1"), Triple("X:3", "is_a", "X:1"))


SOURCE = f'<owl:annotatedSource rdf:resource="{X}1"/>'
EXACT = '<owl:annotatedProperty rdf:resource="http://www.geneontology.org/formats/oboInOwl#hasExactSynonym"/>'


@pytest.mark.parametrize(
    "part",
    [
        f"<owl:Axiom>{SOURCE}{EXACT}</owl:Axiom>",
        f"<owl:Axiom>{EXACT}<owl:annotatedTarget>pulmo</owl:annotatedTarget></owl:Axiom>",
        f"<owl:Axiom>{SOURCE}{EXACT}<owl:annotatedTarget/></owl:Axiom>",
        f'<owl:Axiom><owl:annotatedSource rdf:resource="{X}404"/>{EXACT}<owl:annotatedTarget>pulmo</owl:annotatedTarget></owl:Axiom>',
        "<owl:Axiom/>",
        "<owl:Class/>",
        "<owl:Class><owl:unionOf rdf:parseType='Collection'><rdf:Description rdf:about='#a'/></owl:unionOf></owl:Class>",
        "<owl:Restriction/>",
        "<owl:AnnotationProperty/>",
        "<owl:ObjectProperty/>",
        "<owl:Ontology><oboInOwl:date>yesterday</oboInOwl:date></owl:Ontology>",
        "<owl:Axiom><owl:annotatedSource rdf:parseType='Literal'><b>x</b></owl:annotatedSource></owl:Axiom>",
        of_class("<rdfs:label/><oboInOwl:creation_date>never</oboInOwl:creation_date><oboInOwl:hasDbXref/><rdfs:subClassOf/>", 1),
        of_class("<oboInOwl:hasExactSynonym rdf:resource='http://a.example'/><rdfs:label rdf:datatype='#odd'> </rdfs:label>", 1),
    ],
)
def test_no_element_costs_the_file(tmp_path: Path, part: str) -> None:
    ontology = read(tmp_path, f"{part}\n{of_class('<rdfs:label>lung</rdfs:label>')}")
    assert ontology.concepts == (Concept("X:1", "lung", (), "X"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (of_class("") + of_class("", 2), r"no usable term \(2 terms, 2 not obsolete\): terms without a name.*: 2 \(lines 3, 4\)"),
        ('<owl:Ontology rdf:about="http://a.example"/>', r"no usable term \(0 terms"),
        ("<owl:Class>", r"x\.owl is not well-formed XML: mismatched tag: line 4, column 2; is it complete"),
    ],
)
def test_a_file_with_nothing_usable_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        read(tmp_path, content)
