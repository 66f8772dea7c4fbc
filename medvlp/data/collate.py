"""Collate rows of the stream to typed batches: decode, tokenize, mask, pad. Every draw is keyed, so any worker gives the same result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch

from medvlp.data.batch import Batch, PretrainBatch, padded, padded_bool
from medvlp.data.image import ImageConfig, decode_image
from medvlp.data.masking import IGNORED, MaskedText, MaskingConfig, mask_text
from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.rgb import UndecodableImage
from medvlp.data.sample import StreamRow
from medvlp.data.text import EncodedText, TextConfig, encode_texts, padded_width

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase  # takes seconds, and drivers import this module for ``Negatives``

Negatives = Literal["same_modality", "any", "corpus"]
"""Source of negative images: another row of the batch, of the same modality or any, or the whole corpus."""
IMAGE_ENTITY_MULTIPLE = 8


class Collate(Protocol):
    """Collates rows to a batch. Picklable: the processes that decode get a copy."""

    def __call__(self, rows: Sequence[StreamRow]) -> Batch:
        """Return the batch."""
        ...


@dataclass(frozen=True)
class CommonCollate:
    """The part of a row that every task needs: image, tokens and entities."""

    tokenizer: "PreTrainedTokenizerBase"
    image: ImageConfig
    text: TextConfig
    seed: int
    augment: bool
    """Random crops (training) or centre crops (validation)."""

    def common_fields(self, rows: Sequence[StreamRow], texts: list[EncodedText]) -> dict[str, Any]:
        """Return the fields of ``Batch``."""
        decoded = list(map(self._decode, rows))
        images, weight = self._stack(decoded)
        width = padded_width(max(len(text.token_ids) for text in texts), self.text)
        ids = padded([text.token_ids for text in texts], width, self.tokenizer.pad_token_id)
        lengths = torch.tensor([len(text.token_ids) for text in texts])
        entities = [[entity.entity for entity in text.entities] for text in texts]
        return {
            "images": images,
            "token_ids": ids,
            "token_mask": torch.arange(width) < lengths[:, None],
            "entity_ids": padded(entities, self.text.maximum_entities, 0),
            "entity_mask": padded_bool([[True] * len(ids) for ids in entities], self.text.maximum_entities),
            "entity_tokens": self._entity_tokens(texts, width),
            "weight": weight,
            "modalities": tuple(row.modality for row in rows),
            "keys": tuple(row.key for row in rows),
            "skipped": tuple((row.shard, image) for row, image in zip(rows, decoded, strict=True) if isinstance(image, str)),
        }

    def _stack(self, decoded: Sequence[np.ndarray | str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images, uint8 [B, 3, S, S], and weights, float32 [B]: a missing image is black and has weight 0."""
        images = np.zeros((len(decoded), 3, self.image.size, self.image.size), dtype=np.uint8)
        for index, image in enumerate(decoded):
            if isinstance(image, np.ndarray):
                images[index] = image
        return torch.from_numpy(images), torch.tensor([float(isinstance(image, np.ndarray)) for image in decoded])

    def _decode(self, row: StreamRow) -> np.ndarray | str:
        """Decode the image of a row; return the reason if that fails."""
        generator = keyed_generator(self.seed, Purpose.AUGMENTATION, row.epoch, row.key) if self.augment else None
        try:
            return decode_image(row.image, self.image, generator)
        except UndecodableImage as error:
            return error.reason

    def _entity_tokens(self, texts: list[EncodedText], width: int) -> torch.Tensor:
        covered = np.zeros((len(texts), self.text.maximum_entities, width), dtype=bool)
        for index, text in enumerate(texts):
            for slot, entity in enumerate(text.entities[: self.text.maximum_entities]):
                covered[index, slot, entity.first : entity.stop] = True
        return torch.from_numpy(covered)


@dataclass(frozen=True)
class PretrainCollate(CommonCollate):
    """Collates rows to a ``PretrainBatch``. Without ``augment``, masks and partners are the same in every epoch."""

    masking: MaskingConfig
    negatives: Negatives

    def __call__(self, rows: Sequence[StreamRow]) -> PretrainBatch:
        """See ``Collate``."""
        texts = encode_texts(self.tokenizer, rows, self.text.maximum_tokens)
        fields = self.common_fields(rows, texts)
        width = fields["token_ids"].shape[1]
        slots = self.masking.slots(self.text.maximum_tokens)
        masked = [self._mask(row, text) for row, text in zip(rows, texts, strict=True)]
        most = max(len(row.image_entities) for row in rows)
        generator = keyed_generator(self.seed, Purpose.PARTNERS, rows[0].position)
        usable = fields["weight"].numpy() > 0
        partner, has_partner = choose_partners([row.modality for row in rows], usable, generator, self.negatives)
        matched = choose_matched(partner, generator)
        # A row whose partner comes after the batch has its own negative image.
        own = np.flatnonzero(~matched & (partner >= len(rows)))
        partner[own] = len(rows) + np.arange(len(own))
        negatives = [replace(rows[index], image=rows[index].negative_image) for index in own.tolist()]
        negative_images, negative_weight = self._stack(list(map(self._decode, negatives)))
        return PretrainBatch(
            **fields,
            masked_token_ids=padded([text.token_ids for text in masked], width, self.tokenizer.pad_token_id),
            masked_positions=padded([text.positions for text in masked], slots, 0),
            masked_labels=padded([text.labels for text in masked], slots, IGNORED),
            masked_in_entity=padded_bool([text.in_entity for text in masked], slots),
            entity_kept=padded_bool([text.entity_kept for text in masked], self.text.maximum_entities),
            image_entities=padded([row.image_entities for row in rows], -(-most // IMAGE_ENTITY_MULTIPLE) * IMAGE_ENTITY_MULTIPLE, -1),
            negative_images=negative_images,
            negative_weight=negative_weight,
            partner=torch.from_numpy(partner),
            has_partner=torch.from_numpy(has_partner),
            matched=torch.from_numpy(matched),
        )

    def _mask(self, row: StreamRow, text: EncodedText) -> MaskedText:
        epoch = row.epoch if self.augment else 0
        return mask_text(
            text,
            self.masking,
            maximum_tokens=self.text.maximum_tokens,
            mask_id=self.tokenizer.mask_token_id,
            vocabulary=len(self.tokenizer),
            generator=keyed_generator(self.seed, Purpose.MASKING, epoch, row.key),
        )


def choose_partners(
    modalities: Sequence[str], usable: np.ndarray, generator: np.random.Generator, negatives: Negatives
) -> tuple[np.ndarray, np.ndarray]:
    """Choose another row for each row, and return whether it has the same modality.

    Rows are paired in random cycles within each group, so no row is its own partner and no image is preferred. A row that is alone in its
    group gets a row of the whole batch, and itself only if it is the only one. With negatives from the corpus, the partner of every row
    comes after the batch.
    """
    everyone = np.arange(len(modalities))
    if negatives == "corpus":
        return np.full_like(everyone, len(everyone)), np.zeros(len(everyone), dtype=bool)
    names = np.array(modalities)
    partner = _cycle(np.flatnonzero(usable), generator, everyone)
    if negatives == "same_modality":
        for modality in dict.fromkeys(modalities):
            members = np.flatnonzero((names == modality) & usable)
            if len(members) > 1:
                partner = _cycle(members, generator, partner)
    has_partner = usable & usable[partner] & (names[partner] == names) & (partner != everyone)
    return partner, has_partner


def choose_matched(partner: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Choose half of the rows, and all rows that are their own partner, whose image would otherwise be a false negative."""
    half = generator.permutation(len(partner)) < len(partner) // 2
    return half | (partner == np.arange(len(partner)))


def _cycle(members: np.ndarray, generator: np.random.Generator, partner: np.ndarray) -> np.ndarray:
    """Return ``partner`` with ``members`` joined in one random cycle."""
    order = generator.permutation(members)
    joined = partner.copy()
    joined[order] = np.roll(order, -1)
    return joined
