"""Linear classifiers of frozen features: by gradient descent, and in closed form."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.augment import to_float
from jaxdl.data import ArraySplit, Split
from jaxdl.linalg import ridge
from jaxdl.losses import softmax_cross_entropy
from jaxdl.metrics import (
    compute_classification,
    init_classification,
    update_classification,
)
from jaxdl.optim import make_schedule, sgd
from jaxdl.parallel import tree_shardings
from jaxdl.recipes.barlow_twins import probe_scores
from jaxdl.recipes.build import build_steps
from jaxdl.recipes.encoders import FrozenEncoder
from jaxdl.recipes.fit import scalars
from jaxdl.recipes.probe_subject import Examples, ProbeSubject
from jaxdl.recipes.probe_training import (
    fit_batch_size,
    make_advance,
    make_crops,
    train_to_end,
)
from jaxdl.recipes.probes_config import DescentSection, LinearProbeConfig, RidgeSection
from jaxdl.train import LossFunction, TrainState, init_train_state, make_train_step
from jaxdl.typing import Array, Batch, Params, PRNGKey

_SCAN_STEPS = 32
"""Steps per dispatch where a loop does not slow them down."""


def score_linear(
    params: Params, examples: Examples, *, num_classes: int
) -> dict[str, float]:
    """Loss and accuracies of a linear classifier.

    Args:
      params: `"kernel"` (features, classes) and `"bias"`.
      examples: with their labels.
      num_classes: static.

    Returns:
      `"loss"` (cross entropy in nats), `"accuracy"`, `"top5"` and
      `"balanced_accuracy"`.

    Example:
      >>> params = {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}
      >>> examples = Examples(np.eye(2, dtype=np.float32), np.array([0, 0], np.int32))
      >>> score_linear(params, examples, num_classes=2)["accuracy"]
      0.5
    """
    statistics = _score(params, examples.features, examples.labels, num_classes)
    return scalars(compute_classification(jax.device_get(statistics)))


@functools.partial(jax.jit, static_argnums=3)
def _score(params: Params, features: Any, labels: Any, num_classes: int) -> Any:
    scores = probe_scores(params, features)
    losses = softmax_cross_entropy(scores, labels)
    empty = init_classification(num_classes, confusion=False)
    return update_classification(empty, scores, labels, losses)


def fit_ridge(
    section: RidgeSection, train: Examples, validation: Examples, *, num_classes: int
) -> tuple[dict[str, Array], float]:
    """The ridge regression of one-hot targets, of the best of several strengths.

    The strengths are spread evenly by their logarithm, from a millionth to a hundred
    times the sum of squares of an average feature.

    Args:
      section: how many strengths, and what is best.
      train: what to fit.
      validation: what to choose by, if the section says so.
      num_classes: columns of the targets.

    Returns:
      The classifier and the strength.
    """
    targets = jax.nn.one_hot(train.labels, num_classes)
    unit = len(train.features) * float(np.var(train.features, axis=0).mean())
    spread = np.logspace(-6, 2, section.num_strengths)
    strengths = (unit or 1.0) * spread.astype(np.float32)
    fit = ridge(jnp.asarray(train.features), targets, jnp.asarray(strengths))
    candidates = [
        {"kernel": kernel, "bias": bias}
        for kernel, bias in zip(fit.coefficients, fit.intercepts, strict=True)
    ]
    best = int(fit.best)
    if section.choose_by == "validation":
        best = int(
            np.argmax(
                [
                    score_linear(each, validation, num_classes=num_classes)["accuracy"]
                    for each in candidates
                ]
            )
        )
    return candidates[best], float(strengths[best])


def make_descent_loss(
    describe: Callable[[Any, Array, PRNGKey], Array], *, num_classes: int
) -> LossFunction:
    """The mean cross entropy of a linear classifier of features.

    Args:
      describe: `describe(model_state, images, key) -> features`; no gradient is taken
        through it.
      num_classes: of the labels.

    Returns:
      A loss function for `make_train_step`, whose parameters are the classifier's and
      whose `model_state["scaling"]` has what is taken from features and what divides
      them.
    """

    def loss_fn(params: Params, model_state: Any, batch: Batch, *, key: PRNGKey):
        features = describe(model_state, batch["images"], key)
        scaling = model_state["scaling"]
        features = (features - scaling["mean"][None]) / scaling["std"][None]
        scores = probe_scores(params, jax.lax.stop_gradient(features))
        losses = softmax_cross_entropy(scores, batch["labels"])
        empty = init_classification(num_classes, confusion=False)
        statistics = update_classification(empty, scores, batch["labels"], losses)
        return jnp.mean(losses), (model_state, statistics)

    return loss_fn


def descend(
    config: LinearProbeConfig,
    subject: ProbeSubject,
    encoder: FrozenEncoder,
    examples: Mapping[str, Examples],
    *,
    key: PRNGKey,
) -> tuple[dict[str, Array], list[dict[str, Any]]]:
    """Trains a linear classifier with momentum and a cosine, as the protocol does.

    Args:
      config: of the probe.
      subject: the images, which are read only where they are cropped anew.
      encoder: the network, which stays as it is.
      examples: its features of the splits `"train"` and `"validation"`.
      key: the source of all randomness.

    Returns:
      The classifier after the last step, and rows for `plot_curves`.

    Raises:
      ConfigError: the batch does not divide over the devices.
      NonFiniteError: the training diverged.
    """
    train, mesh = examples["train"], subject.mesh
    num_classes, num_examples = subject.dataset.num_classes, len(train.labels)
    size = fit_batch_size(config.data.batch_size, num_examples, mesh)
    sizes = {"num_examples": num_examples, "batch_size": size}
    num_steps = build_steps(config.descent.duration, **sizes)
    describe, variables, split = _choose_input(
        config, encoder, subject.dataset.splits["train"], train
    )
    keys = jax.random.split(key)
    variables |= _draw(config.descent, train, num_classes, key=keys[0])
    scaling = jax.device_get(variables["scaling"])
    loss_fn = make_descent_loss(describe, num_classes=num_classes)
    optimizer = _make_optimizer(config.descent, num_steps)
    batch = split.read(np.arange(size))
    state = init_train_state(variables, loss_fn, optimizer, batch, key=keys[1])
    shardings = tree_shardings(state, mesh)
    advance, max_steps = make_advance(
        make_train_step(loss_fn, optimizer, state_shardings=shardings),
        split,
        config.data,
        mesh,
        batch_size=size,
        num_steps=num_steps,
        scan_steps=_choose_scan_steps(is_slow=config.crops.random),
        state_shardings=shardings,
        seed=config.run.seed,
    )
    rows: list[dict[str, Any]] = []

    def note(step: int, split: str, numbers: Mapping[str, Any]) -> None:
        epoch = step * size / num_examples
        rows.append({"split": split, "epoch": epoch, **scalars(numbers)})

    def evaluate(state: TrainState) -> None:
        found = _unscale(state.params, scaling)
        numbers = score_linear(found, examples["validation"], num_classes=num_classes)
        note(int(state.step), "validation", numbers)

    state = train_to_end(
        jax.device_put(state, shardings),
        advance,
        num_steps=num_steps,
        batch_size=size,
        steps_per_epoch=num_examples / size,
        max_steps=max_steps,
        on_log=lambda step, totals: note(step, "train", compute_classification(totals)),
        on_evaluate=evaluate,
        hint="lower descent.learning_rate or set descent.standardize=true",
    )
    return _unscale(state.params, scaling), rows


def _choose_scan_steps(*, is_slow: bool) -> int:
    """Steps per dispatch: many on features, which a loop does not slow down."""
    return 1 if is_slow and jax.default_backend() == "cpu" else _SCAN_STEPS


def _draw(
    section: DescentSection, train: Examples, num_classes: int, *, key: PRNGKey
) -> dict[str, Any]:
    """The classifier before its first step, and the scaling of what it is shown."""
    shape = (train.features.shape[1], num_classes)
    kernel = section.initial_std * jax.random.normal(key, shape)
    return {
        "params": {"kernel": kernel, "bias": jnp.zeros(num_classes)},
        "scaling": _measure(train, section.standardize),
    }


def _make_optimizer(
    section: DescentSection, num_steps: int
) -> optax.GradientTransformation:
    peak = section.learning_rate
    return sgd(
        make_schedule("cosine", learning_rate=peak, num_steps=num_steps),
        momentum=section.momentum,
        nesterov=False,
        weight_decay=section.weight_decay,
    )


def _choose_input(
    config: LinearProbeConfig, encoder: FrozenEncoder, images: Split, train: Examples
) -> tuple[Callable[[Any, Array, PRNGKey], Array], dict[str, Any], Split]:
    """How features come about, the variables it takes, and what it starts from."""
    if not config.crops.random:
        rows = train.features[:, None, None, :]
        stored = ArraySplit(rows, train.labels, name="features")
        return lambda state, rows, key: rows.reshape(len(rows), -1), {}, stored
    backbone, crop = encoder.backbone, make_crops(config.crops, encoder.backbone.size)

    def describe(model_state: Any, images: Array, key: PRNGKey) -> Array:
        views = crop(to_float(images), key=key)
        return backbone.encode(model_state["encoder"], views)

    # Copies, as the steps take over the buffers that they are given.
    return describe, {"encoder": jax.tree.map(jnp.copy, encoder.variables)}, images


def _measure(train: Examples, standardize: bool) -> dict[str, Array]:
    """Mean and deviation of each feature; 0 and 1 where they are left as they are."""
    mean = np.zeros(train.features.shape[1], np.float32)
    std = np.ones_like(mean)
    if standardize:
        mean, std = train.features.mean(axis=0), train.features.std(axis=0)
        std = np.where(std > 0, std, 1)
    return {"mean": jnp.asarray(mean), "std": jnp.asarray(std)}


def _unscale(params: Params, scaling: Mapping[str, np.ndarray]) -> dict[str, Array]:
    """The classifier of features as they are."""
    kernel = params["kernel"] / scaling["std"][:, None]
    return {"kernel": kernel, "bias": params["bias"] - scaling["mean"] @ kernel}
