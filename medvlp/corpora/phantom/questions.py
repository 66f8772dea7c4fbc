"""Questions about phantoms, each with its own image: question answering with exactly known answers.

Images are composed for their question, so that the answer is a guess without the image: half of the answers to "is there a gallstone?" are
"yes", and every side, count and finding is equally frequent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from numpy.random import Generator

from medvlp.corpora.phantom.lexicon import lexicon
from medvlp.corpora.phantom.made import MadeCorpus, phantom_streams
from medvlp.corpora.phantom.scene import COUNT_RATES, VIEWS, Scene, compose, draw
from medvlp.corpora.phantom.view import View
from medvlp.data.sample import Sample
from medvlp.values import CountOrZero

SIDED_VIEWS = tuple(view for view in VIEWS if any(kind.sided for kind in view.kinds))


@dataclass(frozen=True, slots=True)
class Question:
    """A scene and a question about it."""

    scene: Scene
    text: str
    answer: str


def _ask_modality(view: View, rng: Generator) -> Question:
    text = _pick(rng, "Which imaging modality is this?", "What kind of image is shown?", "How was this image made?")
    return Question(compose(view, rng), text, view.modality)


def _ask_presence(view: View, rng: Generator) -> Question:
    name = view.kinds[rng.integers(len(view.kinds))].name
    present = rng.random() < 0.5
    scene = compose(view, rng, required=name) if present else compose(view, rng, forbidden=name)
    said = lexicon().say(name, rng)
    text = _pick(rng, f"Is there {said}?", f"Does the image show {said}?", f"Can {said} be seen in this image?")
    return Question(scene, text, "yes" if present else "no")


def _ask_side(view: View, rng: Generator) -> Question:
    names = [kind.name for kind in view.kinds if kind.sided]
    name = names[rng.integers(len(names))]
    scene = compose(view, rng, required=name)
    said = lexicon().say(name, rng)
    text = _pick(rng, f"On which side is the {said}?", f"Is the {said} on the left or on the right?", f"Which side shows {said}?")
    return Question(scene, text, next(choice.place.side for choice in scene.choices if choice.kind.name == name))


def _ask_abnormality(view: View, rng: Generator) -> Question:
    name = view.kinds[rng.integers(len(view.kinds))].name
    text = _pick(rng, "Which abnormality is seen in this image?", "What is the main finding?", "What does the image show?")
    return Question(compose(view, rng, count=1, required=name), text, name)


def _ask_count(view: View, rng: Generator) -> Question:
    scene = compose(view, rng, count=int(rng.integers(len(COUNT_RATES))))
    text = _pick(rng, "How many abnormalities are there?", "How many findings does the image show?", "What is the number of abnormalities?")
    return Question(scene, text, str(len(scene.choices)))


def _pick(rng: Generator, *texts: str) -> str:
    return texts[rng.integers(len(texts))]


_ASKERS: tuple[tuple[str, Callable[[View, Generator], Question], tuple[View, ...]], ...] = (
    ("modality", _ask_modality, VIEWS),
    ("presence", _ask_presence, VIEWS),
    ("side", _ask_side, SIDED_VIEWS),
    ("abnormality", _ask_abnormality, VIEWS),
    ("count", _ask_count, VIEWS),
)
"""Question types, with the function that asks and the views."""

QUESTION_TYPES = tuple(kind for kind, _, _ in _ASKERS)


@dataclass(frozen=True)
class PhantomQuestions(MadeCorpus):
    """One question about one image per sample; no image is shared between splits, nor with ``PhantomCorpus``."""

    train: CountOrZero = 20_000
    name: str = field(default="phantom-questions", init=False)

    def _make(self, split: str, index: int) -> Sample:
        """Create a sample; types and modalities alternate."""
        streams = phantom_streams(self.seed, self.name, split, index)
        turn, kind = divmod(index, len(_ASKERS))
        answer_type, ask, views = _ASKERS[kind]
        question = ask(views[turn % len(views)], streams("question"))
        image, truth = draw(question.scene, self.size, streams)
        asked = {"texts": (question.text,), "answers": (question.answer,), "answer_type": answer_type}
        return self._sample(split, index, image, question.scene.view, truth, **asked)
