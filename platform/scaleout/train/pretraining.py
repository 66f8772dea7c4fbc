"""Assembles the pre-training task from its configuration."""

from functools import partial

from transformers import PreTrainedTokenizerBase

from medvlp.cost import Flops, StepSizes, pretraining_flops
from medvlp.data.collate import PretrainCollate
from medvlp.data.image import ImageConfig
from medvlp.data.synthetic import synthetic_batch
from medvlp.data.text import TextConfig
from medvlp.interchange.weights_folder import load_imported
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.tasks.pretrain.evaluation import FindingRule, evaluate_pretraining, summarise_pretraining
from medvlp.tasks.pretrain.module import PretrainingTask
from medvlp.tasks.pretrain.pictures import pretraining_pictures
from scaleout.io import storage
from scaleout.runs.config import PretrainConfig, RunConfig
from scaleout.train.assembly import Assembly


def assemble_pretraining(config: PretrainConfig, tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle) -> Assembly:
    """See ``Assemble``."""
    task = PretrainingTask(config.model, config.pretext, bundle, vocabulary=len(tokenizer), padding_id=tokenizer.pad_token_id)
    data, image, text = config.data, image_config(config, config.model.vision.image_size), text_config(config)
    collate = partial(PretrainCollate, tokenizer=tokenizer, image=image, text=text, seed=config.train.seed, masking=data.masking)
    slots = data.masking.slots(text.maximum_tokens)

    def flops(width: int) -> dict[str, Flops]:
        sizes = step_sizes(config, width, tokenizer, bundle)
        # Every row that is not shown its own image has a negative of its own.
        negatives = (1 - sizes.micro_batch // 2 / sizes.micro_batch) if data.negatives == "corpus" else 0
        return pretraining_flops(config.model, config.pretext, sizes, slots=slots, negatives=negatives)

    return Assembly(
        task=task,
        arl=task.arl,
        train_collate=collate(augment=True, negatives=data.negatives),
        validation_collate=collate(augment=False, negatives="same_modality"),
        sample_batch=partial(
            synthetic_batch,
            image_size=image.size,
            width=text.maximum_tokens,
            entities=text.maximum_entities,
            slots=slots,
            vocabulary=len(tokenizer),
            graph=len(bundle.entities),
        ),
        evaluate=partial(evaluate_pretraining, task),
        summarise=partial(summarise_pretraining, findings=FindingRule.of_types(bundle, config.train.findings)),
        pictures=partial(pretraining_pictures, task, bundle=bundle),
        knowledge_multiplier=config.train.optimiser.head_multiplier,
        start=partial(start_weights, task, config.initial_weights),
        flops=flops,
    )


def step_sizes(config: RunConfig, width: int, tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle) -> StepSizes:
    """What the cost of a step depends on beside the model, with texts padded to ``width``."""
    return StepSizes(
        tokens=width,
        entities=config.data.maximum_entities,
        vocabulary=len(tokenizer),
        graph=len(bundle.entities),
        knowledge_width=bundle.vectors.shape[1],
        micro_batch=config.train.micro_batch,
    )


def start_weights(task: PretrainingTask, imported: str | None) -> str:
    """Load imported weights, if there are any; says where the weights come from.

    Raises:
        CheckpointError: they do not fit.
    """
    if imported is None:
        return "new weights"
    with storage.local_copy(imported) as folder:
        anew = load_imported(task, folder)
    return f"the weights of {imported}" + (f"; {len(anew)} parameters that it has not start anew" if anew else "")


def image_config(config: RunConfig, size: int) -> ImageConfig:
    """How images reach the model."""
    return ImageConfig(size=size, minimum_crop=config.data.minimum_crop)


def text_config(config: RunConfig) -> TextConfig:
    """How texts reach the model."""
    data = config.data
    return TextConfig(maximum_tokens=data.maximum_tokens, maximum_entities=data.maximum_entities, width_multiple=data.width_multiple)
