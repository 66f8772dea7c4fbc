"""Pre-training as a task."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from medvlp.data.collate import Collate, PretrainCollate
from medvlp.errors import ConfigurationError
from medvlp.metrics.records import Records
from medvlp.model.config import ARLConfig
from medvlp.tasks.base import Card, ReportRow, Task, TaskContext
from medvlp.tasks.pretrain.config import MaskedImageConfig, ObjectiveWeights

if TYPE_CHECKING:  # modules are imported only when built: drivers need configurations only, and transformers takes seconds
    from matplotlib.figure import Figure

    from medvlp.data.batch import PretrainBatch
    from medvlp.optimisation import OptimiserConfig
    from medvlp.tasks.pretrain.module import PretrainingModule


@dataclass(frozen=True, kw_only=True)
class Pretraining(Task):
    """All pretext objectives of ARL (§3), in one forward."""

    section: ClassVar[str] = "pretext"

    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)
    masked_image: MaskedImageConfig = field(default_factory=MaskedImageConfig)

    def check(self, model: ARLConfig) -> None:
        """See ``Task``."""
        if self.masked_image.layer > model.fusion.layers:
            raise ConfigurationError(
                f"pretext.masked_image.layer {self.masked_image.layer} is above the {model.fusion.layers} layers of model.fusion: "
                "choose a smaller one"
            )

    def build(self, context: TaskContext) -> "PretrainingModule":
        """See ``Task``."""
        from medvlp.tasks.pretrain.module import PretrainingModule

        return PretrainingModule(context.model, self, context.bundle, **context.sizes)

    def collate(self, context: TaskContext, *, augment: bool) -> Collate:
        """See ``Task``. Validation uses negatives of the same modality, whatever training uses."""
        return PretrainCollate(
            **context.reading,
            augment=augment,
            masking=context.masking,
            negatives=context.negatives if augment else "same_modality",
        )

    def synthetic_batch(self, context: TaskContext, size: int, width: int | None = None) -> "PretrainBatch":
        """See ``Task``. If training draws negatives from the corpus, every unmatched row has its own negative."""
        from medvlp.data.synthetic import synthetic_batch

        return synthetic_batch(
            size,
            **context.batch_sizes(width),
            slots=context.masking.slots(context.text.maximum_tokens),
            corpus_negatives=context.negatives == "corpus",
        )

    def evaluate(self, module: "PretrainingModule", batch: "PretrainBatch") -> Records:  # type: ignore[override]
        """See ``Task``."""
        from medvlp.tasks.pretrain.evaluation import evaluate_pretraining

        return evaluate_pretraining(module, batch)

    def summarise(self, context: TaskContext, records: Records) -> dict[str, float]:
        """See ``Task``."""
        from medvlp.tasks.pretrain.evaluation import FindingRule, summarise_pretraining

        return summarise_pretraining(records, FindingRule.of_types(context.bundle, context.finding_types))

    def pictures(self, context: TaskContext, module: "PretrainingModule", batch: "PretrainBatch") -> dict[str, "Figure"]:  # type: ignore[override]
        """See ``Task``."""
        from medvlp.tasks.pretrain.pictures import pretraining_pictures

        return pretraining_pictures(module, batch, context.bundle)

    def knowledge_multiplier(self, optimiser: "OptimiserConfig") -> float:
        """Return the multiplier of the heads, as in the authors' pre-training code."""
        return optimiser.head_multiplier

    def rows(self) -> tuple[ReportRow, ...]:
        """See ``Task``."""
        return (
            ReportRow("findings from the image, AUROC", "align_image_auroc", "modality_only_align_image_auroc"),
            ReportRow("findings from the image, F1", "align_image_f1", "modality_only_align_image_f1"),
            ReportRow("findings from the text, AUROC", "align_text_auroc", "modality_only_align_text_auroc"),
            ReportRow("findings from the text, F1", "align_text_f1", "modality_only_align_text_f1"),
            ReportRow("image and text match, accuracy", "itm_accuracy", "modality_only_itm_accuracy"),
            ReportRow("masked tokens, accuracy", "mlm_accuracy"),
            ReportRow("masked entities, true image", "mlm_entity_accuracy", "modality_only_mlm_entity_accuracy"),
            ReportRow("masked entities, shuffled image", "mlm_entity_accuracy_shuffled_image"),
            ReportRow("reconstruction, squared error", "mim_loss"),
        )

    def metrics(self) -> tuple[str, ...]:
        """See ``Task``: those of the objectives that are built."""
        built = tuple(objective.value for objective in self.weights.built())
        names = dict.fromkeys((*(f"{objective}_loss" for objective in built), *super().metrics()))
        return tuple(name for name in names if name.removeprefix("modality_only_").startswith(built))

    def card(self, context: TaskContext) -> Card:
        """See ``Task``."""
        entities = len(context.bundle.entities)
        return Card(
            f"A vision-and-language model, pre-trained on images with texts and a knowledge graph of {entities} entities.",
            'model.findings("image.png")[:5]\nmodel.match("image.png", ["A first report.", "A second report."])',
        )
