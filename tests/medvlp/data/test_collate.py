"""Collate: the same rows give the same batch whoever collates them, and negatives are honest."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medvlp.data.batch import PretrainBatch
from medvlp.data.collate import choose_matched, choose_partners
from medvlp.data.image import decode_image
from medvlp.data.masking import IGNORED
from tests.medvlp import tiny
from tests.medvlp.tiny import IMAGE, TEXT, collate, pretrain_batch, stream_row, tokenizer

GROUPS = st.lists(st.tuples(st.sampled_from(["CT", "MR", "US"]), st.booleans()), min_size=1, max_size=20)


def assert_same(first: PretrainBatch, second: PretrainBatch) -> None:
    for field in fields(PretrainBatch):
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, field.name


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(6)), taken=st.integers(1, 6))
def test_what_belongs_to_a_sample_does_not_depend_on_its_company(order: list[int], taken: int) -> None:
    rows = [stream_row(position, text="" if position % 2 else "a left cyst") for position in range(6)]
    whole, part = collate()(rows), collate()([rows[index] for index in order[:taken]])
    width = part.token_ids.shape[1]
    for name in ("images", "weight", "entity_ids", "entity_mask", "entity_kept", "masked_positions", "masked_labels", "masked_in_entity"):
        assert torch.equal(getattr(whole, name)[order[:taken]], getattr(part, name)), name
    for name in ("token_ids", "token_mask", "masked_token_ids", "entity_tokens"):
        cut = getattr(whole, name)[order[:taken]]
        assert torch.equal(cut[..., :width], getattr(part, name)), name


def test_training_draws_anew_in_every_epoch_and_validation_never() -> None:
    first, second = ([stream_row(position, epoch=epoch) for position in range(8)] for epoch in (0, 1))
    assert not torch.equal(collate()(first).images, collate()(second).images)
    assert not torch.equal(collate()(first).masked_token_ids, collate()(second).masked_token_ids)
    assert_same(collate(augment=False)(first), collate(augment=False)(second))


def test_the_seed_draws_masks() -> None:
    rows = [stream_row(position) for position in range(8)]
    assert not torch.equal(collate()(rows).masked_token_ids, collate(seed=1)(rows).masked_token_ids)


def test_fields_say_what_the_rows_say() -> None:
    rows = [stream_row(3, "a cyst", "CT"), stream_row(4, "there is a left effusion and a pneumothorax and a stone", "MR")]
    batch = collate(augment=False)(rows)
    assert batch.keys == ("000000003", "000000004")
    assert batch.modalities == ("CT", "MR")
    assert batch.images.dtype == torch.uint8
    assert np.array_equal(batch.images[1].numpy(), decode_image(rows[1].image, IMAGE))
    assert batch.token_ids.shape[1] % TEXT.width_multiple == 0
    for row, ids, mask in zip(rows, batch.token_ids, batch.token_mask, strict=True):
        assert ids[mask].tolist() == tokenizer()(row.text).input_ids
        assert set(ids[~mask].tolist()) <= {tokenizer().pad_token_id}
    assert batch.entity_ids[1][batch.entity_mask[1]].tolist() == [0, 7, 4]
    names = [tokenizer().decode(batch.token_ids[1][covered]).strip() for covered in batch.entity_tokens[1, :3]]
    assert names == ["effusion", "pneumothorax", "stone"]
    assert not batch.entity_tokens[~batch.entity_mask].any()
    assert [row[row >= 0].tolist() for row in batch.image_entities] == [[0, 3], [0, 1, 4, 7]]


def test_masked_slots_point_at_masked_tokens() -> None:
    batch = pretrain_batch(8)
    used = batch.masked_labels != IGNORED
    assert used.any(1).all()
    assert torch.equal(batch.token_ids.gather(1, batch.masked_positions)[used], batch.masked_labels[used])
    changed = batch.token_ids != batch.masked_token_ids
    slots = torch.zeros_like(changed).scatter_(1, batch.masked_positions, used)
    assert (changed <= slots).all()
    lost = (batch.entity_tokens & slots[:, None]).any(-1)
    assert torch.equal(batch.entity_kept[batch.entity_mask], ~lost[batch.entity_mask])


def test_entities_beyond_the_maximum_are_cut() -> None:
    text = "effusion nodule mass cyst stone fracture"
    batch = collate(text=replace(TEXT, maximum_tokens=40, maximum_entities=4))([stream_row(0, text)])
    assert batch.entity_ids.tolist() == [[0, 1, 2, 3]]
    assert batch.entity_kept.shape == batch.entity_mask.shape == (1, 4)


def test_no_entity_at_all_is_a_batch_too() -> None:
    row = replace(stream_row(0, "nothing to see here"), image_entities=())
    batch = collate()([row])
    assert batch.image_entities.shape == (1, 0)
    assert not batch.entity_mask.any()


def test_an_undecodable_image_keeps_its_slot_with_weight_zero() -> None:
    batch = pretrain_batch(6, broken=(1, 4))
    assert batch.weight.tolist() == [1, 0, 1, 1, 0, 1]
    assert batch.skipped == (("train-00000.tar", "image does not decode"),) * 2
    assert not batch.images[[1, 4]].any()
    assert not set(batch.partner[batch.weight > 0].tolist()) & {1, 4}
    assert not batch.has_partner[[1, 4]].any()


@given(groups=GROUPS, seed=st.integers(0, 99), negatives=st.sampled_from(["same_modality", "any"]))
def test_partners(groups: list[tuple[str, bool]], seed: int, negatives: str) -> None:
    modalities, usable = [name for name, _ in groups], np.array([fine for _, fine in groups])
    partner, has_partner = choose_partners(modalities, usable, np.random.default_rng(seed), negatives)
    for row, (other, has) in enumerate(zip(partner.tolist(), has_partner.tolist(), strict=True)):
        assert usable[other] or not usable[row]
        assert has == (usable[row] and usable[other] and other != row and modalities[other] == modalities[row])
        company = [index for index in np.flatnonzero(usable) if index != row]
        if usable[row] and company:
            assert other != row
        if usable[row] and negatives == "same_modality":
            assert has == any(modalities[index] == modalities[row] for index in company)


@given(size=st.integers(2, 12), seed=st.integers(0, 20))
def test_every_image_is_a_partner_once(size: int, seed: int) -> None:
    partner, _ = choose_partners(["CT"] * size, np.ones(size, bool), np.random.default_rng(seed), "same_modality")
    assert sorted(partner.tolist()) == list(range(size))


def test_all_partners_are_drawn() -> None:
    drawn = {choose_partners(["CT"] * 4, np.ones(4, bool), np.random.default_rng(seed), "any")[0][0] for seed in range(50)}
    assert drawn == {1, 2, 3}


@pytest.mark.parametrize("size", [2, 3, 6, 7])
def test_half_of_the_rows_are_matched(size: int) -> None:
    drawn = [choose_matched(np.roll(np.arange(size), 1), np.random.default_rng(seed)) for seed in range(60)]
    assert {int(matched.sum()) for matched in drawn} == {size // 2}
    assert np.mean(drawn, axis=0) == pytest.approx(size // 2 / size, abs=0.25)


def test_nobody_is_told_that_its_own_image_is_a_wrong_one() -> None:
    alone = collate()([stream_row(0)])
    assert alone.partner.tolist() == [0]
    assert alone.matched.tolist() == [True]
    batch = pretrain_batch(8, broken=(1, 2, 3))
    assert batch.matched[batch.partner == torch.arange(8)].all()


@pytest.mark.parametrize("negatives", ["same_modality", "any"])
def test_training_negatives_follow_the_setting(negatives: str) -> None:
    rows = [stream_row(position, modality=("CT", "MR")[position % 2]) for position in range(12)]
    batches = [collate(seed=seed, negatives=negatives)(rows) for seed in range(4)]
    assert all(batch.has_partner.all() for batch in batches) == (negatives == "same_modality")


def test_negatives_of_the_corpus_come_beside_the_batch() -> None:
    rows = [replace(stream_row(position), negative_image=tiny.encoded_image(100 + position)) for position in range(5)]
    batch = collate(augment=False, negatives="corpus")(rows)
    unmatched = (~batch.matched).nonzero()[:, 0].tolist()
    assert len(unmatched) == len(batch.negative_images) == 3
    assert sorted(batch.partner[unmatched].tolist()) == [5, 6, 7]
    for row in unmatched:
        shown = batch.negative_images[int(batch.partner[row]) - 5]
        assert np.array_equal(shown.numpy(), decode_image(rows[row].negative_image, IMAGE))
    assert batch.negative_weight.tolist() == [1, 1, 1]


def test_a_negative_that_does_not_decode_weighs_nothing() -> None:
    batch = collate(negatives="corpus")([stream_row(position) for position in range(4)])
    assert batch.negative_weight.tolist() == [0, 0]
    assert batch.skipped == ()
