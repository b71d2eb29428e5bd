"""The three classical ways to fit a radial basis function network."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.core import Tracer

from jaxdl.layers import RBFHead, RBFOutputs
from jaxdl.linalg import ridge
from jaxdl.losses import cluster_loss, squared_error
from jaxdl.optim import adamw, cosine_schedule
from jaxdl.rbf.centers import (
    CenterMethod,
    choose_widths,
    find_centers,
    place_centers,
)
from jaxdl.typing import Array, Float, Int, Params, PRNGKey


class RBFFit(NamedTuple):
    """A fitted network."""

    params: Params
    """Of the head."""
    classes: Int[Array, " centers"]
    """That each centre stands for; -1 without labels, or without examples."""
    losses: Float[Array, " steps"]
    """Before each step of gradient descent; empty where there was none."""


def fit_one_phase(
    head: RBFHead,
    x: Float[Array, "rows inputs"],
    targets: Float[Array, "rows outputs"],
    *,
    strength: float = 0.0,
    width_scale: float = 1.0,
    key: PRNGKey,
) -> RBFFit:
    """Centres are examples drawn at random; only the output is fitted.

    Args:
      head: its embedding, if it has one, stays as it is drawn.
      x: examples.
      targets: what the outputs shall be; `encode_classes` makes them of labels.
      strength: of the ridge on the output weights; 0 takes the pseudo-inverse.
      width_scale: multiplies the widths of `choose_widths`.
      key: of the parameters and the draw.

    Returns:
      The fit.

    Raises:
      ValueError: see `find_centers` and `solve_output`.

    Source:
      Broomhead and Lowe 1988; Schwenker, Kestler and Palm 2001, section 2.

    Example:
      >>> x = jnp.linspace(0.0, 1.0, 5)[:, None]
      >>> head = RBFHead(5, 1, None, metric="euclidean", kernel="gaussian")
      >>> fit = fit_one_phase(head, x, x**2, key=jax.random.key(0))
      >>> outputs = head.apply({"params": fit.params}, x)
      >>> bool(jnp.allclose(outputs.logits, x**2, atol=1e-4))
      True
    """
    return _fit_centers(head, x, targets, "random", None, strength, width_scale, key)


def fit_two_phase(
    head: RBFHead,
    x: Float[Array, "rows inputs"],
    targets: Float[Array, "rows outputs"],
    *,
    labels: Int[Array, " rows"] | None = None,
    strength: float = 0.0,
    width_scale: float = 1.0,
    key: PRNGKey,
) -> RBFFit:
    """Centres by k-means, then the output.

    Args:
      head: as for `fit_one_phase`.
      x: examples.
      targets: as for `fit_one_phase`.
      labels: where given, each class has centres of its own.
      strength: as for `fit_one_phase`.
      width_scale: as for `fit_one_phase`.
      key: of the parameters and the clustering.

    Returns:
      The fit.

    Raises:
      ValueError: see `find_centers` and `solve_output`.

    Source:
      Moody and Darken 1989; Schwenker, Kestler and Palm 2001, section 3.

    Example:
      >>> x = jnp.linspace(0.0, 1.0, 9)[:, None]
      >>> head = RBFHead(4, 1, None, metric="euclidean", kernel="gaussian")
      >>> fit_two_phase(head, x, x, key=jax.random.key(0)).losses.shape
      (0,)
    """
    return _fit_centers(head, x, targets, "kmeans", labels, strength, width_scale, key)


def fit_three_phase(
    head: RBFHead,
    x: Float[Array, "rows inputs"],
    targets: Float[Array, "rows outputs"],
    *,
    labels: Int[Array, " rows"] | None = None,
    strength: float = 0.0,
    width_scale: float = 1.0,
    loss: Callable[[Array, Array], Array] = squared_error,
    cluster_weight: float = 0.0,
    num_steps: int = 500,
    learning_rate: float = 1e-3,
    key: PRNGKey,
) -> RBFFit:
    """Two phases, then gradient descent on everything.

    Args:
      head: as for `fit_one_phase`; its embedding is trained too.
      x: examples.
      targets: as for `fit_one_phase`.
      labels: as for `fit_two_phase`.
      strength: of the ridge in the second phase.
      width_scale: as for `fit_one_phase`.
      loss: see `descend`.
      cluster_weight: see `descend`.
      num_steps: see `descend`.
      learning_rate: see `descend`.
      key: of the parameters and the clustering.

    Returns:
      The fit.

    Raises:
      ValueError: see `find_centers` and `solve_output`.

    Source:
      Schwenker, Kestler and Palm 2001, section 4.

    Example:
      >>> x = jnp.linspace(0.0, 1.0, 9)[:, None]
      >>> head = RBFHead(3, 1, None, metric="euclidean", kernel="gaussian")
      >>> fit = fit_three_phase(head, x, x**3, num_steps=9, key=jax.random.key(0))
      >>> bool(fit.losses[-1] < fit.losses[0])
      True
    """
    fit = fit_two_phase(
        head,
        x,
        targets,
        labels=labels,
        strength=strength,
        width_scale=width_scale,
        key=key,
    )
    params, losses = descend(
        head,
        fit.params,
        x,
        targets,
        loss=loss,
        cluster_weight=cluster_weight,
        num_steps=num_steps,
        learning_rate=learning_rate,
    )
    return fit._replace(params=params, losses=losses)


def solve_output(
    head: RBFHead,
    params: Params,
    x: Float[Array, "rows inputs"],
    targets: Float[Array, "rows outputs"],
    *,
    strength: float = 0.0,
) -> Params:
    """Output weights in closed form: W = H^+ Y, H the activations and a column of 1.

    Args:
      head: the head; of any kernel and metric.
      params: its parameters.
      x: examples.
      targets: Y.
      strength: of the ridge on the weights, not on the bias; 0 takes the
        pseudo-inverse.

    Returns:
      Parameters with another output.

    Raises:
      ValueError: a head whose output can't be negative, targets of another size, or
        a negative strength.

    Example:
      >>> head = RBFHead(2, 1, None, kernel="gaussian")
      >>> x = jnp.array([[0.0], [1.0], [2.0]])
      >>> params = head.init(jax.random.key(0), x)["params"]
      >>> solve_output(head, params, x, 2 * x)["output"]["kernel"].shape
      (2, 1)
    """
    if head.nonnegative:
        raise ValueError(
            "solve_output: the head's output can't be negative, which has no closed "
            "form; wanted nonnegative=False"
        )
    if targets.shape != (len(x), head.num_classes):
        raise ValueError(
            f"solve_output: targets must be of shape {(len(x), head.num_classes)}, "
            f"got {targets.shape}"
        )
    if strength < 0:
        raise ValueError(f"solve_output: strength must be at least 0, got {strength}")
    activations = _apply(head, params, x).activations
    fit = ridge(activations, targets, jnp.array([strength], jnp.float32))
    output = {"kernel": fit.coefficients[0], "bias": fit.intercepts[0]}
    return {**params, "output": output}


def descend(
    head: RBFHead,
    params: Params,
    x: Float[Array, "rows inputs"],
    targets: Float[Array, "rows outputs"],
    *,
    loss: Callable[[Array, Array], Array] = squared_error,
    cluster_weight: float = 0.0,
    num_steps: int = 500,
    learning_rate: float = 1e-3,
) -> tuple[Params, Float[Array, " steps"]]:
    """Gradient descent on all parameters of a head, all examples in every step.

    Args:
      head: the head.
      params: to start from.
      x: examples.
      targets: what the outputs shall be.
      loss: `loss(outputs, targets)`, not reduced; optax.softmax_cross_entropy for
        classes.
      cluster_weight: of `cluster_loss`, with widths, at least 0.
      num_steps: at least 0.
      learning_rate: of Adam, falling to 0 along a cosine.

    Returns:
      The parameters of the least loss met, and the loss before each step.

    Example:
      >>> head = RBFHead(2, 1, None, kernel="gaussian")
      >>> x = jnp.array([[0.0], [1.0], [2.0]])
      >>> params = head.init(jax.random.key(0), x)["params"]
      >>> _, losses = descend(head, params, x, x, num_steps=20, learning_rate=0.1)
      >>> bool(losses[-1] < losses[0])
      True
    """
    if not num_steps:
        return params, jnp.zeros(0, jnp.float32)
    settings = loss, cluster_weight, num_steps, learning_rate
    return _descend(head, settings, params, x, targets)


def encode_classes(
    labels: Int[Array, " rows"], num_classes: int
) -> Float[Array, "rows classes"]:
    """Targets of a classification: 1 for the class of an example, 0 for the others.

    Args:
      labels: class per example, from 0.
      num_classes: above every label.

    Returns:
      One row per example.

    Raises:
      ValueError: a label out of range, in concrete labels.

    Example:
      >>> encode_classes(jnp.array([1]), 2)
      Array([[0., 1.]], dtype=float32)
    """
    if not isinstance(labels, Tracer) and labels.size:
        low, high = int(jnp.min(labels)), int(jnp.max(labels))
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"encode_classes: labels must be in [0, {num_classes}), got {low} to "
                f"{high}"
            )
    return jax.nn.one_hot(labels, num_classes, dtype=jnp.float32)


def predict_by_nearest(
    outputs: RBFOutputs, classes: Int[Array, " centers"]
) -> Int[Array, " rows"]:
    """The class of the nearest centre: a prediction that ends at the cluster.

    Neither output weights nor a softmax take part in it.

    Args:
      outputs: of a head.
      classes: of its centres; those of -1 are passed over.

    Returns:
      Class per example.

    Example:
      >>> distances = jnp.array([[1.0, 4.0], [9.0, 4.0]])
      >>> outputs = RBFOutputs(None, None, distances, None)
      >>> predict_by_nearest(outputs, jnp.array([7, 3]))
      Array([7, 3], dtype=int32)
    """
    distances = jnp.where(classes[None] < 0, jnp.inf, outputs.squared_distances)
    return classes[jnp.argmin(distances, axis=1)]


def _fit_centers(head, x, targets, method: CenterMethod, labels, strength, scale, key):
    keys = jax.random.split(key)
    params = head.init(keys[0], x[:1])["params"]
    if "log_weights" in params:  # clusters are found by Euclidean distances
        params = {**params, "log_weights": jnp.zeros_like(params["log_weights"])}
    embeddings = _apply(head, params, x).embeddings
    found = find_centers(
        embeddings,
        head.num_centers,
        method=method,
        labels=labels,
        per_class=labels is not None,
        key=keys[1],
    )
    widths = scale * choose_widths(found.points)
    params = place_centers(head, params, found.points, widths=widths)
    params = solve_output(head, params, x, targets, strength=strength)
    return RBFFit(params, found.classes, jnp.zeros(0, jnp.float32))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _descend(head, settings, params, x, targets):
    loss, cluster_weight, num_steps, learning_rate = settings
    optimizer = adamw(cosine_schedule(learning_rate, num_steps=num_steps))

    def total(params):
        outputs = _apply(head, params, x)
        value = jnp.mean(loss(outputs.logits, targets))
        if cluster_weight:
            widths = head.read_parts(params).widths
            near = cluster_loss(outputs.squared_distances, widths=widths)
            value += cluster_weight * jnp.mean(near)
        return value

    def step(carry, _):
        params, state, best, least = carry
        value, grads = jax.value_and_grad(total)(params)
        best = _keep(value < least, params, best)
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state, best, jnp.minimum(value, least)), value

    start = params, optimizer.init(params), params, jnp.float32(jnp.inf)
    (last, _, best, least), losses = lax.scan(step, start, length=num_steps)
    return _keep(total(last) < least, last, best), losses


def _keep(condition, new, old):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


@functools.partial(jax.jit, static_argnums=0)
def _apply(head: RBFHead, params: Params, x: Array) -> RBFOutputs:
    return head.apply({"params": params}, x)  # pyright: ignore[reportReturnType]
