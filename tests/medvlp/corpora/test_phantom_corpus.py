"""The phantom corpus: the same for the same key, true to its truth, and as varied as it claims."""

import io
import json
import pickle
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medvlp.corpora.phantom import PhantomCorpus, phantom_ontology_path
from medvlp.corpora.phantom.lexicon import lexicon
from medvlp.corpora.phantom.made import phantom_streams
from medvlp.corpora.phantom.scene import VIEWS, compose, draw, paint
from medvlp.corpora.phantom.view import FindingKind, View
from medvlp.data.sample import Sample
from medvlp.errors import DataError
from medvlp.knowledge.linker.dictionary import DictionaryLinker, leftmost_longest
from medvlp.knowledge.readers.registry import read_ontology
from tests.medvlp.corpora.truth import truth_of

KINDS = [(view, kind) for view in VIEWS for kind in view.kinds]
SMALL = PhantomCorpus(size=32)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [SMALL.sample("train", index) for index in range(500)]


@settings(max_examples=20, deadline=None)
@given(split=st.sampled_from(["train", "validation", "test"]), index=st.integers(0, 1_999))
def test_a_sample_depends_on_nothing_but_seed_split_and_index(split: str, index: int) -> None:
    one, two = PhantomCorpus(size=32), pickle.loads(pickle.dumps(PhantomCorpus(size=32, train=2_000)))
    assert one.sample(split, index) == two.sample(split, index)
    assert one.sample(split, index) != PhantomCorpus(size=32, seed=1).sample(split, index)


def test_splits_and_items_differ() -> None:
    images = [SMALL.sample(split, index).image for split in SMALL.splits() for index in range(20)]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize("size", [32, 64, 200])
def test_the_image_is_a_grey_jpeg_of_the_size_asked_for(size: int) -> None:
    image = Image.open(io.BytesIO(PhantomCorpus(size=size).sample("train", 3).image))
    assert (image.format, image.mode, image.size) == ("JPEG", "L", (size, size))


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(DataError, match="no split 'val'; it has train, validation, test"):
        SMALL.sample("val", 0)
    with pytest.raises(DataError, match="has 2000 items; there is no item 2000"):
        SMALL.sample("test", 2_000)


@settings(max_examples=25, deadline=None)
@given(index=st.integers(0, 39_999))
def test_the_truth_survives_json(index: int) -> None:
    sample = SMALL.sample("train", index)
    truth = truth_of(json.loads(json.loads(sample.metadata())["attributes"]))
    assert truth.to_attributes() == sample.attributes
    assert truth.modality == sample.modality
    assert [(box.name, box[1:]) for box in sample.boxes] == [(finding.name, finding.box) for finding in truth.findings]
    assert {label.value for label in sample.labels if label.state == "positive"} == {finding.name for finding in truth.findings}
    assert {label.set for label in sample.labels} == {"finding"}
    for finding in truth.findings:
        left, top, right, bottom = finding.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


@pytest.mark.parametrize(("view", "kind"), KINDS, ids=[f"{view.region}-{kind.name}" for view, kind in KINDS])
def test_a_finding_is_visible_where_its_box_says(view: View, kind: FindingKind) -> None:
    for index in range(6):
        streams = phantom_streams(0, "visible", kind.name, index)
        scene = compose(view, streams("scene"), count=1, required=kind.name)
        _, truth = draw(scene, 64, streams)
        with_finding, _ = paint(scene, 64, streams)
        without, _ = paint(replace(scene, choices=()), 64, streams)
        change = np.abs(np.clip(with_finding.pixels, 0, 1) - np.clip(without.pixels, 0, 1))
        left, top, right, bottom = (round(edge * 64) for edge in truth.findings[0].box)
        inside = change[top:bottom, left:right]
        assert (inside > 0.1).sum() >= 12
        assert inside.sum() > 0.5 * change.sum()


def test_drawing_one_more_finding_leaves_the_anatomy_alone() -> None:
    streams = phantom_streams(0, "anatomy", 0)
    scene = compose(VIEWS[0], streams("scene"), count=1, required="pulmonary nodule")
    with_finding, masks = paint(scene, 64, streams)
    without, _ = paint(replace(scene, choices=()), 64, streams)
    assert np.array_equal(with_finding.pixels[masks[0] == 0], without.pixels[masks[0] == 0])


def test_every_text_names_every_finding_and_no_other(samples: list[Sample]) -> None:
    drawn = {kind.name for _, kind in KINDS}
    for sample in samples:
        present = {finding.name for finding in truth_of(sample.attributes).findings}
        for text in sample.texts:
            named = {name for name in drawn if any(_mentions(text, spelling) for spelling in lexicon().names(name))}
            assert named == present, text


def test_the_linker_finds_the_findings_and_little_is_left_unlinked(samples: list[Sample]) -> None:
    linker = DictionaryLinker.build(read_ontology(phantom_ontology_path()))
    linked_words = words = 0
    for sample in samples[:300]:
        concepts = {finding.concept for finding in truth_of(sample.attributes).findings}
        for text in sample.texts:
            spans = linker.link(text)
            assert concepts <= {span.concept for span in spans}, text
            words += len(text.split())
            linked_words += sum(len(text[span.start : span.end].split()) for span in leftmost_longest(spans))
            assert not any(span.negated for span in spans), text
    assert linked_words > 0.6 * words


def test_texts_are_short_and_differ(samples: list[Sample]) -> None:
    for sample in samples:
        assert len(set(sample.texts)) == len(sample.texts) in (2, 3)
        assert all(8 <= len(text.split()) <= 22 for text in sample.texts), sample.texts
    normal = [sample for sample in samples if not sample.attributes["findings"]]
    phrases = lexicon().names("normal appearance")
    assert all(any(_mentions(text, phrase) for phrase in phrases) for sample in normal for text in sample.texts)


def test_names_are_mostly_main_names(samples: list[Sample]) -> None:
    texts = [text for sample in samples for text in sample.texts]
    main, other = (sum(_mentions(text, name) for text in texts) for name in ("splenomegaly", "enlargement of the spleen"))
    assert main > other > 0


def test_rates_of_findings_and_balance_of_sides() -> None:
    found: Counter[tuple[str, str]] = Counter()
    views: Counter[str] = Counter()
    sides: Counter[str] = Counter()
    for index in range(4_000):
        rng = phantom_streams(0, "rates", index)("scene")
        view = VIEWS[rng.integers(len(VIEWS))]
        views[view.modality] += 1
        for choice in compose(view, rng).choices:
            found[view.modality, choice.kind.name] += 1
            if choice.kind.sided:
                sides[choice.place.side] += 1
    rates = [found[view.modality, kind.name] / views[view.modality] for view, kind in KINDS]
    assert len(KINDS) >= 20
    assert min(rates) > 0.08
    assert max(rates) < 0.35
    assert 0.43 < sides["left"] / sides.total() < 0.57


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE) is not None
