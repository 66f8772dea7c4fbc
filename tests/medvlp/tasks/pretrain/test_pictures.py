"""Pictures: which there are, and what they show."""

from dataclasses import replace

import numpy as np
import torch

from medvlp.tasks.pretrain.pictures import pretraining_pictures, to_pixels
from tests.medvlp.tiny import NAMES, bundle, model_config, pretrain_batch, pretraining_module


def test_every_built_objective_has_its_picture() -> None:
    batch = pretrain_batch(4)
    assert set(pretraining_pictures(pretraining_module().eval(), batch, bundle())) == {"entity_attention", "reconstruction"}
    assert set(pretraining_pictures(pretraining_module(mim=0).eval(), batch, bundle())) == {"entity_attention"}


def test_without_a_knowledge_path_there_is_no_attention_to_show() -> None:
    config = model_config()
    task = pretraining_module(replace(config, fusion=replace(config.fusion, layers=1)), mim=0)
    assert pretraining_pictures(task.eval(), pretrain_batch(2), bundle()) == {}


def test_the_reconstruction_shows_the_images_and_the_patches_that_were_seen() -> None:
    task, batch = pretraining_module().eval(), pretrain_batch(3)
    torch.manual_seed(0)
    figure = pretraining_pictures(task, batch, bundle())["reconstruction"]
    rows = [[axis.images[0].get_array() for axis in figure.axes[start : start + 6] if axis.images] for start in (0, 6, 12)]
    assert [len(row) for row in rows] == [3, 3, 3]
    for image, seen, drawn, pixels in zip(*rows, batch.images, strict=True):
        assert np.allclose(image, pixels.permute(1, 2, 0) / 255, atol=1e-5)
        places = [(slice(y, y + 8), slice(x, x + 8)) for y in (0, 8) for x in (0, 8)]
        hidden = [place for place in places if not np.allclose(seen[place], image[place])]
        assert len(hidden) == 2
        for place in hidden:
            assert np.ptp(seen[place], axis=(0, 1)).max() < 1e-6
            assert np.ptp(drawn[place]) > 0
            seen[place] = drawn[place] = 0
        assert np.allclose(seen, drawn, atol=1e-5)


def test_the_attention_names_the_rarest_entity_of_each_usable_text() -> None:
    # Later names of the tiny bundle are rarer.
    batch = pretrain_batch(4, broken=(1,))
    figure = pretraining_pictures(pretraining_module().eval(), batch, bundle())["entity_attention"]
    titles = [axis.get_title() for axis in figure.axes[:6]]
    expected = [NAMES[int(batch.entity_ids[row][batch.entity_mask[row]].max())] for row in (0, 2, 3)]
    assert titles == [*expected, "", "", ""]


def test_pixels_come_back() -> None:
    task, batch = pretraining_module(), pretrain_batch(2)
    pixels = to_pixels(task, task.arl.vision.normalise(batch.images))
    assert np.allclose(pixels * 255, batch.images.permute(0, 2, 3, 1), atol=1e-3)
