"""What compressing a network changed, by layer and in all."""

from dataclasses import asdict, dataclass
from typing import Any

from jaxdl.layers import Pair
from jaxdl.linalg.factor import ConvMethod


@dataclass(frozen=True)
class LayerReport:
    """A layer before and after.

    Attributes:
      path: in the parameters.
      shape: of its kernel.
      method: by which it was factored, None if it stayed as it was.
      rank: for each group; two numbers for Tucker-2.
      parameters_before: of kernel and bias.
      parameters_after: of all parts.
      macs_before: multiply-accumulates for one image.
      macs_after: of all parts.
      relative_error: of the Frobenius norm of the kernel, or of its outputs where
        these were known, in [0, 1].
    """

    path: str
    shape: tuple[int, ...]
    method: ConvMethod | None
    rank: Pair | None
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    relative_error: float


@dataclass(frozen=True)
class CompressionReport:
    """A network before and after.

    Attributes:
      layers: those that might have been factored, in the order they are run.
      network_parameters_before: of the whole network.
      network_parameters_after: of the whole network.
      network_macs_before: of the whole network, for one image.
      network_macs_after: of the whole network.
    """

    layers: tuple[LayerReport, ...]
    network_parameters_before: int
    network_parameters_after: int
    network_macs_before: int
    network_macs_after: int

    @property
    def parameters_before(self) -> int:
        """Of the layers."""
        return sum(layer.parameters_before for layer in self.layers)

    @property
    def parameters_after(self) -> int:
        """Of the layers."""
        return sum(layer.parameters_after for layer in self.layers)

    @property
    def macs_before(self) -> int:
        """Of the layers, for one image."""
        return sum(layer.macs_before for layer in self.layers)

    @property
    def macs_after(self) -> int:
        """Of the layers, for one image."""
        return sum(layer.macs_after for layer in self.layers)

    def list_rows(self) -> list[dict[str, Any]]:
        """A row of a table for each layer, then "layers" and "network" with the sums.

        Returns:
          Values by column; shapes and pairs of ranks are text such as "3x3x16x32".
        """
        rows = [
            {**asdict(layer), "shape": _spell(layer.shape), "rank": _spell(layer.rank)}
            for layer in self.layers
        ]
        for path, prefix in (("layers", ""), ("network", "network_")):
            names = ("parameters_before", "parameters_after", "macs_before")
            sums = {n: getattr(self, prefix + n) for n in (*names, "macs_after")}
            rows.append({"path": path, **sums})
        return rows


def _spell(sizes):
    return "x".join(map(str, sizes)) if isinstance(sizes, tuple) else sizes
