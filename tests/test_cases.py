"""Every small input that was once handled wrongly, with the right value; ``make verify`` lists them in ``docs/verified.md``.

Each kind also has a test on an input of its own, beside the code that it tests. Types of findings that a bundle lacks are refused with the
launch: see ``tests/scaleout/launch``.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvlp.corpora.corpus import Corpus
from medvlp.corpora.official.reports import report_sections
from medvlp.corpora.official.vqa_med_2019 import alternatives
from medvlp.corpora.registry import open_corpus
from medvlp.data.dicom import dicom_pixels
from medvlp.data.rgb import decode_rgb
from medvlp.errors import MedvlpError
from medvlp.knowledge.linker.dictionary import DictionaryLinker, Span, flag_denied
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.registry import read_ontology
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.prepare import prepare_shards

pytestmark = pytest.mark.real_data


def made(corpus: Corpus, output: Path) -> ShardManifest:
    return prepare_shards(corpus, str(output), vocabulary_size=0, run=map)


def texts(corpus: Corpus) -> list[str]:
    return [text for split, items in corpus.splits().items() for index in range(items) for text in corpus.sample(split, index).texts]


@pytest.mark.parametrize(
    ("case", "corpus", "options", "splits"),
    [
        ("lone_surrogate_text", "jsonl", {}, {"train": 1}),
        ("split_training", "jsonl", {}, {"train": 1, "test": 1}),
        ("chinese_captions", "jsonl", {}, {"train": 1}),
        ("texts_null_hides_text", "jsonl", {}, {"train": 2}),
        ("texts_null_hides_text/csv", "csv", {}, {"train": 1}),
        ("blank_row", "csv", {}, {"train": 2}),
        ("tab_delimiter", "csv", {"delimiter": "\\t"}, {"train": 1}),
        ("tab_delimiter", "csv", {"delimiter": "tab"}, {"train": 1}),
        ("csv_long_field", "csv", {}, {"train": 1}),
        ("csv_messages_without_line", "csv", {}, {"train": 900}),
        ("csv_messages_without_line", "csv", {"file": "backslash.csv"}, {"train": 900}),
        ("vqa_null_answer", "vqa-rad", {}, {"test": 1}),
        ("corpus_rad_image_null", "vqa-rad", {}, {"test": 1}),
        ("corpus_rad_null_type", "vqa-rad", {}, {"validation": 1, "test": 1}),
        ("corpus_rad_question_null", "vqa-rad", {}, {"test": 1}),
        ("corpus_cat_ref_has_null", "medicat", {"validation": 0, "test": 0}, {"train": 1}),
        ("corpus_cat_ref_string", "medicat", {"validation": 0, "test": 0}, {"train": 1}),
        ("corpus_iu_appledouble", "iu-xray", {}, {"train": 1}),
        ("corpus_iu_two_findings", "iu-xray", {}, {"train": 1}),
        ("corpus_mim_label_nan", "mimic-cxr", {}, {"train": 1}),
        ("corpus_roco_dlinks_short", "roco", {"references": "ref"}, {"train": 1, "validation": 1, "test": 1}),
        ("corpus_slake_modality_mixed", "slake", {}, {"train": 2, "validation": 1, "test": 1}),
        ("dicom_window_unusable", "jsonl", {}, {"train": 10}),
        ("dicom_functional_groups", "jsonl", {}, {"train": 2}),
        ("dicom_no_preamble", "jsonl", {}, {"train": 1}),
        ("mpo_jpg", "jsonl", {}, {"train": 1}),
    ],
)
def test_samples(shared_cases: Path, tmp_path: Path, case: str, corpus: str, options: dict[str, Any], splits: dict[str, int]) -> None:
    opened = open_corpus(corpus, shared_cases / case, **options)
    assert {split: rows for split, rows in made(opened, tmp_path).splits.items() if rows} == splits
    assert all(texts(opened))
    if case == "corpus_cat_ref_string":
        assert "the reference as one text" in texts(opened)
    if case == "corpus_iu_two_findings":
        assert texts(opened) == ["The heart is normal in size."]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nul_in_path", r"captions\.jsonl, line 1 has a field 'image' that is not a file name"),
        ("split_nul", r"captions\.jsonl, line 1 has a field 'split' that is no name of a split"),
        ("split_path_traversal", r"captions\.jsonl, line 1 has a field 'split' that is no name of a split"),
        ("all_images_html", r"10 × image does not decode.*images/0\.jpg"),
        ("bomb_reason", "image has more than 80 million pixels"),
        ("dicom_65530_rows", "DICOM image has more than 65,500 rows or columns"),
    ],
)
def test_refusals(shared_cases: Path, tmp_path: Path, case: str, message: str) -> None:
    with pytest.raises(MedvlpError, match=message):
        made(open_corpus("jsonl", shared_cases / case), tmp_path / "a" / "b" / "shards")
    assert not list(tmp_path.rglob("*evil*"))


def test_patient_fields(shared_cases: Path) -> None:
    for form in ("jsonl", "csv"):
        options = {"image_column": "Image Index", "text_column": "Finding Labels"} if form == "csv" else {}
        corpus = open_corpus(form, shared_cases / "patient_fields" / form, validation_share=0.5, **options)
        samples = [[corpus.sample(split, index) for index in range(items)] for split, items in corpus.splits().items()]
        names = {name for of_split in samples for sample in of_split for name in sample.attributes}
        assert not [name for name in names if re.search("patient ?(id|name|birth)|accession|mrn", name, re.IGNORECASE)]
        groups = [{sample.group for sample in of_split} for of_split in samples]
        assert sum(map(len, groups)) == len(set().union(*groups))


def test_vqa_med_2019_alternatives(shared_cases: Path) -> None:
    rows = (shared_cases / "vqa_med_2019_alternatives" / "VQAMed2019_Test_Questions_w_Ref_Answers.txt").read_text().splitlines()
    answers = {row.split("|")[0]: alternatives(row.rsplit("|", 1)[1]) for row in rows}
    assert {"face, sinuses, and neck", "skull and contents"} <= set(answers["synpic40410"])
    assert not [answer for of_row in answers.values() for answer in of_row if "#" in answer]


def test_exif_orientation(shared_cases: Path) -> None:
    sizes = {name: decode_rgb((shared_cases / "exif_orientation" / name).read_bytes()).size for name in ("a.jpg", "b.png")}
    assert set(sizes.values()) == {(300, 200)}


def test_png_16bit_low_values(shared_cases: Path) -> None:
    for name in ("eight.png", "twelve.png"):
        assert np.asarray(decode_rgb((shared_cases / "png_16bit_low_values" / name).read_bytes())).max() == 255


def test_dicom_padding(shared_cases: Path) -> None:
    for path in sorted((shared_cases / "dicom_padding").glob("*.dcm")):
        pixels = dicom_pixels(path.read_bytes())
        assert (pixels.min(), pixels.max() > 250) == (0, True), path.name


def test_dicom_embedded_overlay(shared_cases: Path) -> None:
    overlaid, plain = (dicom_pixels((shared_cases / "dicom_embedded_overlay" / name).read_bytes()) for name in ("a.dcm", "plain.dcm"))
    assert np.array_equal(overlaid, plain)


def test_dicom_pixel_aspect(shared_cases: Path) -> None:
    shapes = {path.stem: dicom_pixels(path.read_bytes()).shape for path in (shared_cases / "dicom_pixel_aspect").glob("*.dcm")}
    assert all(shape[0] != shape[1] for shape in shapes.values())


def test_mimic_sections(shared_cases: Path) -> None:
    for path in sorted((shared_cases / "mimic_sections").glob("*.txt")):
        findings = report_sections(path.read_text())["findings"]
        expected = ("Clear", "Normal size", "No effusion") if path.stem == "structured" else ("Heart is normal.",)
        assert all(part in findings for part in expected), path.name


def names_and_triples(ontology: Ontology) -> tuple[set[str], int]:
    return {name for concept in ontology.concepts for name in (concept.name, *concept.synonyms)}, len(ontology.triples)


def test_obo_refused_whole(shared_cases: Path) -> None:
    for path in (shared_cases / "obo_refused_whole").glob("*.obo"):
        assert read_ontology(path).concepts, path.name


def test_obo_lost_silently(shared_cases: Path) -> None:
    folder = shared_cases / "obo_lost_silently"
    assert names_and_triples(read_ontology(folder / "alt_id.obo"))[1] > 0
    assert names_and_triples(read_ontology(folder / "two_spaces.obo"))[1] > 0
    assert "pulmo" in names_and_triples(read_ontology(folder / "syn_exact_old.obo"))[0]
    assert {"lung", "pulmo", "lungs"} <= names_and_triples(read_ontology(folder / "dup_id.obo"))[0]


@pytest.mark.parametrize(
    "case", ["owl_crash/axiom_no_target.owl", "owl_names/labels_fr_en.owl", "owl_names/skos_only.owl", "owl_names/radlex_style.owl"]
)
def test_owl(shared_cases: Path, case: str) -> None:
    assert "lung" in {concept.name for concept in read_ontology(shared_cases / case).concepts}


@pytest.mark.parametrize(("case", "concepts", "triples"), [("tsv_bom", None, 1), ("tsv_header", 2, 1)])
def test_tsv(shared_cases: Path, case: str, concepts: int | None, triples: int) -> None:
    ontology = read_ontology(shared_cases / case)
    assert len(ontology.triples) == triples
    assert concepts in (None, len(ontology.concepts))
    assert not [concept.id for concept in ontology.concepts if concept.id.startswith("\ufeff") or concept.name == "name"]


def test_real_public(shared_cases: Path) -> None:
    for path in sorted(path for path in (shared_cases / "real_public").iterdir() if path.suffix in (".dcm", ".jpg", ".mpo", ".png")):
        content = path.read_bytes()
        picture = dicom_pixels(content) if path.suffix == ".dcm" else np.asarray(decode_rgb(content))
        assert picture.max() > 250, path.name


def test_negation(shared_cases: Path) -> None:
    for line in (shared_cases / "negation" / "sentences.tsv").read_text().splitlines():
        text, _, expected = line.partition("\t")
        for each in expected.split("; "):
            name, label = re.fullmatch(r"(.*?) (denied|affirmed|not denied)", each).groups()  # type: ignore[union-attr]
            place = max(text.lower().find(name.lower()), text.lower().find(name.split()[-1].lower()))
            (span,) = flag_denied([Span(place, place + len(name), name)], text)
            assert span.negated == (label == "denied"), (text, each)


def test_linking(shared_cases: Path) -> None:
    linker = DictionaryLinker.build(read_ontology(shared_cases / "linking"))
    for line in (shared_cases / "linking" / "sentences.tsv").read_text().splitlines():
        text, _, expected = line.partition("\t")
        found = {span.concept: span.negated for span in linker.link(text)}
        if expected.startswith("nothing"):
            assert not found, text
            continue
        for concept in re.findall(r"C\d+", expected):
            assert found[concept] == (expected.endswith(" denied") and "not denied" not in expected), (text, expected)
