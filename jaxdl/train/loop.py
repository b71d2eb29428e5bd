"""The one training loop: advance, log, evaluate, save, stop when asked."""

from collections.abc import Callable
from dataclasses import dataclass

import jax

from jaxdl.errors import NonFiniteError
from jaxdl.train.advance import Advance
from jaxdl.train.state import Statistics, TrainState, clear_totals


@dataclass(frozen=True)
class Intervals:
    """Every how many steps something happens; the last step counts as a multiple."""

    log: int
    evaluate: int
    checkpoint: int

    def __post_init__(self) -> None:
        for name in ("log", "evaluate", "checkpoint"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1 step, got {getattr(self, name)}"
                )


@dataclass(frozen=True)
class Hooks:
    """What the loop calls; each may block, none may change the state.

    Attributes:
      log: (step, statistics of the steps since the last log).
      evaluate: (state) -> False when it was cut short.
      checkpoint: (state) -> None; called with a finite state only.
      progress: (step) after every dispatch.
      should_stop: asked after every dispatch.
    """

    log: Callable[[int, Statistics], None]
    evaluate: Callable[[TrainState], bool]
    checkpoint: Callable[[TrainState], None]
    progress: Callable[[int], None] = lambda step: None
    should_stop: Callable[[], bool] = lambda: False


def train(
    state: TrainState,
    advance: Advance,
    *,
    num_steps: int,
    intervals: Intervals,
    hooks: Hooks,
    max_steps: int = 1,
    evaluate_first: bool = False,
) -> TrainState:
    """Runs the steps from `state.step` to `num_steps`.

    Args:
      state: where to start; its buffers are taken over.
      advance: see `jaxdl.train.Advance`.
      num_steps: the step to stop before.
      intervals: when to log, evaluate and save; an evaluation is always followed by
        a save, as it may be of the best state.
      hooks: what to do then.
      max_steps: the most steps `advance` takes per dispatch.
      evaluate_first: evaluate before the first step: a run that was interrupted
        during an evaluation repeats it.

    Returns:
      The state after the last step, or after the step during which a stop was asked
      for; that one has been handed to `hooks.checkpoint`.

    Raises:
      NonFiniteError: a step was not finite; the message names it. The state before
        that step is in the error's `state`.
    """
    step = saved = int(state.step)
    finished = True
    if evaluate_first:
        finished = hooks.evaluate(state)
        # Saved again, now with its score: it may be the best.
        hooks.checkpoint(state)
    while finished and step < num_steps and not hooks.should_stop():
        count = min(max_steps, _next_event(step, num_steps, intervals) - step)
        state = advance(state, step, count)
        step += count
        hooks.progress(step)
        if _due(step, intervals.log, num_steps):
            _check_finite(state)
            hooks.log(step, jax.device_get(state.totals))
            state = state.replace(totals=clear_totals(state.totals))  # pyright: ignore[reportAttributeAccessIssue]
        is_evaluated = _due(step, intervals.evaluate, num_steps)
        if is_evaluated:
            _check_finite(state)
            finished = hooks.evaluate(state)
        if is_evaluated or _due(step, intervals.checkpoint, num_steps):
            _check_finite(state)
            hooks.checkpoint(state)
            saved = step
    if saved != step:
        _check_finite(state)
        hooks.checkpoint(state)
    return state


def _due(step: int, interval: int, num_steps: int) -> bool:
    return step % interval == 0 or step == num_steps


def _next_event(step: int, num_steps: int, intervals: Intervals) -> int:
    every = (intervals.log, intervals.evaluate, intervals.checkpoint)
    return min(num_steps, *((step // n + 1) * n for n in every))


def _check_finite(state: TrainState) -> None:
    if bool(state.finite):
        return
    step = int(state.step)
    error = NonFiniteError(f"step {step}: the loss or a gradient is not finite")
    error.state = state  # pyright: ignore[reportAttributeAccessIssue]
    raise error
