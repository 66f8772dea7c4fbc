"""The module of pre-training: the model with all its objectives, run in one forward.

Every distinct input is encoded once and the graph is attended once. Every built head runs in every step in the same
order, whatever the data: ZeRO-3 gathers parameters by that order.

Shapes as in ``medvlp.model.arl``; M masked slots, P patches, Q negatives drawn from the corpus.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from medvlp.data.batch import PretrainBatch
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.arl import ARL, Streams, initialise
from medvlp.model.config import ARLConfig
from medvlp.model.vision import patchify
from medvlp.tasks.module import TaskModule, TaskOutput
from medvlp.tasks.pretrain.alignment import AlignmentHead, alignment_loss, multi_hot
from medvlp.tasks.pretrain.config import Objective
from medvlp.tasks.pretrain.masked_image import MaskedImageHead, masked_image_loss, patch_order
from medvlp.tasks.pretrain.masked_language import MaskedLanguageHead, masked_language_loss
from medvlp.tasks.pretrain.matching import MatchingHead, matching_images, matching_loss
from medvlp.tasks.pretrain.task import Pretraining


@dataclass(frozen=True)
class Encoded:
    """A batch after its encoders, and the graph."""

    pixels: Tensor
    """[B, 3, S, S], normalised."""
    shown: Tensor
    """[B + Q, I, H]: the images, then the negatives drawn from the corpus."""
    image: Tensor
    """[B, I, H]: the images."""
    text: Tensor
    masked_text: Tensor
    graph: Tensor


class PretrainingModule(TaskModule):
    """ARL with the heads of its objectives."""

    def __init__(self, model: ARLConfig, pretext: Pretraining, bundle: KnowledgeBundle, *, vocabulary: int, padding_id: int):
        super().__init__()
        self.pretext = pretext
        self.arl = ARL(model, bundle, vocabulary=vocabulary, padding_id=padding_id)
        width, built = model.fusion.width, pretext.weights.built()
        patch_values = 3 * model.vision.patch**2
        self.masked_language = MaskedLanguageHead(width, vocabulary) if Objective.MLM in built else None
        self.masked_image = (
            MaskedImageHead(pretext.masked_image, width, model.vision.patches, patch_values) if Objective.MIM in built else None
        )
        self.matching = MatchingHead(width) if Objective.ITM in built else None
        self.image_alignment = AlignmentHead(width, self.arl.knowledge.width) if Objective.ALIGN in built else None
        self.text_alignment = AlignmentHead(width, self.arl.knowledge.width) if Objective.ALIGN in built else None
        for head in (self.masked_language, self.masked_image, self.matching, self.image_alignment, self.text_alignment):
            if head is not None:
                initialise(head, model.initial_deviation)

    def forward(self, batch: PretrainBatch) -> TaskOutput:
        """Return total and parts of the loss. Patch masks and dropout use torch's generator: seed it per micro-batch."""
        return self.objectives(batch, self.encode(batch))

    def objectives(self, batch: PretrainBatch, encoded: Encoded) -> TaskOutput:
        """Compute ``forward`` on an encoded batch."""
        losses: dict[Objective, Tensor] = {}
        self._fused_losses(batch, encoded, losses)
        if self.masked_image is not None:
            losses[Objective.MIM] = self._masked_image_loss(batch, encoded)
        if self.image_alignment is not None and self.text_alignment is not None:
            image, text = self.alignment(encoded)
            image_labels, text_labels = self.alignment_labels(batch)
            losses[Objective.ALIGN] = alignment_loss(image, image_labels, batch.weight) + alignment_loss(text, text_labels, batch.weight)
        weights, built = self.pretext.weights.by_objective(), self.pretext.weights.built()
        total = torch.stack([weights[objective] * losses[objective] for objective in built]).sum()
        return TaskOutput(total, {objective.value: losses[objective].detach() for objective in built})

    def encode(self, batch: PretrainBatch) -> Encoded:
        """Encode image, text and masked text, and pass over the graph once."""
        pixels = self.arl.vision.normalise(torch.cat([batch.images, batch.negative_images]))
        shown = self.arl.encode_images(pixels)
        both = self.arl.encode_texts(torch.cat([batch.token_ids, batch.masked_token_ids]), torch.cat([batch.token_mask] * 2))
        text, masked_text = both.chunk(2)
        own = len(batch)
        return Encoded(pixels[:own], shown, shown[:own], text, masked_text, self.arl.knowledge())

    def masked_streams(self, batch: PretrainBatch, encoded: Encoded, image: Tensor) -> Streams:
        """Return the streams of the masked text with ``image``; the knowledge stream sees no entity to be predicted."""
        kept = batch.entity_mask & batch.entity_kept
        return self.arl.streams(encoded.masked_text, image, encoded.graph, batch.token_mask, batch.entity_ids, kept, batch.entity_tokens)

    def text_streams(self, batch: PretrainBatch, encoded: Encoded, image: Tensor) -> Streams:
        """Return the streams of the unmasked text with ``image``."""
        return self.arl.streams(
            encoded.text, image, encoded.graph, batch.token_mask, batch.entity_ids, batch.entity_mask, batch.entity_tokens
        )

    def alignment(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """Return logits [B, N] of image and text against all entities."""
        assert self.image_alignment is not None
        assert self.text_alignment is not None
        return self.image_alignment(encoded.image, encoded.graph), self.text_alignment(encoded.text, encoded.graph)

    def alignment_labels(self, batch: PretrainBatch) -> tuple[Tensor, Tensor]:
        """Return labels, float32 [B, N] each: entities of all texts of the image, and of this text."""
        count = len(self.arl.knowledge.entity_ids_N)
        image = multi_hot(batch.image_entities, batch.image_entities >= 0, count)
        return image, multi_hot(batch.entity_ids, batch.entity_mask, count)

    def _fused_losses(self, batch: PretrainBatch, encoded: Encoded, losses: dict[Objective, Tensor]) -> None:
        """Compute masked language and matching losses in one fusion pass over the rows of both."""
        rows = []
        if self.masked_language is not None:
            rows.append(self.masked_streams(batch, encoded, encoded.image))
        if self.matching is not None:
            image = matching_images(encoded.shown, batch.partner, batch.matched)
            rows.append(self.text_streams(batch, encoded, image))
        if not rows:
            return
        text, pooled = self.arl.fuse(Streams.cat(rows), pooled_rows=len(batch))
        if self.masked_language is not None:
            logits = self.masked_language(text[: len(batch)], batch.masked_positions)
            losses[Objective.MLM] = masked_language_loss(logits, batch.masked_labels, batch.weight)
        if self.matching is not None:
            # An undecodable negative has weight zero, like a row without an image.
            counted = batch.weight * torch.cat([batch.weight, batch.negative_weight])[batch.partner]
            losses[Objective.ITM] = matching_loss(self.matching(pooled), batch.matched, counted)

    def _masked_image_loss(self, batch: PretrainBatch, encoded: Encoded) -> Tensor:
        predicted, kept, restore = self.reconstruct(batch, encoded)
        patches = patchify(encoded.pixels, self.arl.vision.patch)
        return masked_image_loss(predicted, patches, restore, kept.shape[1], batch.weight)

    def reconstruct(self, batch: PretrainBatch, encoded: Encoded) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct all patches from a random quarter of them and the text: predicted [B, P, X], kept [B, K], restore [B, P]."""
        assert self.masked_image is not None
        noise = torch.rand(len(batch), self.arl.config.vision.patches, device=batch.images.device)
        kept, restore = patch_order(noise, self.pretext.masked_image.share)
        streams = self.text_streams(batch, encoded, self.arl.encode_images(encoded.pixels, kept))
        layers = self.pretext.masked_image.layer
        features = self.arl.fusion.image_features(streams.text, streams.image, streams.entities, streams.context, layers)
        return self.masked_image(features, restore), kept, restore
