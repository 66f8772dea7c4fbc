"""Inference on every kind of image and text that a person may hand over: the right answer, or one sentence."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from medvlp.data.tokenizer import tokenizer_fingerprint
from medvlp.errors import DataError, MedvlpError
from medvlp.inference import Model
from medvlp.interchange.model_folder import LoadedModel, ModelFolderConfig, Origin
from medvlp.tasks.base import TaskContext
from medvlp.tasks.module import TaskModule
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.vqa.module import QuestionAnsweringModule
from medvlp.tasks.vqa.task import QuestionAnswering
from tests.medvlp import tiny
from tests.medvlp.data.test_rgb import png_of_16_bits

TEXTS = ["there is a left effusion", "nothing"]
PIXELS = np.random.default_rng(0).integers(1, 255, (20, 24, 3), np.uint8)
PICTURE = Image.fromarray(PIXELS)
GREY = PICTURE.convert("L")


def model_of(module: TaskModule, **settings: Any) -> Model:
    fingerprints = {"knowledge": tiny.bundle().fingerprint, "tokenizer": tokenizer_fingerprint(tiny.tokenizer())}
    origin = Origin(run="r", step=1, samples=1, fingerprints=fingerprints)
    config = ModelFolderConfig(model=tiny.model_config(), image=tiny.IMAGE, text=tiny.TEXT, origin=origin, **settings)
    context = TaskContext(model=config.model, image=config.image, text=config.text, tokenizer=tiny.tokenizer(), bundle=tiny.bundle())
    return Model(LoadedModel(config, context, module.eval()))


@pytest.fixture(scope="module")
def ranking() -> Model:
    """A pre-trained model."""
    torch.set_num_threads(1)
    return model_of(tiny.pretraining_module(), task=Pretraining())


@pytest.fixture(scope="module")
def answering() -> Model:
    """A model that answers questions."""
    torch.manual_seed(3)
    module = QuestionAnsweringModule(tiny.model_config(), tiny.bundle(), answers=2, vocabulary=tiny.VOCABULARY, padding_id=1)
    return model_of(module, task=QuestionAnswering(), targets={"answers": ["yes", "no"]})


METHODS: dict[str, Callable[[Model, Model, Any], Any]] = {
    "encode": lambda ranking, _, image: ranking.encode(image, TEXTS).pooled.tolist(),
    "match": lambda ranking, _, image: ranking.match(image, TEXTS),
    "findings": lambda ranking, _, image: sorted(ranking.findings(image)),
    "answer": lambda _, answering, image: answering.answer(image, TEXTS[0]),
    "answers": lambda _, answering, image: sorted(answering.answers(image, TEXTS[0])),
}


def saved(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def lying() -> bytes:
    """The picture, turned, with the EXIF orientation that turns it back."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return saved(PICTURE.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())


def clear() -> Image.Image:
    """The grey picture with an opaque alpha channel."""
    image = GREY.convert("LA")
    image.putalpha(255)
    return image


def file_of(content: bytes, folder: Path, name: str = "image.png") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


PALETTE = PICTURE.quantize(256)
DEEP = png_of_16_bits(PIXELS.astype(np.uint16) * 16)
"""The picture in 12 of 16 bits, of which Pillow reads the upper 8."""
SAME_AS_FILE: dict[str, tuple[Image.Image, Callable[[Path], Any]]] = {
    "bytes": (PICTURE, lambda folder: saved(PICTURE)),
    "bytearray": (PICTURE, lambda folder: bytearray(saved(PICTURE))),
    "memoryview": (PICTURE, lambda folder: memoryview(saved(PICTURE))),
    "path": (PICTURE, lambda folder: file_of(saved(PICTURE), folder)),
    "text path": (PICTURE, lambda folder: str(file_of(saved(PICTURE), folder))),
    "open file": (PICTURE, lambda folder: file_of(saved(PICTURE), folder).open("rb")),
    "file in memory": (PICTURE, lambda folder: io.BytesIO(saved(PICTURE))),
    "Pillow": (PICTURE, lambda folder: PICTURE),
    "Pillow of a file": (PICTURE, lambda folder: Image.open(file_of(saved(PICTURE), folder))),
    "turned": (PICTURE, lambda folder: lying()),
    "turned, Pillow": (PICTURE, lambda folder: Image.open(io.BytesIO(lying()))),
    "16 bits": (PICTURE, lambda folder: DEEP),
    "16 bits, Pillow": (PICTURE, lambda folder: Image.open(io.BytesIO(DEEP))),
    "RGBA": (PICTURE, lambda folder: PICTURE.convert("RGBA")),
    "RGBX": (PICTURE, lambda folder: PICTURE.convert("RGBX")),
    "P": (PALETTE.convert("RGB"), lambda folder: PALETTE),
    "P with transparency": (PALETTE.convert("RGB"), lambda folder: Image.open(io.BytesIO(saved(PALETTE, transparency=b"\xff" * 256)))),
    "CMYK": (PICTURE.convert("CMYK").convert("RGB"), lambda folder: PICTURE.convert("CMYK")),
    "L": (GREY, lambda folder: GREY),
    "LA": (GREY, lambda folder: clear()),
    "1": (GREY.convert("1").convert("L"), lambda folder: GREY.convert("1")),
    **{mode: (GREY, lambda folder, mode=mode: GREY.convert(mode)) for mode in ("I", "F", "I;16")},  # type: ignore[misc]
    "I;16B": (GREY, lambda folder: Image.frombytes("I;16B", GREY.size, np.asarray(GREY).astype(">u2").tobytes())),
    "array": (PICTURE, lambda folder: PIXELS),
    "array of grey": (GREY, lambda folder: np.asarray(GREY)),
    "array of one channel": (GREY, lambda folder: np.asarray(GREY)[..., None]),
    "array with alpha": (PICTURE, lambda folder: np.asarray(PICTURE.convert("RGBA"))),
    "array of 16 bits": (PICTURE, lambda folder: PIXELS.astype(np.uint16) * 16),
    "array of floats": (PICTURE, lambda folder: PIXELS / 255),
    "array of integers": (PICTURE, lambda folder: PIXELS.astype(np.int64)),
    "array of truth values": (GREY.convert("1").convert("L"), lambda folder: np.asarray(GREY.convert("1"))),
}


@pytest.mark.parametrize("kind", SAME_AS_FILE)
def test_an_image_of_every_kind_gives_what_its_file_gives(kind: str, ranking: Model, answering: Model, tmp_path: Path) -> None:
    picture, make = SAME_AS_FILE[kind]
    for method in METHODS.values():
        assert method(ranking, answering, make(tmp_path)) == method(ranking, answering, saved(picture))


def closed() -> Any:
    file = io.BytesIO(saved(PICTURE))
    file.close()
    return file


def closed_image(folder: Path) -> Image.Image:
    image = Image.open(file_of(saved(PICTURE), folder))
    image.close()
    return image


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (lambda folder: None, "a NoneType is no image: give one image, as a path, bytes, a file"),
    "a number": (lambda folder: 3, "a int is no image"),
    "a list": (lambda folder: [PICTURE], "a list is no image"),
    "a tensor": (lambda folder: torch.zeros(3, 8, 8), "a Tensor is no image"),
    "no file": (lambda folder: folder / "absent.png", "cannot read the image .*absent.png: No such file"),
    "a folder": (lambda folder: str(folder), "cannot read the image .*: Is a directory"),
    "an empty path": (lambda folder: "", "cannot read the image : Is a directory"),
    "an impossible path": (lambda folder: "a\0b", "cannot read the image"),
    "a URI": (lambda folder: "s3://bucket/image.png", "only local files are read; download it first"),
    "no image in a file": (lambda folder: file_of(b"text", folder), "the image .*image.png cannot be decoded"),
    "no image": (lambda folder: b"", "the image cannot be decoded .image does not decode."),
    "a cut file": (lambda folder: saved(PICTURE)[:200], "cannot be decoded"),
    "a cut file, Pillow": (lambda folder: Image.open(io.BytesIO(saved(PICTURE)[:200])), "cannot be decoded"),
    "another format": (lambda folder: saved(PICTURE, "GIF"), "image is GIF, neither JPEG nor PNG"),
    "a file of text": (lambda folder: io.StringIO("text"), "gives str, not bytes: open it in binary mode"),
    "a closed file": (lambda folder: closed(), "cannot read the image .*closed file"),
    "a closed Pillow image": (closed_image, "cannot be decoded"),
    "an image without pixels": (lambda folder: Image.new("L", (0, 5)), "image has no pixels"),
    "an array without pixels": (lambda folder: np.zeros((0, 5), np.uint8), "image has no pixels"),
    "an array of channels first": (lambda folder: np.zeros((3, 20, 24), np.uint8), r"array of uint8 and shape .3, 20, 24., not numbers of"),
    "a batch": (lambda folder: PIXELS[None], r"array of uint8 and shape .1, 20, 24, 3."),
    "an array of objects": (lambda folder: np.array([[None]]), "array of object and shape"),
    "an array of complex numbers": (lambda folder: np.zeros((4, 4), complex), "array of complex128"),
    "an array of floats with alpha": (lambda folder: np.zeros((4, 4, 4)), "alpha, which must be uint8 or uint16"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_refused_in_one_sentence(kind: str, ranking: Model, answering: Model, tmp_path: Path) -> None:
    make, message = REFUSED[kind]
    for method in METHODS.values():
        with pytest.raises(DataError, match=message) as caught:
            method(ranking, answering, make(tmp_path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "samples", [np.full((4, 4), -5), np.array([[1e308, -1e308]]), np.full((4, 4), np.nan), np.array([[2**63 - 1, -(2**63)]])]
)
def test_extreme_numbers_give_a_picture_without_a_warning(samples: np.ndarray, ranking: Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ranking.match(samples, TEXTS)) == 2


SAME_TEXTS = {
    "tuple": tuple(TEXTS),
    "generator": (text for text in TEXTS),
    "array": np.array(TEXTS),
    "keys": dict.fromkeys(TEXTS).keys(),
}


@pytest.mark.parametrize("kind", SAME_TEXTS)
def test_several_texts_may_be_in_any_collection(kind: str, ranking: Model) -> None:
    assert ranking.match(PICTURE, SAME_TEXTS[kind]) == ranking.match(PICTURE, TEXTS)


def test_a_single_text_is_one_text(ranking: Model) -> None:
    assert ranking.match(PICTURE, "effusion") == ranking.match(PICTURE, ["effusion"])
    assert len(ranking.encode(PICTURE, "effusion").pooled) == 1
    assert ranking.findings(PICTURE, "other") == ranking.findings(PICTURE, ["other"])


@pytest.mark.parametrize("text", ["", " ", "\0", "😀 é ﬁ", "word " * 500, "\n\t"])
def test_any_string_is_a_text(text: str, ranking: Model, answering: Model) -> None:
    (score,) = ranking.match(PICTURE, text)
    assert 0 < score < 1
    assert answering.answer(PICTURE, text) in ("yes", "no")
    ranking.entities(text)


@pytest.mark.parametrize("texts", [None, 3, b"bytes", {"a": "b"}, [None], ["a", 3], [float("nan")], [["a"]], ["\ud800"], np.array(3)])
def test_what_is_no_text_is_refused_in_one_sentence(texts: Any, ranking: Model, answering: Model) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: ranking.match(PICTURE, texts),
        lambda: ranking.encode(PICTURE, texts),
        lambda: answering.answer(PICTURE, texts),
        lambda: answering.answers(PICTURE, texts),
        lambda: ranking.entities(texts),
        *([] if texts is None else [lambda: ranking.findings(PICTURE, texts)]),
    ]
    for call in calls:
        with pytest.raises(MedvlpError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_no_text_and_several_questions_are_refused(ranking: Model, answering: Model) -> None:
    for call in (ranking.match, ranking.encode):
        with pytest.raises(DataError, match="give at least one text"):
            call(PICTURE, [])
    with pytest.raises(DataError, match="a list is no question: give one string"):
        answering.answer(PICTURE, TEXTS)  # type: ignore[arg-type]
