"""A network some of whose layers are run as layers of low rank."""

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn

from jaxdl.layers import Conv, Dense, Pair
from jaxdl.layers.factored import apply_factored
from jaxdl.linalg.factor import ConvMethod
from jaxdl.trees import named_leaves
from jaxdl.typing import Array, Float, Params


class FactoredLayer(NamedTuple):
    """One layer of a network that is run as a layer of low rank.

    Attributes:
      path: of the layer in the parameters, as "stage1/block0/conv1".
      method: see `jaxdl.layers.FactoredConv`; "channel" for a dense layer.
      rank: for each group; two numbers for "tucker2".
    """

    path: str
    method: ConvMethod
    rank: Pair


class FactoredNetwork(nn.Module):
    """A network with some of its layers replaced by layers of low rank.

    Used as the network itself: the paths of all other variables stay what they were,
    and a replaced layer has `first`, `second` and maybe `core` where it had `kernel`
    and `bias`.

    Attributes:
      network: made of `jaxdl.layers.Conv` and `Dense` at any depth.
      layers: those that are replaced.

    Example:
      >>> import jax
      >>> from jaxdl.models import ImageMLP
      >>> layers = (FactoredLayer("fc1", "channel", 2),)
      >>> model = FactoredNetwork(ImageMLP(num_classes=3, hidden_size=8), layers)
      >>> images = jax.numpy.ones((1, 4, 4, 1))
      >>> variables = model.init(jax.random.key(0), images, train=False)
      >>> variables["params"]["fc1"]["second"]["kernel"].shape
      (2, 8)
    """

    network: nn.Module
    layers: tuple[FactoredLayer, ...]

    def setup(self):
        """Takes the network's own place in the tree of variables."""
        nn.share_scope(self, self.network)

    def __call__(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch classes"]:
        """Scores images.

        Args:
          images: as the network takes them.
          train: handed on.

        Returns:
          What the network gives.
        """
        with nn.intercept_methods(_make_interceptor(self.layers, len(self.path))):
            return self.network(images, train=train)

    def extract(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> Mapping[str, Array]:
        """What the network sees in images, see `jaxdl.models.Network.extract`.

        Args:
          images: as the network takes them.
          train: handed on.

        Returns:
          What the network's own `extract` gives.
        """
        with nn.intercept_methods(_make_interceptor(self.layers, len(self.path))):
            return self.network.extract(images, train=train)


def restore_factored(network: nn.Module, params: Params) -> FactoredNetwork:
    """The network that compressed parameters belong to, from their shapes.

    Args:
      network: the one that was compressed, with the same options.
      params: parameters of a `FactoredNetwork` of it, as read from a file, or their
        shapes.

    Returns:
      A network to apply them with.

    Raises:
      ValueError: no layer of the parameters is factored.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.models import ImageMLP
      >>> network = ImageMLP(num_classes=3, hidden_size=8)
      >>> parts = {"first": {"kernel": jnp.ones((16, 2))}}
      >>> parts["second"] = {"kernel": jnp.ones((2, 8)), "bias": jnp.ones(8)}
      >>> restore_factored(network, {"fc1": parts}).layers
      (FactoredLayer(path='fc1', method='channel', rank=2),)
    """
    flat = named_leaves(params)
    layers = []
    for name, first in flat.items():
        path, _, ending = name.rpartition("/first/")
        second = flat.get(f"{path}/second/kernel")
        if ending == "kernel" and second is not None:
            core = flat.get(f"{path}/core/kernel")
            layers.append(_read_layer(path, first.shape, second.shape, core))
    if not layers:
        raise ValueError(
            "restore_factored: wanted parameters with factored layers, which have "
            f"'first' and 'second'; got {', '.join(flat) or 'none'}"
        )
    return FactoredNetwork(network, tuple(layers))


def _read_layer(path, first, second, core):
    if core is not None:
        return FactoredLayer(path, "tucker2", (core.shape[2], second[2]))
    is_spatial = len(second) == 4 and second[1] > 1
    return FactoredLayer(path, "spatial" if is_spatial else "channel", second[-2])


def _make_interceptor(layers, depth):
    """Runs the layers named as layers of low rank, and all others as they are."""
    by_path = {layer.path: layer for layer in layers}

    def intercept(next_call, args, kwargs, context):
        module = context.module
        if type(module) in (Conv, Dense) and context.method_name == "__call__":
            layer = by_path.get("/".join(module.path[depth:]))
            if layer is not None:
                rank, method = layer.rank, layer.method
                return apply_factored(module, *args, rank=rank, method=method)
        return next_call(*args, **kwargs)

    return intercept
