"""The device mesh: `data` splits the batch, `model` splits parameters."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh


def make_mesh(
    *, data: int = -1, model: int = 1, devices: Sequence[Any] | None = None
) -> Mesh:
    """A mesh with the axes `"data"` and `"model"`.

    Args:
      data: devices along the batch axis; -1 takes all that `model` leaves.
      model: devices along the parameter axis, at least 1.
      devices: the devices to use; all of every process by default. A mesh smaller
        than this list takes its first ones.

    Returns:
      A mesh whose axes are `AxisType.Auto`: XLA places the collectives.

    Raises:
      ValueError: a size below 1 (and not -1 for `data`), more devices asked for
        than there are, or a number of devices that `model` does not divide.

    Example:
      >>> dict(make_mesh(data=1).shape)
      {'data': 1, 'model': 1}
    """
    devices = jax.devices() if devices is None else list(devices)
    count = len(devices)
    if model < 1 or (data < 1 and data != -1):
        raise ValueError(
            f"mesh sizes must be positive (data may be -1), got data={data}, "
            f"model={model}"
        )
    if data == -1:
        if count % model:
            raise ValueError(
                f"model={model} does not divide the {count} devices; "
                f"possible sizes: {list_divisors(count)}"
            )
        data = count // model
    if data * model > count:
        raise ValueError(
            f"data={data} x model={model} needs {data * model} devices, "
            f"there {'is' if count == 1 else 'are'} {count}"
        )
    grid = np.asarray(devices[: data * model]).reshape(data, model)
    return Mesh(grid, ("data", "model"), axis_types=(AxisType.Auto, AxisType.Auto))


def list_divisors(number: int) -> str:
    """The sizes that divide a number, for a message.

    Args:
      number: at least 1.

    Returns:
      Separated by commas.

    Example:
      >>> list_divisors(6)
      '1, 2, 3, 6'
    """
    return ", ".join(str(d) for d in range(1, number + 1) if number % d == 0)
