"""Where a step went wrong: the first array that is not finite."""

from collections.abc import Callable, Mapping

import jax

from jaxdl.train.state import LossFunction, TrainState
from jaxdl.train.step import make_gradient
from jaxdl.trees import first_nonfinite
from jaxdl.typing import Array, Batch


def find_nonfinite(
    loss_fn: LossFunction,
    state: TrainState,
    batch: Batch,
    *,
    accumulate: int = 1,
    activations_fn: Callable[..., Mapping[str, Array]] | None = None,
) -> str | None:
    """Repeats the step that follows `state` and names its first bad array.

    Looks, in this order, at the batch, the parameters and model state before the
    step, the activations, the loss, the model state after it, and the gradient.

    Args:
      loss_fn: see `jaxdl.train.LossFunction`.
      state: the state before the bad step, as `NonFiniteError.state` holds it.
      batch: the batch of that step.
      accumulate: as in `make_train_step`.
      activations_fn: `activations_fn(params, model_state, batch, *, key)` gives the
        arrays between batch and loss by name, in the order they are computed.

    Returns:
      A path such as `"activation/stage1/block0/conv1"`, or None when all of these are
      finite (then the update overflowed).
    """
    before = {
        "batch": batch,
        "params": state.params,
        "model_state": state.model_state,
    }
    found = first_nonfinite(before)
    if found is not None:
        return found
    key = jax.random.fold_in(state.key, state.step)
    if activations_fn is not None:
        activations = activations_fn(state.params, state.model_state, batch, key=key)
        for name, array in activations.items():
            if first_nonfinite(array) is not None:
                return f"activation/{name}"
    gradient = jax.jit(make_gradient(loss_fn, accumulate=accumulate))
    loss, grads, model_state, _ = gradient(
        state.params, state.model_state, batch, key=key
    )
    for name, tree in (
        ("loss", loss),
        ("new model_state", model_state),
        ("gradient", grads),
    ):
        found = first_nonfinite({name: tree})
        if found is not None:
            return found
    return None
