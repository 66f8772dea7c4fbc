"""Batches of random numbers, to count costs before any data is read and to measure the speed without reading."""

import torch

from medvlp.data.batch import PretrainBatch
from medvlp.data.masking import IGNORED


def synthetic_batch(
    size: int,
    *,
    image_size: int,
    width: int,
    entities: int,
    slots: int,
    vocabulary: int,
    graph: int,
    seed: int = 0,
    corpus_negatives: bool = False,
) -> PretrainBatch:
    """Return a ``PretrainBatch`` of ``size`` samples with ``width`` tokens, ``entities`` entities and ``slots`` masked tokens per text."""
    generator = torch.Generator().manual_seed(seed)

    def integers(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(high, shape, generator=generator)

    positions = torch.stack([torch.randperm(width, generator=generator)[:slots].sort().values for _ in range(size)])
    tokens = integers(vocabulary, size, width)
    covered = torch.zeros(size, entities, width, dtype=torch.bool)
    for slot in range(min(entities, width)):
        covered[:, slot, slot] = True
    labels = tokens.gather(1, positions)
    labels[:, -1] = IGNORED
    matched, partner = torch.arange(size) < size // 2, torch.arange(size).roll(1)
    negatives = size - size // 2 if corpus_negatives else 0
    if corpus_negatives:
        partner[~matched] = size + torch.arange(negatives)
    return PretrainBatch(
        images=integers(256, size, 3, image_size, image_size).to(torch.uint8),
        token_ids=tokens,
        token_mask=torch.ones(size, width, dtype=torch.bool),
        entity_ids=integers(graph, size, entities),
        entity_mask=torch.arange(entities).expand(size, -1) < max(1, entities // 2),
        entity_tokens=covered,
        weight=torch.ones(size),
        modalities=("",) * size,
        keys=tuple(str(index) for index in range(size)),
        skipped=(),
        masked_token_ids=integers(vocabulary, size, width),
        masked_positions=positions,
        masked_labels=labels,
        masked_in_entity=torch.zeros(size, slots, dtype=torch.bool),
        entity_kept=torch.arange(entities).expand(size, -1) % 2 == 0,
        image_entities=integers(graph, size, entities),
        negative_images=torch.zeros(negatives, 3, image_size, image_size, dtype=torch.uint8),
        negative_weight=torch.ones(negatives),
        partner=partner,
        has_partner=torch.full((size,), size > 1),
        matched=matched,
    )
