"""How large activations are by layer, by how the weights were drawn."""

import dataclasses
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jaxdl.diagnose import (
    ActivationStatistics,
    activation_statistics,
    capture_outputs,
    measure_activations,
)
from jaxdl.errors import ConfigError
from jaxdl.layers import INITIALIZERS
from jaxdl.models import INPUTS, MODELS
from jaxdl.models.dense_stack import DenseStack
from jaxdl.recipes.study import finish_study
from jaxdl.recipes.study_configs import (
    DenseSection,
    ImagesSection,
    InitStudyConfig,
    NetworkSection,
)
from jaxdl.recipes.study_inputs import build_images, draw_variables
from jaxdl.report import Histogram, plot_by_depth, plot_histograms
from jaxdl.train import RunFolder
from jaxdl.typing import Array, PRNGKey

Measured = dict[str, ActivationStatistics]
"""Statistics by module, in the order of computation."""


def study_initialization(config: InitStudyConfig, run: RunFolder) -> int:
    """Measures dense stacks by initialiser, then one network; writes table and plots.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    dense_key, network_key = jax.random.split(jax.random.key(config.run.seed))
    stacks, histograms = _measure_stacks(config.dense, key=dense_key)
    _plot_stacks(config.dense, stacks, histograms, run)
    table = [
        row
        for name, measured in stacks.items()
        for row in _list_rows("dense", name, measured, input_std=1.0)
    ]
    shown = [_summarise("dense", name, 1.0, found) for name, found in stacks.items()]
    if config.network.name is not None:
        input_std, networks = _measure_networks(
            config.network, config.images, key=network_key
        )
        _plot_networks(config.network.name, input_std, networks, run)
        for name, measured in networks.items():
            part = config.network.name
            table += _list_rows(part, name, measured, input_std=input_std)
            points = _pick_points(measured)
            shown.append(_summarise(part, name, input_std, points))
    finish_study(
        run,
        table=table,
        shown=shown,
        summary={"results": shown, "seconds": time.perf_counter() - start},
        title="standard deviation of the activations, the input's being 1",
    )
    return 0


def _measure_stacks(
    section: DenseSection, *, key: PRNGKey
) -> tuple[dict[str, Measured], dict[str, list[Histogram]]]:
    input_key, weight_key = jax.random.split(key)
    x = jax.random.normal(input_key, (section.batch_size, section.width))
    measured, histograms = {}, {}
    for name in section.initializers:
        model = DenseStack(
            width=section.width,
            depth=section.depth,
            activation=section.activation,
            kernel_init=INITIALIZERS[name],
        )
        outputs = capture_outputs(model, model.init(weight_key, x), x)
        layers = {
            layer: output
            for layer, output in outputs.items()
            if re.fullmatch(r"layer\d+", layer)
        }
        measured[name] = {
            layer: measure_activations(output) for layer, output in layers.items()
        }
        histograms[name] = [
            _count(layers[layer], measured[name][layer]) for layer in layers
        ]
    return measured, histograms


def _count(output: Array, statistics: ActivationStatistics) -> Histogram:
    """Counts on the scale of the input, up to three of its standard deviations."""
    values = np.asarray(output, np.float64)
    # Exact zeros are what ReLU makes of half the values; they would dwarf the rest.
    values = values[np.isfinite(values) & (values != 0)]
    lowest = -3.0 if (values < 0).any() else 0.0
    counts, edges = np.histogram(values, bins=48, range=(lowest, 3.0))
    note = f"mean {statistics.mean:.3g}, std {statistics.std:.3g}"
    return Histogram(counts, edges, note)


def _plot_stacks(
    section: DenseSection,
    stacks: Mapping[str, Measured],
    histograms: Mapping[str, list[Histogram]],
    run: RunFolder,
) -> None:
    name = f"{section.depth} {section.activation} layers of width {section.width}"
    plot_histograms(
        histograms,
        run.path / "histograms.png",
        column_title="layer",
        title=f"Activations of {name}, by initialiser",
        xlabel="activation (exact zeros left out); the input's deviation is 1",
    )
    stds = {
        initializer: [statistics.std for statistics in found.values()]
        for initializer, found in stacks.items()
    }
    plot_by_depth(
        {name: stds},
        run.path / "dense_std.png",
        xlabel="layer",
        ylabel="standard deviation of the activations",
        band=(0.5, 2.0),
        band_label="within a factor 2\nof the input",
    )


def _measure_networks(
    section: NetworkSection, images_section: ImagesSection, *, key: PRNGKey
) -> tuple[float, dict[str, Measured]]:
    """Statistics of a network as published and with branches that start as zero."""
    assert section.name is not None
    image_key, weight_key, dropout_key = jax.random.split(key, 3)
    images, _ = build_images(
        images_section, image_size=INPUTS[section.name].image_size, key=image_key
    )
    try:
        model = MODELS[section.name](
            num_classes=1000, initialization=section.initialization
        )
    except ValueError as error:
        raise ConfigError(f"network.initialization: {error}") from None
    models = {"as published": model}
    if "zero_init_residual" in {field.name for field in dataclasses.fields(model)}:
        models["zero-gamma"] = model.clone(zero_init_residual=True)
    measured = {}
    for name, model in models.items():
        variables = draw_variables(model, images, key=weight_key)
        is_normalized = "batch_stats" in variables
        for train in (True, False) if is_normalized else (False,):
            mode = _MODES[train] if is_normalized else "no batch norm"
            measured[f"{name}, {mode}"] = _measure(
                model, variables, images, train=train, key=dropout_key
            )
    return measure_activations(images).std, measured


_MODES = {True: "training", False: "evaluation"}
_TITLES = {
    "training": "training, batch statistics",
    "evaluation": "evaluation, fresh running statistics",
}


def _measure(
    model: nn.Module,
    variables: dict[str, Any],
    images: Array,
    *,
    train: bool,
    key: PRNGKey,
) -> Measured:
    return activation_statistics(
        model, variables, images, train=train, rngs={"dropout": key}
    )


def _pick_points(measured: Measured) -> Measured:
    """The outputs of blocks, or of all modules in a network without blocks."""
    blocks = {name: m for name, m in measured.items() if _BLOCK.search(name)}
    return blocks or measured


_BLOCK = re.compile(r"block\d+$")


def _plot_networks(
    name: str, input_std: float, networks: Mapping[str, Measured], run: RunFolder
) -> None:
    panels: dict[str, dict[str, list[float]]] = {}
    has_blocks = any(_BLOCK.search(path) for m in networks.values() for path in m)
    for title, measured in networks.items():
        variant, mode = title.split(", ", 1)
        stds = [statistics.std for statistics in _pick_points(measured).values()]
        panels.setdefault(f"{name}: {_TITLES.get(mode, mode)}", {})[variant] = stds
    plot_by_depth(
        panels,
        run.path / "network_std.png",
        xlabel="block" if has_blocks else "module",
        ylabel="standard deviation of the output",
        band=(0.5 * input_std, 2 * input_std),
        band_label="within a factor 2\nof the input",
        share_y=False,
    )


def _list_rows(
    part: str, variant: str, measured: Measured, *, input_std: float
) -> Iterable[dict[str, Any]]:
    for module, statistics in measured.items():
        yield {
            "part": part,
            "variant": variant,
            "module": module,
            "mean": statistics.mean,
            "std": statistics.std,
            "std_over_input": statistics.std / input_std,
            "zero_share": statistics.zero_share,
            "nonfinite_share": statistics.nonfinite_share,
            "shape": "x".join(map(str, statistics.shape)),
        }


def _summarise(
    part: str, variant: str, input_std: float, points: Measured
) -> dict[str, Any]:
    ratios = [statistics.std / input_std for statistics in points.values()]
    return {
        "part": part,
        "variant": variant,
        "first": ratios[0],
        "last": ratios[-1],
        "smallest": min(ratios),
        "largest": max(ratios),
        "within_2x": all(0.5 <= ratio <= 2 for ratio in ratios),
    }
