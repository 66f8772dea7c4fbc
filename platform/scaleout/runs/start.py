"""Fine-tuning: what a pre-training run hands on, and the assembly of question answering."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from medvlp.cost import Flops, question_answering_flops
from medvlp.errors import CheckpointError, ConfigurationError
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.weights import load_weights
from medvlp.tasks.vqa.batch import QuestionCollate, synthetic_questions
from medvlp.tasks.vqa.evaluation import evaluate_question_answering, summarise_question_answering
from medvlp.tasks.vqa.module import QuestionAnsweringTask
from medvlp.tasks.vqa.vocabulary import AnswerVocabulary
from scaleout.checkpoint.store import read_weights
from scaleout.io import storage
from scaleout.runs.config import FinetuneConfig, PretrainConfig, QuestionAnsweringConfig, SourceConfig
from scaleout.runs.inputs import Inputs, tokenizer_uri
from scaleout.runs.opened import OpenedRun
from scaleout.runs.record import RunRecord, load_run
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.reader import read_shard_checked
from scaleout.train.assembly import Assembly
from scaleout.train.pretraining import image_config, step_sizes, text_config

PRETRAIN = "pretrain"
FINETUNE = "finetune"
ANSWERS = "answers"
"""Where ``RunRecord.details`` keeps the answers."""


@dataclass(frozen=True, kw_only=True)
class Finetuning:
    """A fine-tuning run, ready to be launched."""

    config: QuestionAnsweringConfig
    answers: AnswerVocabulary

    @property
    def details(self) -> dict[str, Any]:
        """See ``RunRecord.details``."""
        return {ANSWERS: list(self.answers.answers)}


def resolve_finetuning(config: FinetuneConfig) -> Finetuning:
    """Take model, text sizes, tokenizer and knowledge from the pre-training run, and the answers from the training questions.

    A run that was begun keeps the checkpoint and the answers that it began with.

    Raises:
        CheckpointError: there is no such pre-training run, or tokenizer or knowledge are no longer those that it was trained with.
        DataError: the shards hold no answers.
    """
    begun = load_run(storage.join(config.storage, config.name))
    pretrained = _open_pretrained(config.pretrained, begun)
    resolved = _resolved(config, pretrained.config(PretrainConfig), pretrained.checkpoint)
    _check_same_world(Inputs.open(resolved), pretrained)
    if begun is not None and ANSWERS in begun.details:
        return Finetuning(config=resolved, answers=AnswerVocabulary(tuple(begun.details[ANSWERS])))
    return Finetuning(config=resolved, answers=AnswerVocabulary.build(read_answers(config.data), config.minimum_answer_count))


def read_answers(data: SourceConfig) -> Iterator[str]:
    """The answer of every training question, one shard in memory at a time."""
    for corpus in (data, *data.mixed_with):
        for record in ShardManifest.load(corpus.shards).shards_of("train"):
            yield from read_shard_checked(corpus.shards, record).column("answer").to_pylist()


def load_pretrained(arl: nn.Module, checkpoint: str) -> str:
    """Start the model, without its heads, from the weights of another run's checkpoint.

    Raises:
        CheckpointError: they do not fit; the message names the first differences.
    """
    prefix = "arl."
    weights = read_weights(checkpoint)
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    load_weights(arl, own, checkpoint)
    return f"the weights of {checkpoint}"


def _open_pretrained(uri: str, begun: RunRecord | None) -> OpenedRun:
    pretrained = OpenedRun.open(uri)
    if pretrained.record.kind != PRETRAIN:
        raise ConfigurationError(f"{uri} is a run of kind {pretrained.record.kind!r}; fine-tuning starts from a pre-training run")
    known = begun.config.get("pretrained", "") if begun else ""
    # Pre-training may have gone on, and the checkpoint may be gone; a run that was begun needs its name only.
    return replace(pretrained, checkpoint=known) if known.startswith(f"{pretrained.folder}/") else pretrained


def _resolved(config: FinetuneConfig, pretraining: PretrainConfig, checkpoint: str) -> QuestionAnsweringConfig:
    source = {name: getattr(config.data, name) for name in SourceConfig.__dataclass_fields__}
    tokenizer = config.tokenizer or tokenizer_uri(pretraining.data)
    data = replace(pretraining.data, **source, tokenizer=tokenizer, negatives="same_modality")  # questions have no negatives to draw
    return QuestionAnsweringConfig(
        name=config.name,
        storage=config.storage,
        knowledge=config.knowledge or pretraining.knowledge,
        data=data,
        train=config.train,
        scale=config.scale,
        tracking=config.tracking,
        pretrained=checkpoint,
        minimum_answer_count=config.minimum_answer_count,
        model=pretraining.model.from_scratch(),
    )


def _check_same_world(inputs: Inputs, pretrained: OpenedRun) -> None:
    """The weights mean something only with the tokens and entities that they were trained with."""
    for name in ("knowledge", "tokenizer"):
        then, now = pretrained.record.fingerprints.get(name), inputs.fingerprints[name]
        if then != now:
            raise CheckpointError(
                f"{pretrained.folder} was trained with {name} {then}, found is {now}: say with --{name} where the one of that run lies"
            )


def assemble_question_answering(
    config: QuestionAnsweringConfig, tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle, *, answers: AnswerVocabulary
) -> Assembly:
    """See ``Assemble``; ``answers`` are what the model chooses from."""
    sizes = {"vocabulary": len(tokenizer), "padding_id": tokenizer.pad_token_id}
    task = QuestionAnsweringTask(config.model, bundle, answers=len(answers), **sizes)
    image, text = image_config(config, config.model.vision.image_size), text_config(config)
    collate = partial(QuestionCollate, tokenizer=tokenizer, image=image, text=text, seed=config.train.seed, vocabulary=answers)

    def flops(width: int) -> dict[str, Flops]:
        return question_answering_flops(config.model, step_sizes(config, width, tokenizer, bundle), answers=len(answers))

    return Assembly(
        task=task,
        arl=task.arl,
        train_collate=collate(augment=True),
        validation_collate=collate(augment=False),
        sample_batch=partial(
            synthetic_questions,
            image_size=image.size,
            width=text.maximum_tokens,
            entities=text.maximum_entities,
            vocabulary=len(tokenizer),
            graph=len(bundle.entities),
            answers=len(answers),
        ),
        evaluate=partial(evaluate_question_answering, task),
        summarise=summarise_question_answering,
        pictures=None,
        # In fine-tuning the knowledge encoder learns as slowly as the encoders of image and text.
        knowledge_multiplier=1.0,
        start=partial(load_pretrained, task.arl, config.pretrained),
        flops=flops,
    )
