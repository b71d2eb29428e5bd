"""Learning rate as a function of the step: pure, float32, fine under `jit`."""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxdl.typing import Array, Float

Schedule = Callable[[ArrayLike], Array]
"""The learning rate at a step, counted from 0; beyond the last step it stays."""

Rate = float | Schedule
"""A learning rate, or a function from the step to it."""


def constant_schedule(learning_rate: float, *, warmup_steps: int = 0) -> Schedule:
    """Makes a learning rate that stays the same.

    Args:
      learning_rate: at least 0.
      warmup_steps: steps over which it rises from 0 in a straight line.

    Returns:
      A function of the step.

    Raises:
      ValueError: an argument is out of range.

    Example:
      >>> constant_schedule(0.1, warmup_steps=2)(1)
      Array(0.05, dtype=float32)
    """
    _check("constant_schedule", learning_rate, warmup_steps=warmup_steps)

    def schedule(step):
        return _float32(step) * 0.0 + learning_rate

    return _with_warmup(schedule, warmup_steps)


def cosine_schedule(
    learning_rate: float, *, num_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> Schedule:
    """Makes a learning rate that falls along half a cosine.

    Args:
      learning_rate: at the end of the warm-up, at least 0.
      num_steps: the step at which it has fallen to `final`.
      warmup_steps: steps over which it first rises from 0 in a straight line; below
        `num_steps`.
      final: learning rate at the end, in [0, learning_rate].

    Returns:
      A function of the step.

    Raises:
      ValueError: an argument is out of range.

    Source:
      Loshchilov and Hutter 2017, equation 5, arXiv:1608.03983, without restarts.

    Example:
      >>> cosine_schedule(0.5, num_steps=10)(5).round(4)
      Array(0.25, dtype=float32)
    """
    name = "cosine_schedule"
    _check(name, learning_rate, num_steps=num_steps, warmup_steps=warmup_steps)
    if not 0 <= final <= learning_rate:
        raise ValueError(
            f"{name}: final must be in [0, learning_rate={learning_rate}], got {final}"
        )

    def schedule(step):
        progress = (_float32(step) - warmup_steps) / (num_steps - warmup_steps)
        return _cosine(learning_rate, final, progress)

    return _with_warmup(schedule, warmup_steps)


def step_schedule(
    learning_rate: float,
    *,
    milestones: Sequence[int],
    factor: float = 0.1,
    warmup_steps: int = 0,
) -> Schedule:
    """Makes a learning rate that is multiplied by a factor at each milestone.

    Args:
      learning_rate: before the first milestone, at least 0.
      milestones: steps, ascending; at the milestone itself the new rate holds.
      factor: above 0.
      warmup_steps: steps over which it first rises from 0 in a straight line.

    Returns:
      A function of the step.

    Raises:
      ValueError: an argument is out of range, or there is no milestone.

    Example:
      >>> step_schedule(1.0, milestones=[100, 200], factor=0.5)(150)
      Array(0.5, dtype=float32)
    """
    name = "step_schedule"
    _check(name, learning_rate, warmup_steps=warmup_steps)
    milestones = tuple(milestones)
    if not milestones or milestones[0] < 0 or milestones != tuple(sorted(milestones)):
        raise ValueError(
            f"{name}: milestones must be ascending steps, at least one, "
            f"got {milestones}"
        )
    if not factor > 0:
        raise ValueError(f"{name}: factor must be above 0, got {factor}")

    def schedule(step):
        rate = _float32(step) * 0.0 + learning_rate
        for index, milestone in enumerate(milestones, start=1):
            # Compared as integers: float32 is off by one beyond 2**24 steps.
            is_past = jnp.asarray(step) >= milestone
            rate = jnp.where(is_past, learning_rate * factor**index, rate)
        return rate

    return _with_warmup(schedule, warmup_steps)


def one_cycle_schedule(
    learning_rate: float,
    *,
    num_steps: int,
    peak_at: float = 0.3,
    start_divisor: float = 25.0,
    final_divisor: float = 1e4,
) -> Schedule:
    """Makes a learning rate that rises to a peak and falls to almost nothing.

    Args:
      learning_rate: at the peak, at least 0.
      num_steps: the step at which it has fallen to
        `learning_rate / start_divisor / final_divisor`.
      peak_at: where the peak is, as a share of `num_steps`, in (0, 1).
      start_divisor: the first rate is `learning_rate / start_divisor`; at least 1.
      final_divisor: the last rate is the first divided by this; at least 1.

    Returns:
      A function of the step.

    Raises:
      ValueError: an argument is out of range.

    Source:
      Smith and Topin 2018, arXiv:1708.07120, with half cosines both ways, as in
      PyTorch's `OneCycleLR` and fastai. Differs from PyTorch: `num_steps` is where
      the last rate is reached, not the number of rates.

    Example:
      >>> one_cycle_schedule(1.0, num_steps=10)(3)
      Array(1., dtype=float32)
    """
    name = "one_cycle_schedule"
    _check(name, learning_rate, num_steps=num_steps)
    if not 0 < peak_at < 1:
        raise ValueError(f"{name}: peak_at must be in (0, 1), got {peak_at}")
    if not (start_divisor >= 1 and final_divisor >= 1):
        raise ValueError(
            f"{name}: start_divisor and final_divisor must be at least 1, "
            f"got {start_divisor} and {final_divisor}"
        )
    first = learning_rate / start_divisor
    peak_step = peak_at * num_steps

    def schedule(step):
        step = _float32(step)
        rise = _cosine(first, learning_rate, step / peak_step)
        fall = _cosine(
            learning_rate,
            first / final_divisor,
            (step - peak_step) / (num_steps - peak_step),
        )
        return jnp.where(step < peak_step, rise, fall)

    return schedule


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant_schedule,
    "cosine": cosine_schedule,
    "one_cycle": one_cycle_schedule,
    "step": step_schedule,
}


def make_schedule(
    name: str,
    *,
    learning_rate: float,
    num_steps: int,
    warmup_steps: int = 0,
    milestones: Sequence[int] = (),
    factor: float = 0.1,
    final: float = 0.0,
) -> Schedule:
    """Makes a schedule by its name in `SCHEDULES`.

    Args:
      name: `constant`, `cosine`, `one_cycle` or `step`.
      learning_rate: the highest rate, at least 0.
      num_steps: steps of the whole run.
      warmup_steps: linear warm-up; not for `one_cycle`, which has its own.
      milestones: steps at which the rate drops; for `step` alone.
      factor: what a milestone multiplies the rate by; for `step` alone.
      final: rate at the end; for `cosine` alone.

    Returns:
      A function of the step; `schedule(step)` is also the number to log.

    Raises:
      ValueError: the name is unknown, an argument is out of range, or one was set
        that this schedule does not read.

    Example:
      >>> make_schedule("cosine", learning_rate=0.5, num_steps=10)(5).round(4)
      Array(0.25, dtype=float32)
    """
    if name not in SCHEDULES:
        raise ValueError(
            f"make_schedule: name must be one of {', '.join(SCHEDULES)}, got {name!r}"
        )
    _check("make_schedule", learning_rate, num_steps=num_steps)
    options: dict[str, Any] = {
        "num_steps": num_steps,
        "warmup_steps": warmup_steps,
        "milestones": tuple(milestones),
        "factor": factor,
        "final": final,
    }
    unset = {"warmup_steps": 0, "milestones": (), "factor": 0.1, "final": 0.0}
    read = inspect.signature(SCHEDULES[name]).parameters
    for option, default in unset.items():
        if option not in read and options[option] != default:
            raise ValueError(
                f"make_schedule: {name!r} does not read {option}, "
                f"got {option}={options[option]}"
            )
    chosen = {option: value for option, value in options.items() if option in read}
    return SCHEDULES[name](learning_rate, **chosen)


def _check(name, learning_rate, *, num_steps=None, warmup_steps=0) -> None:
    """Raises ValueError for what no schedule takes."""
    if not (learning_rate >= 0 and math.isfinite(learning_rate)):
        raise ValueError(
            f"{name}: learning_rate must be finite and at least 0, got {learning_rate}"
        )
    if num_steps is not None and num_steps < 1:
        raise ValueError(f"{name}: num_steps must be at least 1, got {num_steps}")
    if warmup_steps < 0:
        raise ValueError(f"{name}: warmup_steps must be at least 0, got {warmup_steps}")
    if num_steps is not None and warmup_steps >= num_steps:
        raise ValueError(
            f"{name}: warmup_steps must be below num_steps={num_steps}, "
            f"got {warmup_steps}"
        )


def _float32(step) -> Float[Array, ""]:
    return jnp.asarray(step).astype(jnp.float32)


def _cosine(start, end, progress):
    """From start to end along half a cosine, as progress goes from 0 to 1."""
    progress = jnp.clip(progress, 0.0, 1.0)
    return end + (start - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


def _with_warmup(schedule: Schedule, warmup_steps: int) -> Schedule:
    """The schedule, multiplied by step / warmup_steps until that is 1."""
    if warmup_steps == 0:
        return schedule
    return lambda step: schedule(step) * jnp.minimum(_float32(step) / warmup_steps, 1.0)
