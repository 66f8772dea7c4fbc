"""Exported models: equal after their way through files, refused when damaged, and easy to ask."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import ExifTags, Image

import medvlp
from medvlp.data.tokenizer import tokenizer_fingerprint, train_tokenizer
from medvlp.errors import CheckpointError, ConfigurationError, DataError
from medvlp.inference import Model
from medvlp.interchange.digests import DIGESTS_FILE, write_digests
from medvlp.interchange.model_folder import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    ModelFolderConfig,
    Origin,
    load_model_folder,
    save_model_folder,
)
from medvlp.tasks.module import TaskModule
from medvlp.tasks.pretrain.module import PretrainingModule
from medvlp.tasks.vqa.batch import QuestionCollate
from medvlp.tasks.vqa.module import QuestionAnsweringModule
from medvlp.tasks.vqa.task import QuestionAnswering
from medvlp.tasks.vqa.vocabulary import AnswerVocabulary
from tests.conftest import REPOSITORY
from tests.medvlp import tiny

FINGERPRINTS = {"knowledge": tiny.bundle().fingerprint, "tokenizer": tokenizer_fingerprint(tiny.tokenizer())}
ORIGIN = Origin(run="tiny-run", step=7, samples=70, fingerprints=FINGERPRINTS, metrics={"itm_accuracy": 0.75})
ANSWERS = ("yes", "no", "left")
REPORTS = ["there is a left effusion", "there is a large stone in the image", "nothing"]


def export(folder: Path, module: TaskModule, **changes: object) -> ModelFolderConfig:
    pretrained = isinstance(module, PretrainingModule)
    task, targets = (module.pretext, {}) if pretrained else (QuestionAnswering(), {"answers": list(ANSWERS)})
    settings = {"task": task, "targets": targets, "finding_types": ("finding",), "origin": ORIGIN, **changes}
    config = ModelFolderConfig(model=module.arl.config, image=tiny.IMAGE, text=tiny.TEXT, **settings)  # type: ignore[arg-type]
    weights = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    save_model_folder(folder, config, weights, tiny.tokenizer(), tiny.bundle())
    return config


def question_task() -> QuestionAnsweringModule:
    torch.manual_seed(3)
    return QuestionAnsweringModule(
        tiny.model_config(), tiny.bundle(), answers=len(ANSWERS), vocabulary=tiny.VOCABULARY, padding_id=1
    ).eval()


@pytest.fixture(scope="module")
def trained() -> PretrainingModule:
    torch.set_num_threads(1)
    return tiny.pretraining_module(tiny.model_config(dropout=0.1)).eval()


@pytest.fixture(scope="module")
def folder(trained: PretrainingModule, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "new" / "model"
    export(folder, trained)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return medvlp.load(folder)


@torch.no_grad()
def test_a_pretrained_model_is_equal_after_the_round_trip(trained: PretrainingModule, model: Model) -> None:
    batch = tiny.pretrain_batch()
    loaded = model.module
    assert isinstance(loaded, PretrainingModule)
    outputs = []
    for task in (trained, loaded):
        torch.manual_seed(0)  # masked patches
        outputs.append(task(batch))
    assert torch.equal(outputs[0].loss, outputs[1].loss)
    assert outputs[0].losses == outputs[1].losses
    for ours, theirs in zip(trained.alignment(trained.encode(batch)), loaded.alignment(loaded.encode(batch)), strict=True):
        assert torch.equal(ours, theirs)


@torch.no_grad()
def test_a_model_that_answers_is_equal_after_the_round_trip(tmp_path: Path) -> None:
    task = question_task()
    export(tmp_path, task)
    model = medvlp.load(tmp_path)
    vocabulary = AnswerVocabulary(tuple(model.config.targets["answers"]))
    collate = QuestionCollate(tiny.tokenizer(), tiny.IMAGE, tiny.TEXT, 0, False, vocabulary)
    row = replace(tiny.stream_row(0), answers=("left",))
    batch = collate([row, tiny.stream_row(1)])
    assert torch.equal(task(batch).loss, model.module(batch).loss)
    encoded = task.encode(batch)
    probabilities = task.logits(batch, encoded, encoded.image)[0].sigmoid()
    answers = dict(model.answers(row.image, row.text))
    assert [answers[answer] for answer in ANSWERS] == pytest.approx(probabilities.tolist(), rel=1e-5)
    assert model.answer(row.image, row.text) == ANSWERS[int(probabilities.argmax())]
    with pytest.raises(ConfigurationError, match="export its pre-training run"):
        model.match(row.image, REPORTS)


@torch.no_grad()
def test_scores_are_those_of_the_task(trained: PretrainingModule, model: Model) -> None:
    rows = [tiny.stream_row(index) for index in range(2)]
    batch = tiny.collate(augment=False)(rows)
    encoded = trained.encode(batch)
    assert trained.matching is not None
    _, pooled = trained.arl.fuse(trained.text_streams(batch, encoded, encoded.image[:1].expand(2, -1, -1)))
    expected = trained.matching(pooled).softmax(-1)[:, 1].tolist()
    assert model.match(rows[0].image, [row.text for row in rows]) == pytest.approx(expected, rel=1e-4)


def test_findings_are_the_entities_of_the_trained_types_likeliest_first(trained: PretrainingModule, model: Model) -> None:
    image = tiny.encoded_image(5)
    findings = model.findings(image)
    assert {name for name, _ in findings} == set(tiny.NAMES[2:])
    assert [score for _, score in findings] == sorted((score for _, score in findings), reverse=True)
    assert {name for name, _ in model.findings(image, ["other"])} == set(tiny.NAMES[:2])
    assert len(model.findings(image, [])) == len(tiny.NAMES)
    with pytest.raises(ConfigurationError, match=r"'disease'; the types of its \d+ entities are 'finding' \(\d+\), 'other' \(2\): choose"):
        model.findings(image, ["other", "disease"])


def test_an_image_is_turned_upright_and_laid_on_white_however_it_comes(model: Model) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = Image.open(io.BytesIO(tiny.encoded_image(1))).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    upright, lying = io.BytesIO(), io.BytesIO()
    picture.save(upright, "PNG")
    picture.transpose(Image.Transpose.ROTATE_90).save(lying, "PNG", exif=exif.tobytes())
    expected = model.match(upright.getvalue(), REPORTS)
    assert model.match(lying.getvalue(), REPORTS) == model.match(Image.open(lying), REPORTS) == expected
    on_black = Image.composite(picture.convert("RGB"), Image.new("RGB", picture.size), picture.getchannel("A"))
    assert model.match(on_black, REPORTS) != expected


def test_many_texts_are_scored_in_their_order(model: Model) -> None:
    many = REPORTS * 50
    scores = model.match(tiny.encoded_image(2), many)
    assert scores == pytest.approx(model.match(tiny.encoded_image(2), REPORTS) * 50, rel=1e-4)
    with pytest.raises(DataError, match="at least one text"):
        model.match(tiny.encoded_image(2), [])


def test_features_have_the_promised_shapes(model: Model) -> None:
    features = model.encode(tiny.encoded_image(2), REPORTS)
    assert features.image.shape == (1, 5, 16)
    assert features.texts.shape[::2] == (3, 16)
    assert features.token_mask.shape == features.texts.shape[:2]
    assert features.pooled.shape == (3, 32)


def test_the_model_links_texts_itself(model: Model) -> None:
    assert model.entities("Two stones and a mass, no fracture.") == ["stone", "mass", "fracture"]


@pytest.mark.parametrize(("weight", "ask"), [("itm", "match"), ("align", "findings")])
def test_an_objective_that_was_not_built_is_named(tmp_path: Path, weight: str, ask: str) -> None:
    export(tmp_path, tiny.pretraining_module(**{weight: 0.0}))
    model = medvlp.load(tmp_path)
    with pytest.raises(ConfigurationError, match=rf"pretext\.weights\.{weight} was 0"):
        model.match(tiny.encoded_image(), REPORTS) if ask == "match" else model.findings(tiny.encoded_image())
    with pytest.raises(ConfigurationError, match="not fine-tuned to answer"):
        model.answer(tiny.encoded_image(), "Is there a mass?")


def test_the_card_says_where_the_model_comes_from(folder: Path) -> None:
    card = (folder / CARD_FILE).read_text()
    for expected in ("# tiny-run", "| step | 7 |", "itm_accuracy: 0.7500", "Licence", ORIGIN.fingerprints["knowledge"]):
        assert expected in card


def change_config(folder: Path, *path: str, to: object) -> None:
    """Change a value of the configuration, as somebody would who also makes new digests."""
    content = json.loads((folder / CONFIG_FILE).read_text())
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    if content.get("task") != "pretrain":
        content.pop("pretext", None)
    (folder / CONFIG_FILE).write_text(json.dumps(content))
    write_digests(folder)


def change_files(folder: Path, change: Callable[[Path], object]) -> None:
    """Change files, as somebody would who also makes new digests."""
    change(folder)
    write_digests(folder)


def other_tokenizer(folder: Path) -> None:
    train_tokenizer(["other words"], 300).save_pretrained(folder / "tokenizer")


def cut_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:-10])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no model at"),
    "no digests": (lambda folder: (folder / DIGESTS_FILE).unlink(), "SHA256SUMS is missing; copy the whole folder again"),
    "odd digests": (lambda folder: (folder / DIGESTS_FILE).write_bytes(b"x"), "SHA256SUMS is damaged"),
    "no weights": (lambda folder: (folder / WEIGHTS_FILE).unlink(), "cannot be read .No such file or directory.; copy the whole folder"),
    "no weights in the digests": (lambda folder: change_files(folder, lambda _: (folder / WEIGHTS_FILE).unlink()), "is missing or damaged"),
    "cut weights": (cut_weights, "was changed or damaged"),
    "cut weights in the digests": (lambda folder: change_files(folder, cut_weights), "is missing or damaged: Error while des"),
    "other heads": (
        lambda folder: (folder / CONFIG_FILE).write_text((folder / CONFIG_FILE).read_text().replace('"heads": 2', '"heads": 4')),
        "config.json was changed or damaged",
    ),
    "no tokenizer": (lambda folder: change_files(folder, lambda _: shutil.rmtree(folder / "tokenizer")), "no tokenizer"),
    "other tokenizer": (lambda folder: change_files(folder, other_tokenizer), "not the tokenizer of this model"),
    "no knowledge": (lambda folder: change_files(folder, lambda _: shutil.rmtree(folder / "knowledge")), "no readable knowledge bundle"),
    "other knowledge": (
        lambda folder: change_files(folder, lambda _: tiny.bundle(4).save(folder / "knowledge")),
        "not the knowledge",
    ),
    "other version": (lambda folder: change_config(folder, "version", to=99), "has format 99"),
    "unknown key": (lambda folder: change_config(folder, "surprise", to=1), "has no surprise"),
    "other kind": (
        lambda folder: (change_config(folder, "targets", to={"answers": ["yes"]}), change_config(folder, "task", to="vqa")),
        "answering.hidden.weight .none, wanted 32x32",
    ),
    "no answers": (lambda folder: change_config(folder, "task", to="vqa"), "targets.answers is no list of answers"),
    "task of an unknown module": (lambda folder: change_config(folder, "task", to="os:system"), "unknown task 'os:system'"),
    "task of another type": (lambda folder: change_config(folder, "task", to=["vqa"]), "task is ..vqa.., which is no str"),
    "no fingerprints": (lambda folder: change_config(folder, "origin", "fingerprints", to=None), "Origin.fingerprints is None"),
    "no model": (lambda folder: change_config(folder, "model", to=None), "ModelFolderConfig.model is None"),
    "number as text": (lambda folder: change_config(folder, "model", "vision", "heads", to="2"), "VisionConfig.heads is '2', .* no int"),
    "other image size": (lambda folder: change_config(folder, "image", "size", to=24), "image.size 24 is not model.vision.image_size 16"),
    "impossible size": (
        lambda folder: change_config(folder, "model", "language", "layers", to=-1),
        r"LanguageConfig\.layers is -1: take at least 1",
    ),
    "impossible share": (
        lambda folder: change_config(folder, "model", "language", "dropout", to=2.5),
        r"LanguageConfig\.dropout is 2\.5: take",
    ),
    "no object": (lambda folder: (folder / CONFIG_FILE).write_text("[]"), "no model at"),
    "deep": (lambda folder: (folder / CONFIG_FILE).write_text("[" * 10**5 + "]" * 10**5), "no model at .*nested too deeply"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused(folder: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    harm, message = DAMAGES[damage]
    harm(copy)
    with pytest.raises((CheckpointError, ConfigurationError), match=message):
        load_model_folder(copy)


def test_every_flipped_bit_is_noticed(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    names = sorted(path.relative_to(copy) for path in copy.rglob("*") if path.is_file() and path.name != CARD_FILE)
    assert len(names) >= 7
    for name in names:
        content = (copy / name).read_bytes()
        place = len(content) // 2
        (copy / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError):
            load_model_folder(copy)
        (copy / name).write_bytes(content)
    (copy / CARD_FILE).write_text("# My model")
    assert subprocess.run(["sha256sum", "--check", "--quiet", DIGESTS_FILE], cwd=copy, check=False).returncode == 0
    load_model_folder(copy)


def test_a_folder_of_the_version_before_digests_is_loaded_with_a_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    change_config(copy, "version", to=2)
    load_model_folder(copy)
    assert "SHA256SUMS" not in caplog.text
    (copy / DIGESTS_FILE).unlink()
    load_model_folder(copy)
    assert "has no SHA256SUMS" in caplog.text


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "meta", "xla", "hpu", None, 3.5])
def test_a_device_that_is_not_there_is_refused(folder: Path, device: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^device .* cannot be used here \(.*\): take one of cpu"):
        medvlp.load(folder, device)


@pytest.mark.parametrize("place", ["s3://bucket/model", "https://host/model", None, 3])
def test_a_model_that_is_not_in_a_local_folder_is_refused(place: Any) -> None:
    with pytest.raises(ConfigurationError, match="give a local folder"):
        medvlp.load(place)


def test_weights_of_another_model_are_not_written(tmp_path: Path, trained: PretrainingModule) -> None:
    other = replace(tiny.model_config(), fusion=replace(tiny.model_config().fusion, layers=2))
    config = ModelFolderConfig(model=other, image=tiny.IMAGE, text=tiny.TEXT, task=trained.pretext, origin=ORIGIN)
    with pytest.raises(CheckpointError, match=r"feed_forward.* wanted none.* and 81 more"):
        save_model_folder(tmp_path / "model", config, dict(trained.named_parameters()), tiny.tokenizer(), tiny.bundle())
    assert not (tmp_path / "model").exists()


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, medvlp; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=REPOSITORY).returncode == 0
