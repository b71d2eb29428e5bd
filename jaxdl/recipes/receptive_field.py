"""What units of networks can see, and what they do see."""

import functools
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import ScopeParamShapeError

from jaxdl.data import resolve_path
from jaxdl.diagnose import (
    FieldShape,
    ReceptiveField,
    count_stack_parameters,
    describe_field,
    expected_std,
    measure_effective_fields,
    stack_windows,
    trace_receptive_fields,
)
from jaxdl.errors import ConfigError
from jaxdl.layers import Conv, kaiming_normal, make_activation
from jaxdl.models import INPUTS, MODELS
from jaxdl.recipes.study import finish_study, write_table
from jaxdl.recipes.study_configs import ReceptiveFieldConfig, StackSection
from jaxdl.recipes.study_inputs import (
    build_images,
    draw_variables,
    settle_statistics,
)
from jaxdl.report import FieldPicture, plot_by_depth, plot_fields
from jaxdl.train import RunFolder
from jaxdl.typing import Array, PRNGKey


class _Sight(NamedTuple):
    """What the middle unit of a map can see, and what it does see."""

    theoretical: tuple[ReceptiveField, ReceptiveField]
    energy: np.ndarray
    centre: tuple[float, float]
    shape: FieldShape


class _ConvStack(nn.Module):
    """Equal convolutions in a row, each followed by an activation."""

    depth: int
    kernel_size: int
    channels: int
    activation: str

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> dict[str, Array]:
        del train
        maps, x = OrderedDict(), images
        for index in range(1, self.depth + 1):
            x = Conv(
                self.channels,
                self.kernel_size,
                kernel_init=kaiming_normal(mode="fan_in"),
                name=f"conv{index}",
            )(x)
            x = maps[f"conv{index}"] = make_activation(self.activation)(x)
        return maps


def study_receptive_fields(config: ReceptiveFieldConfig, run: RunFolder) -> int:
    """Lists theoretical fields, measures effective ones; writes tables and plots.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    stack_key, network_key = jax.random.split(jax.random.key(config.run.seed))
    # First of all, as only here the user's own files can turn out to be wrong.
    trained = [
        _load_weights(config, name, file)
        for name, file in zip(config.effective, config.weights, strict=False)
    ]
    table = _study_stack(config, run, key=stack_key)
    for name in config.theoretical:
        table += _list_theoretical(name)
    pictures = []
    for index, name in enumerate(config.effective):
        for weights in (None, *trained[index : index + 1]):
            rows, found = _study_network(config, name, weights, key=network_key)
            table += rows
            pictures.append(found)
    if any(pictures):
        plot_fields(
            pictures,
            run.path / "effective_fields.png",
            title="Effective receptive fields (square: theoretical; circle: 95 %)",
        )
    write_table(_compare_kernels(config.stack), run.path / "stacks.csv")
    finish_study(
        run,
        table=table,
        shown=[_shorten(row) for row in _pick_rows(table)],
        summary={
            "results": table,
            "stacks": _compare_kernels(config.stack),
            "seconds": time.perf_counter() - start,
        },
        title="receptive fields in pixels",
    )
    return 0


_STACK = "stack"
_SMALLEST_PICTURE = 8
"""Fields smaller than the image by more than this factor are dots, and not drawn."""


def _pick_rows(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was measured, and the deepest map of each network only listed."""
    measured = [r for r in table if r["network"] != _STACK and "std" in r]
    listed = {r["network"]: r for r in table if "std" not in r and r["jump"]}
    return [*listed.values(), *measured]


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """The columns for the screen."""
    sides = dict.fromkeys((row["height"], row["width"]))
    short = {
        "network": row["network"],
        "map": row["map"],
        "theoretical": "x".join(map(str, sides)),
        "jump": row["jump"],
    }
    if "std" in row:
        short |= {
            "weights": row["weights"],
            "std": row["std"],
            "95 % within": 2 * row["radius_95"],
        }
    return short


def _study_stack(
    config: ReceptiveFieldConfig, run: RunFolder, *, key: PRNGKey
) -> list[dict[str, Any]]:
    """A stack of convolutions: the field grows with depth, its root, what is used."""
    section = config.stack
    model = _ConvStack(
        section.depth, section.kernel_size, section.channels, config.stack.activation
    )
    window = (section.kernel_size, 1, section.kernel_size // 2)
    side = stack_windows([window] * section.depth)[-1].size
    image_key, weight_key, field_key = jax.random.split(key, 3)
    shape = (config.images.batch_size, side, side, 3)
    images = jax.random.normal(image_key, shape)
    variables = draw_variables(model, images, key=weight_key)
    extract = _make_extract(model)
    seen = _see(extract, images, variables, key=field_key)
    rows = []
    for index, (name, sight) in enumerate(seen.items(), start=1):
        row = _make_row(_STACK, name, sight.theoretical, sight.shape)
        rows.append({**row, "expected_std": expected_std([window] * index)})
    _plot_growth(section, rows, run)
    return rows


def _plot_growth(
    section: StackSection, rows: list[dict[str, Any]], run: RunFolder
) -> None:
    # The radius around a round Gaussian that holds 95 % is 2.45 deviations.
    per_std = 2 * math.sqrt(-2 * math.log(0.05))
    lines = {
        "theoretical field": [float(row["height"]) for row in rows],
        "disc of 95 % of the\nenergy, measured": [2 * row["radius_95"] for row in rows],
        "the same, predicted\nfor linear layers": [
            per_std * row["expected_std"] for row in rows
        ],
    }
    k = section.kernel_size
    plot_by_depth(
        {f"{k}x{k} convolutions of stride 1": lines},
        run.path / "growth.png",
        xlabel="convolutions",
        ylabel="diameter in pixels",
        is_log=False,
    )


def _compare_kernels(section: StackSection) -> list[dict[str, Any]]:
    """Stacks of small kernels against single ones that see as much."""
    k, channels = section.kernel_size, section.channels
    rows = []
    for depth in range(1, section.depth + 1):
        side = stack_windows([(k,)] * depth)[-1].size
        stacked = count_stack_parameters(depth, k, channels)
        single = count_stack_parameters(1, side, channels)
        rows.append(
            {
                "layers": depth,
                "kernel": k,
                "receptive_field": side,
                "stack_weights_per_channel_pair": depth * k * k,
                "single_weights_per_channel_pair": side * side,
                "channels": channels,
                "stack_weights": stacked,
                "single_weights": single,
                "stack_over_single": stacked / single,
            }
        )
    return rows


def _make_extract(model: nn.Module) -> Callable[..., dict[str, Array]]:
    method = "extract" if hasattr(model, "extract") else None

    def extract(images: Array, variables: Any) -> dict[str, Array]:
        maps: Any = model.apply(variables, images, train=False, method=method)
        return OrderedDict(maps)  # keeps the order of computation, unlike a dict

    return extract


def _list_theoretical(name: str) -> list[dict[str, Any]]:
    """The fields of all maps at the size the network was made for; nothing is run."""
    model, side = MODELS[name](num_classes=10), INPUTS[name].image_size
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    init = functools.partial(model.init, train=False)
    variables = jax.eval_shape(init, jax.random.key(0), images)
    fields = trace_receptive_fields(_make_extract(model), images, variables)
    return [_make_row(name, map_name, field) for map_name, field in fields.items()]


def _study_network(
    config: ReceptiveFieldConfig,
    name: str,
    trained: dict[str, Any] | None,
    *,
    key: PRNGKey,
) -> tuple[list[dict[str, Any]], list[FieldPicture]]:
    image_key, weight_key, field_key = jax.random.split(key, 3)
    images, _ = build_images(
        config.images, image_size=INPUTS[name].image_size, key=image_key
    )
    model = _make_model(name, trained)
    variables = trained
    if variables is None:
        variables = draw_variables(model, images, key=weight_key)
        variables = settle_statistics(model, variables, images)
    seen = _see(_make_extract(model), images, variables, key=field_key)
    weights = "random" if trained is None else "trained"
    rows, pictures = [], []
    for map_name, sight in seen.items():
        field, shape = sight.theoretical, sight.shape
        rows.append(_make_row(name, map_name, field, shape, weights=weights))
        size = (field[0].size, field[1].size)
        if size[0] * _SMALLEST_PICTURE < images.shape[1]:
            continue
        title = (
            f"{name}, {weights}\n"
            f"{map_name}: {size[0]} px, 95 % within {2 * shape.radius_95:.0f} px"
        )
        pictures.append(
            FieldPicture(title, sight.energy, sight.centre, size, shape.radius_95)
        )
    return rows, pictures


def _see(
    extract: Callable[..., dict[str, Array]],
    images: Array,
    variables: Any,
    *,
    key: PRNGKey,
) -> dict[str, _Sight]:
    """The fields of the middle unit of each map that is an image."""
    fields = trace_receptive_fields(extract, images, variables)
    shapes = jax.eval_shape(extract, images, variables)
    energies = measure_effective_fields(extract, images, variables, key=key)
    seen = {}
    for name, energy in energies.items():
        # A map of one pixel comes after an average: all of the image counts alike.
        places = [
            field.centre + (count // 2) * (field.jump or 0)
            for field, count in zip(fields[name], shapes[name].shape[1:3], strict=True)
        ]
        centre = (places[0], places[1])
        shape = describe_field(energy, centre=centre)
        seen[name] = _Sight(fields[name], energy, centre, shape)
    return seen


def _make_row(
    network: str,
    map_name: str,
    field: tuple[ReceptiveField, ReceptiveField],
    shape: FieldShape | None = None,
    *,
    weights: str | None = None,
) -> dict[str, Any]:
    down, across = field
    row: dict[str, Any] = {
        "network": network,
        "map": map_name,
        "height": down.size,
        "width": across.size,
        "jump": down.jump,
        "start": down.start,
        "weights": weights,
    }
    if shape is not None:
        area = math.pi * shape.radius_95**2
        row |= {**asdict(shape), "area_95": area / (down.size * across.size)}
    return row


def _make_model(name: str, trained: dict[str, Any] | None) -> nn.Module:
    num_classes = 10
    if trained is not None:
        num_classes = trained["params"]["head"]["bias"].shape[0]
    return MODELS[name](num_classes=num_classes)


def _load_weights(config: ReceptiveFieldConfig, name: str, file: str) -> dict[str, Any]:
    # Imported late: few runs need it.
    from jaxdl.weights import load_torch

    variables = load_torch(resolve_path(file), name)
    images, _ = build_images(
        config.images, image_size=INPUTS[name].image_size, key=jax.random.key(0)
    )
    try:
        jax.eval_shape(_make_extract(_make_model(name, variables)), images, variables)
    except ScopeParamShapeError:
        raise ConfigError(
            f"weights: {file} is for images of other channels than "
            f"{images.shape[-1]}, those of images.source={config.images.source}"
        ) from None
    return variables
