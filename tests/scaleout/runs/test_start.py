"""What a run starts from, without Ray: another run, its checkpoints, a model folder; and one loop for every task."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import medvlp
from jobs.export import export
from medvlp.configuration import from_plain, to_plain
from medvlp.corpora.phantom import PhantomQuestions, phantom_ontology_path
from medvlp.corpora.phantom.questions import QUESTION_TYPES
from medvlp.data.tokenizer import train_tokenizer
from medvlp.errors import CheckpointError, ConfigurationError, DataError, KnowledgeError
from medvlp.interchange.model_folder import CONFIG_FILE as MODEL_CONFIG
from medvlp.interchange.model_folder import WEIGHTS_FILE
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from medvlp.metrics.answers import normalise_answer
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.model.language import LanguageEncoder
from medvlp.optimisation import OptimiserConfig, build_optimiser, parameter_groups
from medvlp.tasks.base import TaskContext
from medvlp.tasks.module import TaskModule
from medvlp.tasks.pretrain.config import MaskedImageConfig, ObjectiveWeights
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.vqa.module import QuestionAnsweringModule
from medvlp.tasks.vqa.task import ANSWERS, QuestionAnswering
from scaleout.checkpoint.read import read_weights
from scaleout.engine.base import EngineConfig
from scaleout.engine.process_group import ProcessGroup
from scaleout.launch.export import export_run
from scaleout.launch.launch import prepare
from scaleout.links.link import link_shards
from scaleout.runs.config import DataConfig, FinetuneConfig, RunConfig, ScaleConfig, SourceConfig, TrainConfig
from scaleout.runs.inputs import Inputs, open_knowledge, open_tokenizer, task_context, training_split
from scaleout.runs.record import RunRecord, checkpoint_store, create_run, load_run, run_folder, update_run
from scaleout.runs.start import find_targets, forked_checkpoint, load_start, resolve_finetuning
from scaleout.shards.prepare import prepare_shards
from scaleout.stream.batches import BatchStream
from scaleout.stream.local import local_tables
from scaleout.tracking import CompositeTracker
from scaleout.train.loop import Loop, Progress
from scaleout.train.worker import build_validation, prepare_module
from tests.scaleout.engine.torch_engine import TorchEngine

TRAIN = TrainConfig(
    max_steps=4,
    global_batch=16,
    micro_batch=8,
    optimiser=OptimiserConfig(learning_rate=1e-3),
    validation_samples=32,
    log_every=2,
    validate_every=4,
    checkpoint_every=4,
    best_metric="val/itm_accuracy",
)
MODEL = ARLConfig(
    vision=VisionConfig(width=16, layers=1, heads=2, patch=16, image_size=32),
    language=LanguageConfig(width=16, layers=1, heads=2, feed_forward=16, positions=50),
    knowledge=KnowledgeConfig(hidden_heads=2, hidden_width=4),
    fusion=FusionConfig(width=16, layers=2, heads=2, feed_forward=16, knowledge_heads=2, knowledge_feed_forward=16),
)
PRETEXT = Pretraining(masked_image=MaskedImageConfig(layer=1, width=16, layers=1, heads=2))


def context_of(config: RunConfig) -> TaskContext:
    return task_context(config, open_tokenizer(config.data), open_knowledge(config.knowledge), find_targets(config))


def build(config: RunConfig, seed: int = 1) -> TaskModule:
    torch.manual_seed(seed)
    return config.task.build(context_of(config))


def engine_of(config: RunConfig, module: TaskModule) -> TorchEngine:
    groups = parameter_groups(module, module.arl, config.train.optimiser, knowledge_multiplier=1.0)
    settings = EngineConfig(
        micro_batch=config.train.micro_batch,
        accumulation=config.schedule(1).accumulation,
        clip_norm=1.0,
        zero_stage=0,
        bf16=False,
        learning_rate_factor=lambda step: 1.0,
    )
    return TorchEngine(module, build_optimiser(groups, config.train.optimiser), settings)


def write_checkpoint(config: RunConfig, module: TaskModule, step: int, accuracy: float = 0.5) -> str:
    """A checkpoint of the module as it is; returns its URI."""
    progress = {"step": step, "position": step * 16, "skipped": 0, "workers": 1, "zero_stage": 2, "fingerprints": {}}
    store = checkpoint_store(config)
    store.save(engine_of(config, module), ProcessGroup(), {**progress, "validation": {"val/itm_accuracy": accuracy}})
    newest = store.newest()
    assert newest is not None
    return newest[0]


def begin(config: RunConfig) -> None:
    """The record of a run."""
    fingerprints, targets = Inputs.open(config).fingerprints, find_targets(config)
    create_run(run_folder(config), RunRecord(kind="x", config=to_plain(config), fingerprints=fingerprints, mlflow_run="", targets=targets))


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
def pretrained(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> RunConfig:
    """A pre-training run with one checkpoint, of weights that nobody trained."""
    torch.set_num_threads(1)
    data = DataConfig(shards=phantom_shards, links=phantom_links, maximum_tokens=48, maximum_entities=8)
    config = RunConfig(
        name="pre", storage=str(tmp_path), knowledge=str(phantom_knowledge), data=data, train=TRAIN, model=MODEL, task=PRETEXT
    )
    begin(config)
    write_checkpoint(config, build(config), step=2)
    return config


@pytest.fixture
def config(pretrained: RunConfig, questions: SourceConfig) -> FinetuneConfig:
    train = replace(TRAIN, best_metric=None)
    return FinetuneConfig(name="answers", storage=pretrained.storage, start_from=run_folder(pretrained), data=questions, train=train)


def test_everything_that_is_not_said_comes_from_the_other_run(config: FinetuneConfig, pretrained: RunConfig) -> None:
    run = resolve_finetuning(config)
    assert run.model == pretrained.model
    assert run.task == QuestionAnswering()
    assert (run.data.maximum_tokens, run.data.maximum_entities) == (48, 8)
    assert run.data.tokenizer == str(Path(pretrained.data.shards) / "tokenizer")
    assert run.knowledge == pretrained.knowledge
    assert run.start_from.endswith("pre/checkpoints/step-00000002")
    assert (run.data.shards, run.data.minimum_crop) == (config.data.shards, 1.0)
    assert from_plain(RunConfig, to_plain(run)) == run


def test_answers_are_those_of_the_training_questions(config: FinetuneConfig) -> None:
    run = resolve_finetuning(config)
    asked = PhantomQuestions(train=100, validation=40, test=0)
    answers = find_targets(run)[ANSWERS]
    assert set(answers) == {normalise_answer(asked.sample("train", index).answer) for index in range(100)}
    assert find_targets(resolve_finetuning(config))[ANSWERS] == answers
    rarer = resolve_finetuning(replace(config, task=QuestionAnswering(minimum_answer_count=3)))
    assert len(find_targets(rarer)[ANSWERS]) < len(answers)


def test_a_run_that_was_begun_keeps_its_checkpoint_and_its_answers(config: FinetuneConfig, pretrained: RunConfig) -> None:
    run = resolve_finetuning(config)
    fingerprints = Inputs.open(run).fingerprints
    record = RunRecord(kind="vqa", config=to_plain(run), fingerprints=fingerprints, mlflow_run="", targets={ANSWERS: ["only", "these"]})
    create_run(run_folder(run), record)
    newer = write_checkpoint(pretrained, build(pretrained), step=9)
    resumed = resolve_finetuning(config)
    assert resumed == run
    assert prepare(resumed)[0] == run
    assert find_targets(resumed)[ANSWERS] == ["only", "these"]
    assert resolve_finetuning(replace(config, name="another")).start_from == newer


def test_one_of_the_checkpoints_can_be_named(config: FinetuneConfig, pretrained: RunConfig) -> None:
    checkpoint = f"{run_folder(pretrained)}/checkpoints/step-00000002"
    write_checkpoint(pretrained, build(pretrained), step=9, accuracy=0.4)
    assert resolve_finetuning(replace(config, start_from=checkpoint)).start_from == checkpoint
    assert resolve_finetuning(replace(config, start_checkpoint="2")).start_from == checkpoint
    assert resolve_finetuning(replace(config, start_checkpoint="best")).start_from == checkpoint
    with pytest.raises(CheckpointError, match=r"no checkpoint '7' .*; choose last, best or one of the steps 2, 9"):
        resolve_finetuning(replace(config, start_checkpoint="7"))


def without_run(config: FinetuneConfig) -> FinetuneConfig:
    return replace(config, start_from=f"{config.storage}/absent")


def without_checkpoint(config: FinetuneConfig) -> FinetuneConfig:
    for file in Path(str(config.start_from)).rglob("COMPLETE.json"):
        file.unlink()
    return config


def with_another_tokenizer(config: FinetuneConfig) -> FinetuneConfig:
    other = str(Path(config.storage) / "other")
    prepare_shards(PhantomQuestions(train=20, validation=0, test=0), other, vocabulary_size=400, run=map)
    return replace(config, tokenizer=f"{other}/tokenizer")


def with_imported_weights(config: FinetuneConfig) -> FinetuneConfig:
    folder = Path(config.storage) / "imported"
    folder.mkdir()
    (folder / "import.json").write_text("{}")
    return replace(config, start_from=str(folder))


def of_a_newer_version(config: FinetuneConfig) -> FinetuneConfig:
    path = Path(str(config.start_from)) / "run.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 3'))
    return config


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (without_run, CheckpointError, "nothing to start from at .*absent"),
        (without_checkpoint, CheckpointError, "no complete checkpoint in .* yet"),
        (with_another_tokenizer, CheckpointError, "was trained with tokenizer .* --tokenizer"),
        (with_imported_weights, CheckpointError, "do not record their sizes"),
        (of_a_newer_version, CheckpointError, r"has format 3, this code reads 2: .*; use that version"),
    ],
)
def test_what_does_not_fit_is_refused(
    config: FinetuneConfig, harm: Callable[[FinetuneConfig], FinetuneConfig], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        prepare(resolve_finetuning(harm(config)))


def test_shards_without_answers_are_refused(config: FinetuneConfig, pretrained: RunConfig) -> None:
    reports = SourceConfig(shards=pretrained.data.shards, links=pretrained.data.links)
    with pytest.raises(DataError, match="shards of questions"):
        find_targets(resolve_finetuning(replace(config, data=reports)))


def test_the_model_starts_from_the_checkpoint_and_its_head_anew(config: FinetuneConfig) -> None:
    run = resolve_finetuning(config)
    module = build(run, seed=5)
    assert load_start(module, run) == f"the weights of {run.start_from}; new heads: answering"
    saved = read_weights(str(run.start_from))
    assert all(torch.equal(parameter, saved[name]) for name, parameter in module.named_parameters() if name.startswith("arl."))
    assert isinstance(module, QuestionAnsweringModule)
    assert module.answering.output.out_features == len(find_targets(run)[ANSWERS])


def test_pretraining_goes_on_from_another_run_with_its_heads(pretrained: RunConfig) -> None:
    config, _ = prepare(replace(pretrained, name="more", start_from=run_folder(pretrained)))
    module = build(config, seed=5)
    assert load_start(module, config) == f"the weights of {config.start_from}"
    saved = read_weights(str(config.start_from))
    assert all(torch.equal(parameter, saved[name]) for name, parameter in module.named_parameters())
    fewer = replace(config, task=replace(PRETEXT, weights=ObjectiveWeights(itm=0.0)))
    load_start(build(fewer), fewer)


def test_a_model_folder_is_a_start_too(config: FinetuneConfig, pretrained: RunConfig, tmp_path: Path) -> None:
    folder = str(tmp_path / "model")
    export_run(run_folder(pretrained), folder)
    run, _ = prepare(resolve_finetuning(replace(config, start_from=folder)))
    assert (run.start_from, run.model, run.knowledge) == (folder, MODEL, f"{folder}/knowledge")
    assert (run.data.maximum_tokens, run.data.tokenizer) == (48, f"{folder}/tokenizer")
    module = build(run, seed=5)
    load_start(module, run)
    saved = read_weights(f"{run_folder(pretrained)}/checkpoints/step-00000002")
    assert all(torch.equal(parameter, saved[f"arl.{name}"]) for name, parameter in module.arl.named_parameters())


def test_damaged_weights_of_a_model_folder_are_refused(pretrained: RunConfig, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    export_run(run_folder(pretrained), str(folder))
    run = replace(pretrained, name="more", start_from=str(folder))
    content = bytearray((folder / WEIGHTS_FILE).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors was changed or damaged"):
        load_start(build(run), run)
    (folder / MODEL_CONFIG).write_text((folder / MODEL_CONFIG).read_text().replace('"heads": 2', '"heads": 4'))
    with pytest.raises(CheckpointError, match=r"config\.json was changed or damaged"):
        prepare(run)


def test_what_is_no_run_is_called_by_its_name(pretrained: RunConfig, tmp_path: Path) -> None:
    model, copy = tmp_path / "model", tmp_path / "copy"
    export_run(run_folder(pretrained), str(model))
    shutil.copytree(Path(run_folder(pretrained), "checkpoints", "step-00000002"), copy)
    with pytest.raises(
        CheckpointError, match=r"is a model folder, not a run: give it to jobs/pretrain\.py or jobs/finetune\.py as --start_from"
    ):
        export_run(str(model), str(tmp_path / "again"))
    with pytest.raises(CheckpointError, match="is a checkpoint without its run: give the one in STORAGE/RUN/checkpoints"):
        prepare(replace(pretrained, name="more", start_from=str(copy)))


def test_another_tokenizer_than_that_of_pretrained_weights_is_refused_before_any_work(pretrained: RunConfig, tmp_path: Path) -> None:
    encoder = LanguageEncoder(MODEL.language, vocabulary=len(open_tokenizer(pretrained.data)) + 1, padding_id=1).encoder
    encoder.save_pretrained(tmp_path / "encoder")
    language = replace(MODEL.language, pretrained=str(tmp_path / "encoder"))
    with pytest.raises(ConfigurationError, match=r"is not the one that it was trained with: set data\.tokenizer"):
        prepare(replace(pretrained, name="more", model=replace(MODEL, language=language)))


def test_an_export_leaves_the_files_of_a_folder_alone(pretrained: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    card = tmp_path / "model" / "README.md"
    card.write_text("my notes")
    with pytest.raises(ConfigurationError, match=r"is not empty .README\.md.: choose another --output, or add --overwrite"):
        export_run(run_folder(pretrained), str(card.parent))
    with pytest.raises(CheckpointError, match="no checkpoint '9'"):
        export_run(run_folder(pretrained), str(tmp_path / "new" / "model"), checkpoint="9")
    assert card.read_text() == "my notes"
    assert not (tmp_path / "new").exists()
    export_run(run_folder(pretrained), str(card.parent), overwrite=True)
    assert card.read_text().startswith("# pre")


def test_inputs_that_were_moved_are_named_in_an_option(pretrained: RunConfig, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    for name, place in (("knowledge", pretrained.knowledge), ("tokenizer", f"{pretrained.data.shards}/tokenizer")):
        shutil.copytree(place, moved / name)
    away = replace(pretrained, name="away", knowledge=str(tmp_path / "x"), data=replace(pretrained.data, tokenizer=str(tmp_path / "y")))
    shutil.copytree(run_folder(pretrained), run_folder(away))
    record = load_run(run_folder(away))
    assert record is not None
    update_run(run_folder(away), replace(record, config=to_plain(away)))
    run, output = run_folder(away), str(tmp_path / "model")
    with pytest.raises(KnowledgeError, match="give its new place with --knowledge, else"):
        export_run(run, output)
    with pytest.raises(
        ConfigurationError,
        match=r"no tokenizer at .*new place with --data\.tokenizer .of jobs/finetune\.py, evaluate\.py and export\.py: --tok",
    ):
        export_run(run, output, knowledge=str(moved / "knowledge"))
    export_run(run, output, knowledge=str(moved / "knowledge"), tokenizer=str(moved / "tokenizer"))
    train_tokenizer(["other"], 300).save_pretrained(moved / "other")
    with pytest.raises(CheckpointError, match=r"was trained with tokenizer .*: give the old one with --data\.tokenizer"):
        export_run(run, output, knowledge=str(moved / "knowledge"), tokenizer=str(moved / "other"), overwrite=True)
    with pytest.raises(DataError, match=r"no complete shards in .*new place with --shards .of jobs/pretrain\.py and .*: --data\.shards"):
        prepare(replace(pretrained, data=replace(pretrained.data, shards=str(tmp_path / "z"))))


def test_an_export_to_a_bucket_says_how_to_load_it(
    pretrained: RunConfig, tmp_path: Path, s3: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    export(run=pretrained.name, storage=pretrained.storage, output=f"{s3}/models/mine")
    *_, download, use = capsys.readouterr().out.splitlines()
    monkeypatch.chdir(tmp_path)
    subprocess.run(download.removeprefix("download it: "), shell=True, check=True)
    assert use == 'use it: import medvlp; model = medvlp.load("mine")'
    assert medvlp.load("mine").config.origin.run == "pre"
    with pytest.raises(ConfigurationError, match="give a local folder"):
        medvlp.load(f"{s3}/models/mine")
    config, _ = prepare(replace(pretrained, name="more", start_from=f"{s3}/models/mine"))
    load_start(build(config), config)


def test_a_fork_has_the_full_state_of_the_other_run(pretrained: RunConfig) -> None:
    fork, _ = prepare(replace(pretrained, name="fork", start_from=run_folder(pretrained), start_state="full"))
    found = forked_checkpoint(fork)
    assert found is not None
    assert (found[0], found[1].step) == (fork.start_from, 2)
    assert forked_checkpoint(replace(fork, start_state="weights")) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": ScaleConfig(zero_stage=3)}, "with ZeRO stage 2 in fp32, which ZeRO stage 3 in fp32 cannot read"),
        ({"train": replace(TRAIN, max_steps=2)}, "has done 2 steps: set train.max_steps higher"),
        ({"train": replace(TRAIN, global_batch=32)}, "set train.global_batch to 16"),
    ],
)
def test_a_fork_that_cannot_go_on_is_refused(pretrained: RunConfig, change: dict, message: str) -> None:
    with pytest.raises((CheckpointError, ConfigurationError), match=message):
        prepare(replace(pretrained, name="fork", start_from=run_folder(pretrained), start_state="full", **change))


def test_a_state_without_a_start_is_refused(pretrained: RunConfig) -> None:
    with pytest.raises(ConfigurationError, match="name it with --start_from"):
        replace(pretrained, start_state="full")


def test_weights_of_another_model_are_refused(config: FinetuneConfig) -> None:
    run = resolve_finetuning(config)
    wider = replace(run, model=replace(MODEL, vision=replace(MODEL.vision, layers=2)))
    with pytest.raises(CheckpointError, match=r"vision\.encoder\.layers\.1.*none, wanted"):
        load_start(build(wider), wider)


def test_the_loop_of_pretraining_trains_it(config: FinetuneConfig) -> None:
    run = resolve_finetuning(replace(config, scale=ScaleConfig(zero_stage=0)))
    inputs, context, module = Inputs.open(run), context_of(run), build(run)
    load_start(module, run)
    cost = prepare_module(run, context, module, counts_flops=False)
    assert cost.frozen == 0
    split, train = training_split(run, inputs.corpora, inputs.bundle), run.train
    samples = train.max_steps * train.global_batch
    lines: list[str] = []
    loop = Loop(
        config=run,
        engine=engine_of(run, module),
        stream=BatchStream(
            tables=partial(local_tables, split, 0, samples, train.micro_batch),
            collate=run.task.collate(context, augment=True),
            micro_batch=train.micro_batch,
            first=0,
            stride=1,
            processes=1,
        ),
        validation=build_validation(run, context, inputs, ProcessGroup()),
        store=checkpoint_store(run),
        tracker=CompositeTracker(),
        processes=ProcessGroup(),
        fingerprints=inputs.fingerprints,
        announce=lines.append,
    )
    metrics = loop.run(Progress())
    names = {"answer_accuracy", "answer_accuracy_shuffled_image", "majority_answer_accuracy"}
    assert {f"val/{name}" for name in names} | {f"val/{name}_{kind}" for name in names for kind in QUESTION_TYPES} < metrics.keys()
    assert "answer " in lines[0]
    newest = checkpoint_store(run).newest()
    assert newest is not None
    assert newest[1].step == 4
    trained = read_weights(newest[0])
    before = read_weights(str(run.start_from))
    moved = [name for name, value in before.items() if name.startswith("arl.") and not torch.equal(value, trained[name])]
    assert {name.split(".")[1] for name in moved} > {"vision", "language", "knowledge", "fusion"}
