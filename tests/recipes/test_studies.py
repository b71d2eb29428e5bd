"""What the studies find, against theory."""

import csv
import functools
import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from jaxdl.config import load_config
from jaxdl.diagnose import activation_statistics
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS
from jaxdl.recipes.activation_study import study_activations
from jaxdl.recipes.init_study import study_initialization
from jaxdl.recipes.receptive_field import study_receptive_fields
from jaxdl.recipes.study_configs import (
    ActivationStudyConfig,
    InitStudyConfig,
    ReceptiveFieldConfig,
)
from jaxdl.recipes.study_inputs import draw_variables
from jaxdl.train import RunFolder
from jaxdl.weights import to_torch_state


def run_study(study, schema, folder, *overrides):
    """Rows of the table and the summary."""
    run = RunFolder(folder)
    assert study(load_config(schema, None, overrides), run) == 0
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file)), json.loads(run.summary.read_text())


def test_init_study_finds_collapse_explosion_and_balance(tmp_path):
    width = 2048
    rows, summary = run_study(
        study_initialization,
        InitStudyConfig,
        tmp_path,
        f"dense.width={width}",
        "dense.depth=3",
        "dense.initializers=[normal_0.01, normal_0.05, kaiming_normal_fan_in]",
        "network.name=null",
    )
    # ReLU halves the mean square; a layer multiplies it by width * std^2.
    stds = (0.01, 0.05, math.sqrt(2 / width))
    for std, variant in zip(stds, summary["results"], strict=True):
        found = [float(r["std"]) for r in rows if r["variant"] == variant["variant"]]
        squares = [width * std**2 * (width * std**2 / 2) ** n for n in range(3)]
        # Half of a normal variable: its mean square is 1/2, its mean 1/sqrt(2 pi).
        expected = [math.sqrt(s * (1 / 2 - 1 / (2 * math.pi))) for s in squares]
        np.testing.assert_allclose(found, expected, rtol=0.1)
    assert [r["within_2x"] for r in summary["results"]] == [False, False, True]
    assert {p.name for p in tmp_path.glob("*.png")} == {
        "dense_std.png",
        "histograms.png",
    }


def test_init_study_names_an_initialization_the_network_does_not_have(tmp_path):
    overrides = ["network.name=resnet8_cifar", "network.initialization=torchvision"]
    overrides += ["dense.width=2", "dense.depth=1"]
    config = load_config(InitStudyConfig, None, overrides)
    with pytest.raises(ConfigError, match="network.initialization: .*torchvision"):
        study_initialization(config, RunFolder(tmp_path))


def measure_blocks(name, *, side, zero_init_residual):
    """Deviations of the blocks' outputs in training, on noise of deviation 1."""
    model = MODELS[name](num_classes=2, zero_init_residual=zero_init_residual)
    images = jax.random.normal(jax.random.key(0), (4, side, side, 3))
    variables = draw_variables(model, images, key=jax.random.key(1))
    found = activation_statistics(model, variables, images, train=True)
    return [s.std for n, s in found.items() if re.search(r"block\d+$", n)]


def test_zero_gamma_keeps_the_deviation_through_a_resnet():
    stds = measure_blocks("resnet18", side=64, zero_init_residual=True)
    assert 0.5 <= min(stds) <= max(stds) <= 2
    # From the second stage on, projections reset the stream to ReLU of a normal
    # variable; the blocks after them leave it alone.
    np.testing.assert_allclose(
        stds[2:], math.sqrt(1 / 2 - 1 / (2 * math.pi)), rtol=0.03
    )


@pytest.mark.slow
def test_activations_through_resnet152_stay_within_a_factor_of_two():
    stds = measure_blocks("resnet152", side=64, zero_init_residual=True)
    assert len(stds) == 50 and 0.5 <= min(stds) <= max(stds) <= 2
    # Without it each block of a stage adds variance to the stream.
    stds = measure_blocks("resnet152", side=64, zero_init_residual=False)
    assert 3 < max(stds) < 5 and np.argmax(stds) == 3 + 8 + 36 - 1


def test_activation_study_describes_the_functions(tmp_path):
    rows, _ = run_study(
        study_activations,
        ActivationStudyConfig,
        tmp_path,
        "dense.activations=[relu, sigmoid, gelu]",
        "dense.initializations=[kaiming]",
        "dense.width=64",
        "dense.depth=6",
        "images.batch_size=64",
    )
    relu, sigmoid, gelu = rows
    # Expectations over a standard normal variable, by a sum of float64 numbers.
    z = np.linspace(-12, 12, 200_000)
    density = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    slopes = {
        "relu": np.where(z > 0, 1.0, 0.0),
        "sigmoid": 1 / (2 + 2 * np.cosh(z)),
        "gelu": (1 + erf(z / math.sqrt(2))) / 2
        + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    }
    for row in rows:
        slope = slopes[row["activation"]]
        found = [float(row[name]) for name in ("saturation", "mean_square_derivative")]
        expected = [density @ (abs(slope) < 0.05), density @ slope**2]
        np.testing.assert_allclose(found, expected, rtol=1e-2)
        assert float(row["max_derivative"]) == pytest.approx(slope.max(), rel=1e-4)
    assert float(relu["gain_forward"]) == pytest.approx(math.sqrt(2), rel=1e-3)
    # Kaiming holds ReLU's gradient; sigmoid's loses a factor of 4 and more per layer.
    assert 0.4 < float(relu["gradient_ratio"]) < 2.5
    assert 0.15**5 < float(sigmoid["gradient_ratio"]) < 0.25**5
    assert float(sigmoid["dead_share"]) == float(gelu["dead_share"]) == 0
    assert {p.name for p in tmp_path.glob("*.png")} == {
        "functions.png",
        "gradients.png",
    }


def test_receptive_field_study_lists_measures_and_compares(tmp_path):
    rows, summary = run_study(
        study_receptive_fields,
        ReceptiveFieldConfig,
        tmp_path,
        "theoretical=[resnet8_cifar]",
        "effective=[plain8_cifar]",
        "stack.depth=3",
        "stack.channels=4",
        "images.image_size=41",
        "images.batch_size=4",
    )
    by_map = {(row["network"], row["map"]): row for row in rows}
    # 3x3 windows: stem, then two per block; the second and third stage stride first.
    for network in ("resnet8_cifar", "plain8_cifar"):
        sizes = [by_map[network, f"stage{n}"]["height"] for n in (1, 2, 3)]
        assert sizes == ["7", "13", "25"]
    assert by_map["resnet8_cifar", "logits"]["jump"] == ""
    last = by_map["plain8_cifar", "stage3"]
    assert 0 < float(last["radius_68"]) < float(last["radius_95"]) < 12.5 * math.sqrt(2)
    stack = summary["stacks"][-1]
    assert (stack["layers"], stack["receptive_field"]) == (3, 7)
    assert stack["stack_weights_per_channel_pair"] == 27
    assert stack["single_weights_per_channel_pair"] == 49
    assert (stack["stack_weights"], stack["single_weights"]) == (27 * 16, 49 * 16)
    with (tmp_path / "stacks.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"effective_fields.png", "growth.png"}


def test_receptive_field_study_names_weights_of_other_channels(tmp_path):
    model = MODELS["resnet8_cifar"](num_classes=2)
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), jnp.ones((1, 8, 8, 3)))
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    state = to_torch_state(variables, "resnet8_cifar")
    np.savez(tmp_path / "weights.npz", **state)
    overrides = ["theoretical=[]", "effective=[resnet8_cifar]", "stack.depth=1"]
    overrides += [f"weights=[{tmp_path / 'weights.npz'}]", "images.source=digits"]
    config = load_config(ReceptiveFieldConfig, None, overrides)
    with pytest.raises(ConfigError, match="other channels than 1, .*source=digits"):
        study_receptive_fields(config, RunFolder(tmp_path))
