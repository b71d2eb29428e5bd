"""What activation functions do to activations and to gradients on their way back."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import Initializer

from jaxdl.diagnose import capture_outputs, output_gradients, root_mean_square
from jaxdl.layers import (
    ACTIVATIONS,
    calculate_gain,
    kaiming_normal,
    xavier_normal,
)
from jaxdl.losses import softmax_cross_entropy
from jaxdl.models.dense_stack import DenseStack
from jaxdl.recipes.study import finish_study
from jaxdl.recipes.study_configs import ActivationStudyConfig, DeepSection
from jaxdl.recipes.study_inputs import build_images
from jaxdl.report import FunctionCurve, plot_by_depth, plot_functions
from jaxdl.train import RunFolder
from jaxdl.typing import Array, PRNGKey

_SATURATED = 0.05
"""A derivative whose absolute value is below this lets little of a gradient through."""

_NOISE_SIDE = 8
"""Pixels of noise images where the config leaves it open; as the digits have."""


@dataclass(frozen=True)
class _Stack:
    """What was measured of one stack of layers, by layer."""

    gradients: list[float]
    stds: list[float]
    dead_share: float


def study_activations(config: ActivationStudyConfig, run: RunFolder) -> int:
    """Draws the functions, measures deep stacks of each; writes table and plots.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    image_key, label_key, weight_key = jax.random.split(
        jax.random.key(config.run.seed), 3
    )
    images, labels = build_images(config.images, image_size=_NOISE_SIDE, key=image_key)
    x = images.reshape(len(images), -1)
    if labels is None:
        labels = jax.random.randint(label_key, (len(x),), 0, config.dense.num_classes)
    table: list[dict[str, Any]] = []
    panels: dict[str, dict[str, list[float]]] = {}
    for initialization in config.dense.initializations:
        for activation in config.dense.activations:
            gain, init = _make_init(initialization, activation)
            stack = _measure_stack(
                config.dense, activation, init, x, labels, key=weight_key
            )
            panel = panels.setdefault(_TITLES[initialization], {})
            panel[activation] = [g / stack.gradients[-1] for g in stack.gradients]
            table.append(
                {
                    "activation": activation,
                    "initialization": initialization,
                    "gain": gain,
                    **_describe_function(activation),
                    "gradient_first": stack.gradients[0],
                    "gradient_last": stack.gradients[-1],
                    "gradient_ratio": stack.gradients[0] / stack.gradients[-1],
                    "std_last": stack.stds[-1],
                    "dead_share": stack.dead_share,
                }
            )
    _plot(config, panels, run)
    finish_study(
        run,
        table=table,
        shown=[{_SHOWN[name]: row[name] for name in _SHOWN} for row in table],
        summary={"results": table, "seconds": time.perf_counter() - start},
        title=f"{config.dense.depth} layers of width {config.dense.width}",
    )
    return 0


_TITLES = {
    "kaiming": "Kaiming, gain by activation",
    "xavier": "Xavier, gain 1",
}

_SHOWN = {
    "activation": "activation",
    "initialization": "init",
    "gain": "gain",
    "saturation": "saturated",
    "max_derivative": "steepest",
    "gradient_ratio": "first/last",
    "std_last": "std",
    "dead_share": "dead",
}
"""Columns for the screen, and what they are called there."""


def _make_init(initialization: str, activation: str) -> tuple[float, Initializer]:
    """The gain and the initialiser; PyTorch has no gain for smooth forms of ReLU."""
    if initialization == "xavier":
        return 1.0, xavier_normal()
    has_gain = activation in ("sigmoid", "tanh", "relu", "leaky_relu", "identity")
    gain = calculate_gain(activation if has_gain else "relu")
    return gain, kaiming_normal(mode="fan_in", gain=gain)


def _measure_stack(
    section: DeepSection,
    activation: str,
    kernel_init: Initializer,
    x: Array,
    labels: Array,
    *,
    key: PRNGKey,
) -> _Stack:
    model = DenseStack(
        width=section.width,
        depth=section.depth,
        activation=activation,
        kernel_init=kernel_init,
        num_outputs=max(section.num_classes, int(jnp.max(labels)) + 1),
    )
    variables = model.init(key, x)

    def loss_fn(logits: Array) -> Array:
        return jnp.mean(softmax_cross_entropy(logits, labels))

    gradients = output_gradients(model, variables, loss_fn, x)
    outputs = capture_outputs(model, variables, x)
    layers = [f"layer{index}" for index in range(1, section.depth + 1)]
    derivative = jax.vmap(jax.grad(ACTIVATIONS[activation]))
    dead = [
        # A unit that passes no gradient for any example does not learn from them.
        jnp.max(
            jnp.abs(derivative(outputs[f"{layer}/dense"].ravel())).reshape(len(x), -1),
            axis=0,
        )
        < 1e-6
        for layer in layers
    ]
    return _Stack(
        gradients=[root_mean_square(gradients[f"{layer}/dense"]) for layer in layers],
        stds=[float(jnp.std(outputs[layer])) for layer in layers],
        dead_share=float(jnp.mean(jnp.stack(dead))),
    )


def _evaluate(activation: str, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives of an activation."""
    function, at = ACTIVATIONS[activation], jnp.asarray(points, jnp.float32)
    values, derivatives = function(at), jax.vmap(jax.grad(function))(at)
    return np.asarray(values, np.float64), np.asarray(derivatives, np.float64)


def _describe_function(activation: str) -> dict[str, float]:
    """What becomes of a standard normal variable, by a fine sum over its density."""
    # An even number of points: none of them is the kink at 0.
    points = np.linspace(-10, 10, 20_000)
    density = np.exp(-(points**2) / 2)
    density /= density.sum()
    values, derivatives = _evaluate(activation, points)
    return {
        "saturation": float(density @ (np.abs(derivatives) < _SATURATED)),
        "max_derivative": float(np.abs(derivatives).max()),
        "mean_square_derivative": float(density @ derivatives**2),
        "gain_forward": 1 / math.sqrt(float(density @ values**2)),
        "gain_backward": 1 / math.sqrt(float(density @ derivatives**2)),
    }


def _plot(
    config: ActivationStudyConfig,
    panels: Mapping[str, Mapping[str, list[float]]],
    run: RunFolder,
) -> None:
    points = np.linspace(-4.0, 4.0, 401)
    curves = {}
    for name in config.dense.activations:
        steepest = _describe_function(name)["max_derivative"]
        note = f"steepest {steepest:.3g}"
        curves[name] = FunctionCurve(*_evaluate(name, points), note)
    plot_functions(points, curves, run.path / "functions.png")
    plot_by_depth(
        panels,
        run.path / "gradients.png",
        xlabel="layer, from the input on",
        ylabel="gradient at the layer, relative to the last",
    )
