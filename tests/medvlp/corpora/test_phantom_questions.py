"""Questions about phantoms: answered by the truth, and not to be guessed without the image."""

import pickle
from collections import Counter, defaultdict

import pytest

from medvlp.corpora.phantom import PhantomCorpus, PhantomQuestions
from medvlp.corpora.phantom.lexicon import lexicon
from medvlp.corpora.phantom.questions import QUESTION_TYPES
from medvlp.corpora.phantom.scene import VIEWS
from medvlp.data.sample import Sample
from medvlp.errors import DataError
from tests.medvlp.corpora.truth import truth_of

CORPUS = PhantomQuestions(size=32)
NAMES = sorted({kind.name for view in VIEWS for kind in view.kinds})


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [CORPUS.sample("train", index) for index in range(1_000)]


def test_the_answer_follows_from_the_truth(samples: list[Sample]) -> None:
    for sample in samples:
        assert sample.answer == _answer(sample), (sample.texts, sample.attributes)


def _answer(sample: Sample) -> str:
    truth = truth_of(sample.attributes)
    if sample.answer_type == "modality":
        return truth.modality
    if sample.answer_type == "count":
        return str(len(truth.findings))
    if sample.answer_type == "abnormality":
        (finding,) = truth.findings
        return finding.name
    asked = _asked(sample)
    finding = next((finding for finding in truth.findings if finding.name == asked), None)
    if sample.answer_type == "presence":
        return "yes" if finding else "no"
    assert finding is not None
    return finding.side


def _asked(sample: Sample) -> str:
    (text,) = sample.texts
    (name,) = [name for name in NAMES if any(f" {spelling} " in text.replace("?", " ") for spelling in lexicon().names(name))]
    return name


def test_guessing_by_type_is_poor(samples: list[Sample]) -> None:
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        answers[sample.answer_type][sample.answer] += 1
    assert {kind: counter.total() for kind, counter in answers.items()} == dict.fromkeys(QUESTION_TYPES, 200)
    majority = {kind: counter.most_common(1)[0][1] / counter.total() for kind, counter in answers.items()}
    assert majority["modality"] == 0.25
    assert majority["presence"] < 0.6
    assert majority["side"] < 0.6
    assert majority["count"] < 0.35
    assert majority["abnormality"] < 0.15


def test_the_finding_that_is_asked_for_tells_nothing() -> None:
    """Of each finding, about half of the questions are answered yes."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for index in range(QUESTION_TYPES.index("presence"), 15_000, len(QUESTION_TYPES) * 3):
        sample = CORPUS.sample("train", index)
        answers[_asked(sample)][sample.answer] += 1
    assert set(answers) <= set(NAMES)
    for name, counter in answers.items():
        if counter.total() >= 30:
            assert 0.3 < counter["yes"] / counter.total() < 0.7, name


def test_questions_are_deterministic_and_their_images_are_nobody_elses() -> None:
    again = pickle.loads(pickle.dumps(CORPUS))
    assert CORPUS.sample("test", 17) == again.sample("test", 17)
    images = [CORPUS.sample(split, index).image for split in CORPUS.splits() for index in range(40)]
    pretraining = [PhantomCorpus(size=32).sample(split, index).image for split in CORPUS.splits() for index in range(40)]
    assert len(set(images + pretraining)) == 240


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(DataError, match="no split 'dev'"):
        CORPUS.sample("dev", 0)
