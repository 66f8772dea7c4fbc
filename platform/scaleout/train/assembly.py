"""What is trained, as the loop sees it: the one place where pre-training and fine-tuning differ."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.figure import Figure
from torch import nn
from transformers import PreTrainedTokenizerBase

from medvlp.cost import Flops
from medvlp.data.batch import Batch
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.metrics.records import Records
from medvlp.model.arl import ARL
from scaleout.stream.batches import Collate


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """A task with everything that belongs to it."""

    task: nn.Module
    arl: ARL
    train_collate: Collate
    validation_collate: Collate
    sample_batch: Callable[[int], Batch]
    """A batch of random numbers of the given size, to count costs and to find what the objectives reach."""
    evaluate: Callable[[Batch], Records]
    summarise: Callable[[Records], dict[str, float]]
    pictures: Callable[[Batch], dict[str, Figure]] | None
    """Draws from a batch of validation; None if there is nothing to draw."""
    knowledge_multiplier: float
    """Of the learning rate of the knowledge encoder."""
    start: Callable[[], str]
    """Loads the weights that a new run starts from, and says where they come from."""
    flops: Callable[[int], dict[str, Flops]]
    """What a sample costs whose text is padded to the given width, by part."""


class Assemble(Protocol):
    """Builds the assembly of a run in a worker. Picklable: a module-level function."""

    def __call__(self, config: Any, tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle) -> Assembly:
        """The assembly, its weights on the CPU."""
        ...
