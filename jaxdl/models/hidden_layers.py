"""The dense layers between the last map and the head, of AlexNet and VGG."""

from jaxdl.layers import adaptive_average_pool
from jaxdl.models.network import Network
from jaxdl.typing import Array, Float


def apply_hidden_layers(
    network: Network,
    x: Float[Array, "batch height width channels"],
    *,
    side: int,
    hidden_size: int,
    train: bool,
) -> Float[Array, "batch features"]:
    """Pools to a square, flattens it, and applies `fc1` and `fc2`.

    Called inside the network's compact method.

    Args:
      network: gives the style, and where values are dropped.
      x: the last map.
      side: of the square that the map is averaged to.
      hidden_size: of both layers.
      train: drop values.

    Returns:
      The activations of `fc2`. The square is flattened by rows, columns, then
      channels; PyTorch puts channels first.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jaxdl.models import VGG
      >>> model, x = VGG(depth=11, num_classes=3, width=1), jnp.ones((1, 32, 32, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> params = jax.eval_shape(init, jax.random.key(0), x)["params"]
      >>> params["fc1"]["kernel"].shape, params["fc2"]["kernel"].shape
      ((392, 4096), (4096, 4096))
    """
    style = network.style
    x = adaptive_average_pool(x, size=side)
    x = x.reshape(x.shape[0], -1)
    for name in ("fc1", "fc2"):
        x = network.apply_dense(
            x, hidden_size, name=name, train=train, dtype=style.dtype
        )
        x = style.activate(x)
    return x
