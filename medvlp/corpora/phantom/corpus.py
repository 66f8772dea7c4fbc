"""The phantom corpus: schematic radiology images with exact ground truth, generated on demand."""

from dataclasses import dataclass, field

from medvlp.corpora.phantom.grammar import Reporter
from medvlp.corpora.phantom.made import MadeCorpus, phantom_streams
from medvlp.corpora.phantom.scene import VIEWS, compose, draw
from medvlp.data.sample import Sample
from medvlp.values import CountOrZero


@dataclass(frozen=True)
class PhantomCorpus(MadeCorpus):
    """Images with two or three reports each."""

    train: CountOrZero = 40_000
    name: str = field(default="phantom", init=False)

    def _make(self, split: str, index: int) -> Sample:
        streams = phantom_streams(self.seed, split, index)
        rng = streams("scene")
        view = VIEWS[rng.integers(len(VIEWS))]
        image, truth = draw(compose(view, rng), self.size, streams)
        texts = Reporter(view, truth, streams("texts")).texts()
        return self._sample(split, index, image, view, truth, texts=texts)
