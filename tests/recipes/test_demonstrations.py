import jax
import numpy as np
import pytest

from jaxdl.recipes.demonstrations import (
    draw_dropout,
    draw_pooled_axes,
    find_dropped,
    find_pooled,
    sample_dropout,
)

KEY = jax.random.key(3)

# Where examples, pixels and channels are pooled with the first activation: Wu and He
# 2018, figure 2; three of the six channels make a group.
POOLED = {
    "batch": (slice(None), slice(None), 0),
    "layer": (0, slice(None), slice(None)),
    "layer_channels": (0, 0, slice(None)),
    "instance": (0, slice(None), 0),
    "group": (0, slice(None), slice(0, 3)),
    "none": (0, 0, 0),
}


@pytest.mark.parametrize("norm", POOLED)
def test_find_pooled_sees_the_axes_of_the_paper(norm):
    found = find_pooled(norm, num_groups=2 if norm == "group" else None, key=KEY)
    wanted = np.zeros((4, 6, 6), bool)
    wanted[POOLED[norm]] = True
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("form", ["inverted", "classic"])
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_sample_dropout_has_the_mean_of_evaluation(form, rate):
    outputs = sample_dropout(form, rate=rate, key=KEY)
    error = outputs.training.std() / len(outputs.training) ** 0.5
    assert abs(outputs.training.mean() - outputs.evaluation) < 4 * error
    other = sample_dropout("inverted", rate=rate, key=KEY)
    scale = 1 - rate if form == "classic" else 1
    np.testing.assert_allclose(outputs.evaluation, scale * other.evaluation, rtol=1e-5)


def test_find_dropped_takes_values_or_channels():
    masks = np.array(find_dropped(spatial=False, rate=0.5, num_channels=8, key=KEY))
    assert masks.shape == (8, 8, 8) and 0.4 < masks.mean() < 0.6
    assert all(0 < mask.sum() < 64 for mask in masks)
    masks = np.array(find_dropped(spatial=True, rate=0.5, num_channels=8, key=KEY))
    assert {int(mask.sum()) for mask in masks} == {0, 64}


def test_pictures_are_drawn(tmp_path):
    draw_pooled_axes(tmp_path / "pooled.png")
    draw_dropout(tmp_path / "dropout.png")
    for name in ("pooled.png", "dropout.png"):
        assert (tmp_path / name).stat().st_size > 5000
