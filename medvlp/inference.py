"""A trained model for interactive use: an image and texts in, names and scores out.

Shapes: T texts, S image side, I image tokens, L tokens, H fusion width.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from medvlp.data.batch import Batch
from medvlp.data.collate import CommonCollate
from medvlp.data.foreign import plain_reasons
from medvlp.data.given import Image, given_image, given_text, given_texts
from medvlp.data.image import decode_image
from medvlp.data.rgb import UndecodableImage
from medvlp.data.sample import StreamRow
from medvlp.data.text import encode_texts
from medvlp.errors import ConfigurationError, DataError
from medvlp.interchange.model_folder import LoadedModel, load_model_folder
from medvlp.knowledge.linker.dictionary import DictionaryLinker, leftmost_longest
from medvlp.tasks.base import Task
from medvlp.tasks.pretrain.module import PretrainingModule
from medvlp.tasks.vqa.module import QuestionAnsweringModule
from medvlp.tasks.vqa.task import ANSWERS

_TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class Features:
    """An image fused with each of several texts."""

    image: Tensor
    """[1, I, H]: class token and patches as they enter fusion."""
    texts: Tensor
    """[T, L, H]: tokens after fusion."""
    token_mask: Tensor
    """bool [T, L]."""
    pooled: Tensor
    """[T, 2H]: the pooled pair of text and image, the input of matching and answers."""


class Model:
    """A pre-trained or fine-tuned model; ``medvlp.load`` reads one from a folder.

    An image is a path, bytes, an open file, a Pillow image or a numpy array, see ``medvlp.data.given``. Where several texts are expected, a
    single string is a list of one. Everything else is refused with a ``DataError``.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device | str = "cpu"):
        self.config = loaded.config
        self.bundle = loaded.context.bundle
        self.device = usable_device(device)
        self.module = loaded.module.to(self.device).eval()
        context = loaded.context
        self._collate = CommonCollate(tokenizer=context.tokenizer, image=context.image, text=context.text, seed=0, augment=False)
        self._linker = DictionaryLinker.build(self.bundle.ontology, derive=False)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu", task: type[Task] | None = None) -> "Model":
        """Read a folder that ``jobs/export.py`` wrote; for ``task`` see ``load_model_folder``.

        Raises:
            CheckpointError: there is no model, or it is damaged.
            ConfigurationError: the folder is not on this machine, or the device cannot be used.
        """
        if not isinstance(folder, str | os.PathLike) or "://" in str(folder):
            raise ConfigurationError(f"cannot load a model from {folder!s}: give a local folder; one in a bucket must be downloaded first")
        device = usable_device(device)  # first: a large model takes a while
        return cls(load_model_folder(Path(folder), task), device)

    @torch.inference_mode()
    def encode(self, image: Image, texts: str | Iterable[str]) -> Features:
        """Fuse the image with each text.

        Raises:
            DataError: the image or a text cannot be used, as in all methods.
        """
        encoded, batch = self._image(image), self._texts(_some(texts))
        text, pooled = self._fuse(encoded, batch)
        return Features(encoded, text, batch.token_mask, pooled)

    @torch.inference_mode()
    def match(self, image: Image, texts: str | Iterable[str]) -> list[float]:
        """Return the probability that each text describes the image, 0 to 1, in the order of the texts; a list of one for a single string.

        Raises:
            ConfigurationError: the model was not pre-trained to match.
        """
        matching = self._pretrained().matching
        if matching is None:
            raise ConfigurationError("this model was pre-trained without image-text matching (pretext.weights.itm was 0)")
        encoded, found = self._image(image), _some(texts)
        logits = [matching(self._fuse(encoded, self._texts(part))[1]) for part in _parts(found)]
        return [score for part in logits for score in part.double().softmax(-1)[:, 1].tolist()]

    @torch.inference_mode()
    def findings(self, image: Image, semantic_types: str | Iterable[str] | None = None) -> list[tuple[str, float]]:
        """Return what the image shows: entity names with probabilities, the most likely first.

        Args:
            image: the image.
            semantic_types: semantic type, or types, of the entities to score; by default those that counted as findings in training. Empty
                for all.

        Raises:
            ConfigurationError: the model was not pre-trained to align images with entities, or has no entity of one of the types.
        """
        alignment = self._pretrained().image_alignment
        if alignment is None:
            raise ConfigurationError("this model was pre-trained without alignment (pretext.weights.align was 0)")
        wanted = self.config.finding_types if semantic_types is None else given_texts(semantic_types, "semantic type")
        chosen = self.bundle.entities_of_types(wanted)
        probabilities = alignment(self._image(image), self._graph)[0].double().sigmoid().tolist()
        return _ranked((self.bundle.entities[entity].name, probabilities[entity]) for entity in chosen)

    def answer(self, image: Image, question: str) -> str:
        """Return the most likely answer to a question about the image.

        Raises:
            ConfigurationError: the model was not fine-tuned to answer questions.
        """
        return self.answers(image, question)[0][0]

    @torch.inference_mode()
    def answers(self, image: Image, question: str) -> list[tuple[str, float]]:
        """Return all answers in the vocabulary with their probabilities, the most likely first. See ``answer``."""
        if not isinstance(self.module, QuestionAnsweringModule):
            raise ConfigurationError("this model was not fine-tuned to answer questions: export a run of jobs/finetune.py")
        _, pooled = self._fuse(self._image(image), self._texts([given_text(question, "question")]))
        probabilities = self.module.answering(pooled)[0].double().sigmoid().tolist()
        return _ranked(zip(self.config.targets[ANSWERS], probabilities, strict=True))

    def entities(self, text: str) -> list[str]:
        """Return the names of the entities that the text mentions, in text order."""
        return [self.bundle.entities[entity].name for _, _, entity in self._spans(given_text(text))]

    @cached_property
    def _graph(self) -> Tensor:
        """[N, K]: the knowledge graph, which no image or text changes."""
        return self.module.arl.knowledge()

    def _pretrained(self) -> PretrainingModule:
        if not isinstance(self.module, PretrainingModule):
            raise ConfigurationError("this model was fine-tuned on another task; export its pre-training run to rank texts or findings")
        return self.module

    def _image(self, image: Image) -> Tensor:
        """[1, I, H]: one image through its encoder."""
        try:
            pixels = decode_image(given_image(image), self.config.image)
        except UndecodableImage as error:
            named = f" {image!s}" if isinstance(image, str | os.PathLike) else ""
            raise DataError(f"the image{named} cannot be decoded ({error.reason}): give a JPEG or PNG file, or a Pillow image") from error
        arl = self.module.arl
        return arl.encode_images(arl.vision.normalise(torch.tensor(pixels, device=self.device)[None]))

    def _texts(self, texts: Sequence[str]) -> Batch:
        """Tokenize and link the texts, as in training; the rows have no image."""
        rows = [
            StreamRow(position=index, epoch=0, key=str(index), shard="", image=b"", text=text, spans=self._spans(text), image_entities=())
            for index, text in enumerate(texts)
        ]
        encoded = encode_texts(self._collate.tokenizer, rows, self.config.text.maximum_tokens)
        return Batch(**self._collate.common_fields(rows, encoded)).to(self.device)

    def _spans(self, text: str) -> tuple[tuple[int, int, int], ...]:
        return tuple((span.start, span.end, self.bundle.entity_ids[span.concept]) for span in leftmost_longest(self._linker.link(text)))

    def _fuse(self, image_1IH: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the text stream [T, L, H] and pooled pair [T, 2H] of the image with every text."""
        arl = self.module.arl
        text = arl.encode_texts(batch.token_ids, batch.token_mask)
        image = image_1IH.expand(len(batch), -1, -1)
        return arl.fuse(arl.streams(text, image, self._graph, batch.token_mask, batch.entity_ids, batch.entity_mask, batch.entity_tokens))


def usable_device(device: torch.device | str) -> torch.device:
    """Return the torch device.

    Raises:
        ConfigurationError: there is no such device on this machine.
    """
    usable = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    with plain_reasons(lambda why: ConfigurationError(f"device {device!r} cannot be used here ({why}): take one of {', '.join(usable)}")):
        found = torch.device(device)
        torch.zeros(1, device=found).cpu()  # many devices have a name but no implementation
        return found


def _some(texts: str | Iterable[str]) -> list[str]:
    found = given_texts(texts)
    if not found:
        raise DataError("give at least one text")
    return found


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        yield texts[start : start + _TEXTS_AT_ONCE]


def _ranked(scored: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(scored, key=lambda pair: -pair[1])
