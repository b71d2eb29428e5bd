"""What a training run carries from step to step."""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from jaxdl.parallel import place_tree
from jaxdl.train.noise import init_measured
from jaxdl.typing import Array, Batch, PRNGKey

Statistics = Any
"""A tree of sums over examples; two of them merge by addition."""

LossFunction = Callable[..., tuple[Array, tuple[Any, Statistics]]]
"""`loss_fn(params, model_state, batch, *, key) -> (loss, (model_state, statistics))`.

The loss is the mean over the batch; the statistics are sums over it."""


@flax.struct.dataclass
class TrainState:
    """Everything a resumed run needs to repeat an uninterrupted one bit for bit.

    Its fields are not typed further, as trees of shapes and of shardings take the same
    form.

    Attributes:
      step: number of updates done; int32 scalar.
      params: the parameters.
      model_state: the other variable collections, such as running statistics.
      optimizer_state: as optax keeps it.
      ema_params: moving average of the parameters, or None.
      key: typed scalar key, the source of the run's randomness; never changes.
      totals: statistics of the steps since they were last logged, summed.
      finite: bool scalar; False from the first step on whose loss, gradient or result
        was not finite. That step and all later ones leave the rest as it was.
    """

    step: Any
    params: Any
    model_state: Any
    optimizer_state: Any
    ema_params: Any
    key: Any
    totals: Any
    finite: Any


def init_variables(
    model: nn.Module, image_shape: tuple[int, int, int], *, key: PRNGKey
) -> dict[str, Any]:
    """Initial variables of an image network, as `model.init` draws them.

    Args:
      model: called as `model(images, train=False)`.
      image_shape: height, width, channels.
      key: seeds the initialisers.

    Returns:
      The variable collections; `"params"` is always there.
    """
    images = jnp.zeros((1, *image_shape), jnp.float32)
    # On CPU, compiling `init` at full optimisation costs more than the train step;
    # level 1 draws bit-identical numbers.
    options: Any = None
    if jax.default_backend() == "cpu":
        options = {"xla_backend_optimization_level": 1}
    init = jax.jit(lambda key: model.init(key, images, train=False))
    return init.lower(key).compile(compiler_options=options)(key)


def init_train_state(
    variables: dict[str, Any],
    loss_fn: LossFunction,
    optimizer: optax.GradientTransformation,
    batch: Batch,
    *,
    ema: bool = False,
    noise_scale: bool = False,
    key: PRNGKey,
) -> TrainState:
    """The state before the first step.

    Args:
      variables: collections with `"params"`; the others become `model_state`.
      loss_fn: the training loss; traced, not run, to learn its statistics.
      optimizer: makes the optimiser state.
      batch: one batch, or `jax.ShapeDtypeStruct`s like it.
      ema: keep an exponential moving average of the parameters.
      noise_scale: as in `make_train_step`.
      key: the source of all randomness of the run.

    Returns:
      A state of uncommitted arrays; place it with `jax.device_put`.
    """
    variables = dict(variables)
    params = variables.pop("params")
    trace = jax.eval_shape(
        lambda p, s, b, k: loss_fn(p, s, b, key=k), params, variables, batch, key
    )
    totals = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), trace[1][1])
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=variables,
        optimizer_state=optimizer.init(params),
        # A copy: the state's buffers are donated, and none may be donated twice.
        ema_params=jax.tree.map(jnp.copy, params) if ema else None,
        key=key,
        totals=init_measured(totals) if noise_scale else totals,
        finite=jnp.ones((), bool),
    )
    return jax.tree.map(_strengthen, state)


def _strengthen(leaf: Array) -> Array:
    """Drops JAX's weak typing, which the first update would: a second compile."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    return jax.lax.convert_element_type(leaf, leaf.dtype)


def clear_totals(totals: Statistics) -> Statistics:
    """The same statistics over no examples, placed alike.

    Equal placement matters: with another one the train step would compile again.
    """
    return jax.tree.map(
        lambda leaf: place_tree(np.zeros(leaf.shape, leaf.dtype), leaf.sharding),
        totals,
    )


def state_items(state: TrainState) -> dict[str, Any]:
    """A state as the two items of a checkpoint.

    Args:
      state: arrays or `jax.ShapeDtypeStruct`s.

    Returns:
      `"weights"`, all that scoring needs, and `"training"`, what resuming needs on
      top. The key is its raw words.
    """
    weights = {"params": state.params, "model_state": state.model_state}
    if state.ema_params is not None:
        weights["ema_params"] = state.ema_params
    return {
        "weights": weights,
        "training": {
            "optimizer_state": state.optimizer_state,
            "key": jax.random.key_data(state.key),
            "totals": state.totals,
        },
    }


def state_from_items(
    items: dict[str, Any], *, like: TrainState, step: int
) -> TrainState:
    """The state that `state_items` took apart.

    Args:
      items: both items, restored.
      like: a state of the same run; gives the key's kind and the placement.
      step: the step the items were saved after.

    Returns:
      A state on the devices of `like`.
    """
    weights, training = items["weights"], items["training"]
    key = jax.random.wrap_key_data(training["key"], impl=jax.random.key_impl(like.key))
    return like.replace(  # pyright: ignore[reportAttributeAccessIssue]
        step=place_tree(jnp.int32(step), like.step.sharding),
        params=weights["params"],
        model_state=weights["model_state"],
        optimizer_state=training["optimizer_state"],
        ema_params=weights.get("ema_params"),
        key=jax.device_put(key, like.key.sharding),
        totals=training["totals"],
    )
