"""Radial basis function networks on vectors, trained in one, two and three phases."""

import functools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.errors import ConfigError
from jaxdl.layers import RBFHead, RBFOutputs
from jaxdl.losses import squared_error
from jaxdl.rbf import (
    RBFFit,
    descend,
    encode_classes,
    fit_one_phase,
    fit_two_phase,
    predict_by_nearest,
)
from jaxdl.recipes.rbf_classical_config import (
    FunctionSection,
    RBFClassicalConfig,
    VectorsSection,
)
from jaxdl.recipes.study import finish_study, write_table
from jaxdl.recipes.svd_eigenimages_data import ImageSplits, load_image_splits
from jaxdl.report import FunctionFit, plot_function_fits, plot_phases
from jaxdl.train import RunFolder
from jaxdl.typing import Array, Params, PRNGKey

_FUNCTIONS: dict[str, tuple[Callable[..., Any], float, float, str]] = {
    "sine": (np.sin, 0.0, 2 * np.pi, "sin(x)"),
    "runge": (lambda x: 1 / (1 + 25 * x**2), -1.0, 1.0, "1 / (1 + 25 x²)"),
    "step": (lambda x: x + np.tanh(20 * x - 10), -1.0, 1.0, "x + tanh(20 x − 10)"),
}
"""By name: the function, where it begins and ends, and how it is written."""

_NEAREST = "nearest centre,\ntwo phases"
"""What a prediction by `predict_by_nearest` is called in the figure."""

_INTERPOLATION = "a centre per example"
"""What a fit through as many examples as there are centres is called."""


class Vectors(NamedTuple):
    """Pixels as float32 rows, and the classes."""

    train: Array
    train_labels: np.ndarray
    test: Array
    test_labels: np.ndarray
    num_classes: int


def study_classical(config: RBFClassicalConfig, run: RunFolder) -> int:
    """Fits networks in each way; writes tables and pictures.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.

    Raises:
      ConfigError: a number of centres that the images can't have.
      DataError: the images can't be read.
    """
    start = time.perf_counter()
    data = load_image_splits(config.images, seed=config.run.seed)
    vectors = make_vectors(data, config.images)
    _check_counts(config, data)
    rows = list(_fit_images(config, vectors))
    means = _average(rows, ("test_accuracy", "nearest_accuracy", "train_accuracy"))
    plot_phases(
        _list_panels(rows),
        run.path / "accuracy.png",
        title=f"{data.name}: {len(data.train.labels):,} images to train on, "
        f"{len(data.test.labels):,} to test on",
    )
    errors: list[dict[str, Any]] = []
    if config.function.name is not None:
        errors, shown = _fit_function(config)
        formula = _FUNCTIONS[config.function.name][3]
        plot_function_fits(
            shown, _group(errors), run.path / "function.png", title=formula
        )
        write_table(errors, run.path / "function.csv")
    finish_study(
        run,
        table=rows,
        shown=[_shorten(row) for row in means],
        summary={
            "data": data.name,
            "results": means,
            "function": {
                "name": config.function.name,
                "results": _average(errors, ("max_error",)),
            },
            "seconds": time.perf_counter() - start,
        },
        title=f"{data.name}: test accuracy of the output, and of the nearest centre",
    )
    return 0


def make_vectors(data: ImageSplits, section: VectorsSection) -> Vectors:
    """The pixels of images as vectors.

    Args:
      data: the images.
      section: whether to standardise.

    Returns:
      Values in [0, 1]; or each pixel of mean 0 and deviation 1 in training, those that
      are always the same left at 0.
    """
    train, test = data.train.pixels, data.test.pixels
    if section.standardize:
        mean, std = jnp.mean(train, axis=0), jnp.std(train, axis=0)
        scale = jnp.where(std > 0, 1 / jnp.where(std > 0, std, 1), 0)
        train, test = ((x - mean[None]) * scale[None] for x in (train, test))
    num_classes = len(data.class_names)
    return Vectors(train, data.train.labels, test, data.test.labels, num_classes)


def fit_phases(
    head: RBFHead,
    x: Array,
    targets: Array,
    *,
    labels: Array | None = None,
    strength: float = 0.0,
    width_scale: float = 1.0,
    descent: dict[str, Any],
    key: PRNGKey,
) -> dict[int, RBFFit]:
    """The fits of one, two and three phases, the third going on from the second.

    Args:
      head: the network.
      x: examples.
      targets: what its outputs shall be.
      labels: where given, each class has centres of its own; one phase knows no such.
      strength: see `fit_two_phase`.
      width_scale: see `fit_two_phase`.
      descent: arguments of `descend`.
      key: of the draw and of the clustering.

    Returns:
      By number of phases.
    """
    options = {"strength": strength, "width_scale": width_scale, "key": key}
    fits = {} if labels is not None else {1: fit_one_phase(head, x, targets, **options)}
    fits[2] = fit_two_phase(head, x, targets, labels=labels, **options)
    params, losses = descend(head, fits[2].params, x, targets, **descent)
    fits[3] = fits[2]._replace(params=params, losses=losses)
    return fits


def name_centers(
    squared_distances: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
    """The class of each centre: that of most examples nearest to it.

    Args:
      squared_distances: (examples, centers).
      labels: of the examples.
      num_classes: above every label.

    Returns:
      Int32 class per centre; -1 where it is nearest to no example.

    Example:
      >>> distances = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 3.0]])
      >>> name_centers(distances, np.array([4, 4, 1]), 5).tolist()
      [4, -1]
    """
    counts = np.zeros((squared_distances.shape[1], num_classes), np.int64)
    np.add.at(counts, (squared_distances.argmin(axis=1), labels), 1)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1).astype(np.int32)


def _check_counts(config: RBFClassicalConfig, data: ImageSplits) -> None:
    sizes = np.bincount(data.train.labels, minlength=len(data.class_names))
    least, most = len(sizes), int(sizes.min()) * len(sizes)
    for count in config.centers.counts:
        if not least <= count <= most:
            raise ConfigError(
                f"centers.counts: {count} centres; {data.name} has {least} classes of "
                f"at least {sizes.min()} images, wanted {least} to {most}"
            )


def _fit_images(
    config: RBFClassicalConfig, vectors: Vectors
) -> Iterator[dict[str, Any]]:
    """A row for each network."""
    centers, descent = config.centers, config.descent
    targets = encode_classes(jnp.asarray(vectors.train_labels), vectors.num_classes)
    losses = {
        "squared_error": squared_error,
        "cross_entropy": optax.softmax_cross_entropy,
    }
    for count in sorted(set(centers.counts)):
        head = RBFHead(
            count, vectors.num_classes, None, metric="euclidean", kernel=centers.kernel
        )
        for seed in range(centers.num_seeds):
            for where in ("all images", "each class"):
                by_class = where == "each class"
                fits = fit_phases(
                    head,
                    vectors.train,
                    targets,
                    labels=jnp.asarray(vectors.train_labels) if by_class else None,
                    strength=centers.strength,
                    width_scale=centers.width_scale,
                    descent={
                        "loss": losses[descent.loss],
                        "num_steps": descent.num_steps,
                        "learning_rate": descent.learning_rate,
                    },
                    key=jax.random.key(config.run.seed + seed),
                )
                for phases, fit in fits.items():
                    yield {
                        "phases": phases,
                        "centers_of": where,
                        "num_centers": count,
                        "seed": config.run.seed + seed,
                        **_score(head, fit, vectors),
                    }


def _score(head: RBFHead, fit: RBFFit, vectors: Vectors) -> dict[str, float]:
    train, test = (_apply(head, fit.params, x) for x in (vectors.train, vectors.test))
    classes = np.asarray(fit.classes)
    if (classes < 0).all():  # no labels took part in the choice of centres
        labels, count = vectors.train_labels, vectors.num_classes
        classes = name_centers(np.asarray(train.squared_distances), labels, count)
    nearest = predict_by_nearest(test, jnp.asarray(classes))
    share = lambda found, labels: float(np.mean(np.asarray(found) == labels))
    return {
        "train_accuracy": share(train.logits.argmax(axis=1), vectors.train_labels),
        "test_accuracy": share(test.logits.argmax(axis=1), vectors.test_labels),
        "nearest_accuracy": share(nearest, vectors.test_labels),
    }


@functools.partial(jax.jit, static_argnums=0)
def _apply(head: RBFHead, params: Params, x: Array) -> RBFOutputs:
    return head.apply({"params": params}, x)  # pyright: ignore[reportReturnType]


def _fit_function(
    config: RBFClassicalConfig,
) -> tuple[list[dict[str, Any]], list[FunctionFit]]:
    """A row for each network, and the fits of the first seed with most centres."""
    function, seeds = config.function, range(config.centers.num_seeds)
    rows, shown = [], []
    for count in sorted(set(function.counts)):
        head = RBFHead(count, 1, None, metric="euclidean", kernel=config.centers.kernel)
        for seed in seeds:
            key = jax.random.key(config.run.seed + seed)
            found = _fit_places(config, head, key=key)
            for name, fit in found.items():
                if count == max(function.counts) and seed == seeds[0]:
                    shown.append(fit)
                rows.append(
                    {
                        "training": name,
                        "num_centers": count,
                        "seed": config.run.seed + seed,
                        "max_error": float(np.max(np.abs(fit.found - fit.wanted))),
                    }
                )
    return rows, shown


def _fit_places(
    config: RBFClassicalConfig, head: RBFHead, *, key: PRNGKey
) -> dict[str, FunctionFit]:
    """By name of the training, what became of the function between its examples."""
    function, centers = config.function, config.centers
    options: dict[str, Any] = {
        "strength": centers.strength,
        "width_scale": function.width_scale,
    }
    x, targets = _sample(function, function.num_examples)
    descent = {
        "num_steps": function.num_steps,
        "learning_rate": config.descent.learning_rate,
    }
    phases = fit_phases(head, x, targets, **options, descent=descent, key=key)
    fits = {_name_phases(count): fit for count, fit in phases.items()}
    x, targets = _sample(function, head.num_centers)
    fits[_INTERPOLATION] = fit_one_phase(head, x, targets, **options, key=key)
    places, wanted = _sample(function, 1001)
    return {
        name: FunctionFit(
            name,
            np.asarray(places[:, 0]),
            np.asarray(wanted[:, 0]),
            np.asarray(_apply(head, fit.params, places).logits[:, 0]),
            np.asarray(fit.params["centers"][:, 0]),
        )
        for name, fit in fits.items()
    }


def _sample(section: FunctionSection, count: int) -> tuple[Array, Array]:
    """Evenly spaced places, ends included, and the function there."""
    assert section.name is not None
    function, start, end, _ = _FUNCTIONS[section.name]
    places = np.linspace(start, end, count)[:, None]
    to_float32 = lambda values: jnp.asarray(values, jnp.float32)
    return to_float32(places), to_float32(function(places))


def _name_phases(count: int) -> str:
    return f"{('one', 'two', 'three')[count - 1]} phase{'s' * (count > 1)}"


def _list_panels(
    rows: Sequence[dict[str, Any]],
) -> dict[str, dict[str, dict[int, list[float]]]]:
    """Accuracies by panel, line and number of centres."""
    panels: dict[str, dict[str, dict[int, list[float]]]] = {}
    for row in rows:
        lines = panels.setdefault(f"centres of {row['centers_of']}", {})
        numbers = {_name_phases(row["phases"]): row["test_accuracy"]}
        if row["phases"] == 2:
            numbers[_NEAREST] = row["nearest_accuracy"]
        for name, number in numbers.items():
            line = lines.setdefault(name, {})
            line.setdefault(row["num_centers"], []).append(number)
    for lines in panels.values():
        lines[_NEAREST] = lines.pop(_NEAREST)  # after the phases
    return panels


def _group(rows: Sequence[dict[str, Any]]) -> dict[str, dict[int, list[float]]]:
    """Errors by training and number of centres."""
    lines: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        line = lines.setdefault(row["training"], {})
        line.setdefault(row["num_centers"], []).append(row["max_error"])
    return lines


def _average(
    rows: Sequence[dict[str, Any]], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Means and deviations over the seeds; a row for what is otherwise alike."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        alike = {key: row[key] for key in row if key not in (*columns, "seed")}
        groups.setdefault(tuple(alike.items()), []).append(row)
    means = []
    for alike, group in groups.items():
        mean = dict(alike)
        for column in columns:
            values = [row[column] for row in group]
            mean[column] = statistics.fmean(values)
            mean[f"{column}_std"] = (
                statistics.stdev(values) if len(values) > 1 else None
            )
        means.append(mean)
    return means


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """The columns for the screen."""
    share = lambda column: (
        f"{row[column]:.4f}"
        + ("" if row[f"{column}_std"] is None else f" ± {row[f'{column}_std']:.4f}")
    )
    return {
        "centres": row["num_centers"],
        "of": row["centers_of"],
        "phases": row["phases"],
        "test": share("test_accuracy"),
        "nearest centre": share("nearest_accuracy"),
        "train": share("train_accuracy"),
    }
