"""Fine-tuning without Ray: what it takes from a pre-training run, and one loop for both."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from medvlp.configuration import from_plain
from medvlp.corpora.phantom import PhantomQuestions, phantom_ontology_path
from medvlp.corpora.phantom.questions import QUESTION_TYPES
from medvlp.errors import CheckpointError, ConfigurationError, DataError
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.optimisation import OptimiserConfig, build_optimiser, parameter_groups
from medvlp.tasks.pretrain.config import MaskedImageConfig, PretextConfig
from medvlp.tasks.vqa.module import QuestionAnsweringTask
from medvlp.tasks.vqa.vocabulary import normalise_answer
from scaleout.checkpoint.store import read_weights
from scaleout.cli import to_dict
from scaleout.engine.base import EngineConfig
from scaleout.engine.plain import TorchEngine
from scaleout.engine.process_group import ProcessGroup
from scaleout.links.link import link_shards
from scaleout.runs.config import (
    DataConfig,
    FinetuneConfig,
    PretrainConfig,
    QuestionAnsweringConfig,
    RunConfig,
    ScaleConfig,
    SourceConfig,
    TrainConfig,
)
from scaleout.runs.inputs import Inputs, open_knowledge, open_tokenizer, training_split
from scaleout.runs.record import RunRecord, checkpoint_store, create_run, run_folder
from scaleout.runs.start import Finetuning, assemble_question_answering, load_pretrained, read_answers, resolve_finetuning
from scaleout.shards.prepare import prepare_shards
from scaleout.stream.batches import BatchStream
from scaleout.stream.local import local_tables
from scaleout.tracking import CompositeTracker
from scaleout.train.assembly import Assembly
from scaleout.train.loop import Loop, Progress
from scaleout.train.pretraining import assemble_pretraining
from scaleout.train.worker import build_validation, prepare_task

TRAIN = TrainConfig(
    max_steps=4,
    global_batch=16,
    micro_batch=8,
    optimiser=OptimiserConfig(learning_rate=1e-3),
    validation_samples=32,
    log_every=2,
    validate_every=4,
    checkpoint_every=4,
)
MODEL = ARLConfig(
    vision=VisionConfig(width=16, layers=1, heads=2, patch=16, image_size=32),
    language=LanguageConfig(width=16, layers=1, heads=2, feed_forward=16, positions=50),
    knowledge=KnowledgeConfig(hidden_heads=2, hidden_width=4),
    fusion=FusionConfig(width=16, layers=2, heads=2, feed_forward=16, knowledge_heads=2, knowledge_feed_forward=16),
)
PRETEXT = PretextConfig(masked_image=MaskedImageConfig(layer=1, width=16, layers=1, heads=2))


def engine_of(assembly: Assembly, config: RunConfig) -> TorchEngine:
    groups = parameter_groups(assembly.task, assembly.arl, config.train.optimiser, knowledge_multiplier=assembly.knowledge_multiplier)
    settings = EngineConfig(
        micro_batch=config.train.micro_batch,
        accumulation=config.schedule(1).accumulation,
        clip_norm=1.0,
        zero_stage=0,
        bf16=False,
        learning_rate_factor=lambda step: 1.0,
    )
    return TorchEngine(assembly.task, build_optimiser(groups, config.train.optimiser), settings)


def write_checkpoint(config: RunConfig, assembly: Assembly, inputs: Inputs, step: int) -> str:
    """A checkpoint of the assembly as it is; returns its URI."""
    progress = {"step": step, "position": step * 16, "skipped": 0, "workers": 1, "zero_stage": 0, "fingerprints": inputs.fingerprints}
    store = checkpoint_store(config)
    store.save(engine_of(assembly, config), ProcessGroup(), progress)
    newest = store.newest()
    assert newest is not None
    return newest[0]


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> SourceConfig:
    """Shards and links of 100 training and 40 validation questions."""
    folder = tmp_path_factory.mktemp("questions")
    shards, links = str(folder / "shards"), str(folder / "links")
    ontology = read_ontologies([phantom_ontology_path()])
    prepare_shards(PhantomQuestions(train=100, validation=40, test=0), shards, samples_per_shard=50, vocabulary_size=0, run=map)
    link_shards(shards, ontology, DictionaryLinker.build(ontology), links, run=map)
    return SourceConfig(shards=shards, links=links, minimum_crop=1.0)


@pytest.fixture
def pretrained(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> PretrainConfig:
    """A pre-training run with one checkpoint, of weights that nobody trained."""
    torch.set_num_threads(1)
    data = DataConfig(shards=phantom_shards, links=phantom_links, maximum_tokens=48, maximum_entities=8)
    config = PretrainConfig(
        name="pre", storage=str(tmp_path), knowledge=str(phantom_knowledge), data=data, train=TRAIN, model=MODEL, pretext=PRETEXT
    )
    inputs = Inputs.open(config)
    torch.manual_seed(1)
    assembly = assemble_pretraining(config, open_tokenizer(data), inputs.bundle)
    record = RunRecord(kind="pretrain", config=to_dict(config), fingerprints=inputs.fingerprints, mlflow_run="")
    create_run(run_folder(config), record)
    write_checkpoint(config, assembly, inputs, step=2)
    return config


@pytest.fixture
def config(pretrained: PretrainConfig, questions: SourceConfig) -> FinetuneConfig:
    return FinetuneConfig(name="answers", storage=pretrained.storage, pretrained=run_folder(pretrained), data=questions, train=TRAIN)


def assemble(run: Finetuning) -> Assembly:
    tokenizer, bundle = open_tokenizer(run.config.data), open_knowledge(run.config.knowledge)
    return assemble_question_answering(run.config, tokenizer, bundle, answers=run.answers)


def test_everything_that_is_not_said_comes_from_pretraining(config: FinetuneConfig, pretrained: PretrainConfig) -> None:
    run = resolve_finetuning(config)
    assert run.config.model == pretrained.model
    assert (run.config.data.maximum_tokens, run.config.data.maximum_entities) == (48, 8)
    assert run.config.data.tokenizer == str(Path(pretrained.data.shards) / "tokenizer")
    assert run.config.knowledge == pretrained.knowledge
    assert run.config.pretrained.endswith("pre/checkpoints/step-00000002")
    assert (run.config.data.shards, run.config.data.minimum_crop) == (config.data.shards, 1.0)
    assert from_plain(QuestionAnsweringConfig, to_dict(run.config)) == run.config


def test_answers_are_those_of_the_training_questions(config: FinetuneConfig) -> None:
    run = resolve_finetuning(config)
    assert set(run.answers.answers) == {normalise_answer(answer) for answer in read_answers(config.data)}
    assert {"yes", "no", "left", "right"} < set(run.answers.answers)
    assert resolve_finetuning(config).answers == run.answers
    assert len(resolve_finetuning(replace(config, minimum_answer_count=3)).answers) < len(run.answers)


def test_a_run_that_was_begun_keeps_its_checkpoint_and_its_answers(config: FinetuneConfig, pretrained: PretrainConfig) -> None:
    run = resolve_finetuning(config)
    record = RunRecord(kind="finetune", config=to_dict(run.config), fingerprints={}, mlflow_run="", details={"answers": ["only", "these"]})
    create_run(run_folder(run.config), record)
    inputs = Inputs.open(pretrained)
    newer = write_checkpoint(pretrained, assemble_pretraining(pretrained, open_tokenizer(pretrained.data), inputs.bundle), inputs, step=9)
    resumed = resolve_finetuning(config)
    assert resumed.config == run.config
    assert resumed.answers.answers == ("only", "these")
    assert resolve_finetuning(replace(config, name="another")).config.pretrained == newer


def test_one_of_the_checkpoints_can_be_named(config: FinetuneConfig, pretrained: PretrainConfig) -> None:
    checkpoint = f"{run_folder(pretrained)}/checkpoints/step-00000002"
    assert resolve_finetuning(replace(config, pretrained=checkpoint)).config.pretrained == checkpoint


def without_run(config: FinetuneConfig) -> FinetuneConfig:
    return replace(config, pretrained=f"{config.storage}/absent")


def without_checkpoint(config: FinetuneConfig) -> FinetuneConfig:
    for file in Path(config.pretrained).rglob("COMPLETE.json"):
        file.unlink()
    return config


def with_another_tokenizer(config: FinetuneConfig) -> FinetuneConfig:
    other = str(Path(config.storage) / "other")
    prepare_shards(PhantomQuestions(train=20, validation=0, test=0), other, vocabulary_size=400, run=map)
    return replace(config, tokenizer=f"{other}/tokenizer")


def of_a_finetuning_run(config: FinetuneConfig) -> FinetuneConfig:
    path = Path(config.pretrained) / "run.json"
    path.write_text(path.read_text().replace('"kind": "pretrain"', '"kind": "finetune"'))
    return config


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (without_run, CheckpointError, "there is no run at .*absent"),
        (without_checkpoint, CheckpointError, "has no complete checkpoint yet"),
        (with_another_tokenizer, CheckpointError, "was trained with tokenizer .* --tokenizer"),
        (of_a_finetuning_run, ConfigurationError, "of kind 'finetune'"),
    ],
)
def test_what_does_not_fit_is_refused(
    config: FinetuneConfig, harm: Callable[[FinetuneConfig], FinetuneConfig], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        resolve_finetuning(harm(config))


def test_shards_without_answers_are_refused(config: FinetuneConfig, pretrained: PretrainConfig) -> None:
    reports = SourceConfig(shards=pretrained.data.shards, links=pretrained.data.links)
    with pytest.raises(DataError, match="shards of questions"):
        resolve_finetuning(replace(config, data=reports))


def test_the_model_starts_from_the_checkpoint_and_its_head_anew(config: FinetuneConfig) -> None:
    run = resolve_finetuning(config)
    assembly = assemble(run)
    load_pretrained(assembly.arl, run.config.pretrained)
    saved = read_weights(run.config.pretrained)
    assert all(torch.equal(parameter, saved[name]) for name, parameter in assembly.task.named_parameters() if name.startswith("arl."))
    assert isinstance(assembly.task, QuestionAnsweringTask)
    assert assembly.task.answering.output.out_features == len(run.answers)


def test_weights_of_another_model_are_refused(config: FinetuneConfig) -> None:
    run = resolve_finetuning(config)
    wider = replace(run.config, model=replace(MODEL, vision=replace(MODEL.vision, layers=2)))
    with pytest.raises(CheckpointError, match=r"vision\.encoder\.layers\.1.*none, wanted"):
        load_pretrained(assemble(Finetuning(config=wider, answers=run.answers)).arl, run.config.pretrained)


def test_the_loop_of_pretraining_trains_it(config: FinetuneConfig) -> None:
    run = resolve_finetuning(replace(config, scale=ScaleConfig(zero_stage=0)))
    inputs, assembly = Inputs.open(run.config), assemble(run)
    load_pretrained(assembly.arl, run.config.pretrained)
    cost = prepare_task(assembly)
    assert cost.frozen == 0
    split, train = training_split(run.config, inputs), run.config.train
    samples = train.max_steps * train.global_batch
    lines: list[str] = []
    loop = Loop(
        config=run.config,
        engine=engine_of(assembly, run.config),
        stream=BatchStream(
            tables=partial(local_tables, split, 0, samples, train.micro_batch, rank=0, workers=1),
            collate=assembly.train_collate,
            micro_batch=train.micro_batch,
            first=0,
            stride=1,
            threads=1,
        ),
        validation=build_validation(assembly, run.config, inputs, ProcessGroup()),
        store=checkpoint_store(run.config),
        tracker=CompositeTracker(),
        processes=ProcessGroup(),
        fingerprints=inputs.fingerprints,
        announce=lines.append,
        flops_per_sample=cost.flops_per_sample,
    )
    metrics = loop.run(Progress())
    names = {"answer_accuracy", "answer_accuracy_shuffled_image", "majority_answer_accuracy"}
    assert {f"val/{name}" for name in names} | {f"val/{name}_{kind}" for name in names for kind in QUESTION_TYPES} < metrics.keys()
    assert "answer " in lines[0]
    newest = checkpoint_store(run.config).newest()
    assert newest is not None
    assert newest[1].step == 4
    trained = read_weights(newest[0])
    before = read_weights(run.config.pretrained)
    moved = [name for name, value in before.items() if name.startswith("arl.") and not torch.equal(value, trained[name])]
    assert {name.split(".")[1] for name in moved} > {"vision", "language", "knowledge", "fusion"}
