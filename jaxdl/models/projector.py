"""The dense layers between features and the embeddings that a loss compares."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.layers import Dense, Style, torch_uniform, torch_uniform_bias
from jaxdl.models.splits import Splits, split_pair
from jaxdl.typing import Array, Float


class Projector(nn.Module, kw_only=True):
    """Dense layers, each but the last followed by a norm and an activation.

    Children `dense1`, `norm1`, `dense2` and so on. Kernels and biases start as in
    PyTorch's Linear. Parameters and running statistics are float32.

    Attributes:
      widths: outputs of each layer, at least one layer; the last is the length of the
        embeddings.
      use_bias: whether dense layers have a bias. A norm takes it away again where one
        follows, and the loss of Barlow Twins does after the last layer.
      norm: a key of `NORMS`, or "none".
      activation: a key of `ACTIVATIONS`.
      dtype: in which layers compute.

    Raises:
      ValueError: there is no layer, a width is below 1, or a name is unknown.

    Source:
      Zbontar et al. 2021, section 2.2, arXiv:2103.03230; without biases as in the
      authors' code.

    Example:
      >>> import functools, jax
      >>> init = functools.partial(Projector(widths=(16, 8)).init, train=False)
      >>> params = jax.eval_shape(init, jax.random.key(0), jnp.ones((2, 4)))["params"]
      >>> sorted(params), params["dense2"]["kernel"].shape
      (['dense1', 'dense2', 'norm1'], (16, 8))
    """

    widths: tuple[int, ...] = (8192, 8192, 8192)
    use_bias: bool = False
    norm: str = "batch"
    activation: str = "relu"
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Checks the widths and the names before anything is built on them."""
        if not self.widths or min(self.widths) < 1:
            raise ValueError(
                "Projector: widths must be at least one number, each at least 1, got "
                f"{self.widths}"
            )
        super().__post_init__()
        self._make_style()

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Layers two by two; an odd last one by its outputs, the embeddings."""
        splits, count = (), len(self.widths)
        for index in range(1, count, 2):
            splits += split_pair(
                f"dense{index}", f"dense{index + 1}", between=f"norm{index}"
            )
        return (*splits, (f"dense{count}/", "outputs")) if count % 2 else splits

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch features"], *, train: bool
    ) -> Float[Array, "batch embeddings"]:
        """Projects features.

        Args:
          features: vectors.
          train: normalise by the statistics of the batch and update the running ones.

        Returns:
          Embeddings, not normalised, as float32 for the loss.
        """
        style, x = self._make_style(), features
        for index, width in enumerate(self.widths, start=1):
            dense = Dense(
                width,
                use_bias=self.use_bias,
                dtype=self.dtype,
                kernel_init=style.kernel_init,
                bias_init=style.bias_init,
                name=f"dense{index}",
            )
            x = dense(x)
            if index < len(self.widths):
                norm = style.make_norm(f"norm{index}")
                x = style.activate(norm(x, train=train))
        return x.astype(jnp.float32)

    @nn.nowrap
    def _make_style(self) -> Style:
        return Style(
            norm=None if self.norm == "none" else self.norm,
            activation=self.activation,
            kernel_init=torch_uniform(),
            bias_init=torch_uniform_bias,
            dtype=self.dtype,
        )
