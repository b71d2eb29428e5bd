"""Efficiencies that others measured, beside what the forecast says of them."""

from dataclasses import dataclass

from jaxdl.costs.forecasts import Exchange, forecast
from jaxdl.costs.links import Link, Network


@dataclass(frozen=True)
class PublishedEfficiency:
    """A measured efficiency, and the assumptions under which to forecast it.

    Attributes:
      name: of the setting.
      base_devices: number of devices that the efficiency is against.
      devices: number of devices it was measured on.
      efficiency: as published, of weak scaling, in [0, 1].
      source: where.
      compute_seconds: of a step on one device: from published times.
      exchanges: of a step: counted from the layout, not published.
      network: assumed; bandwidths are those of data sheets, in one direction.
      assumptions: where these numbers are from.
    """

    name: str
    base_devices: int
    devices: int
    efficiency: float
    source: str
    compute_seconds: float
    exchanges: tuple[Exchange, ...]
    network: Network
    assumptions: str


_RESNET50_BYTES = 25_600_000 * 4
_DGX_A100 = Network(Link(5e-6, 300e9), Link(1e-5, 200e9), 8)
_DGX2 = Network(Link(5e-6, 150e9), Link(1e-5, 100e9), 16)
_P100_NODES = Network(Link(5e-6, 20e9), Link(2e-5, 6.25e9), 8)

_DGX_A100_WORDS = (
    "256 images per GPU; 25.6M gradients in float32, exchanged after the backward "
    "pass; NVSwitch at 300 GB/s per direction (data sheet), 5 us per message (a "
    "guess); input always in time"
)
_MEGATRON_WORDS = (
    "1288 ms of computing on any number of GPUs; layers and widths of the 2019 paper's "
    "nearest models (arXiv:1909.08053), as these are not published; 8 x 1024 tokens; 6 "
    "all-reduces of activations in 16 bits per layer: 2 forward, 2 again as these are "
    "recomputed, 2 backward, nothing hidden; NVSwitch at 150 GB/s per direction (data "
    "sheet), 5 us per message (a guess)"
)


def _list_megatron(
    num_gpus: int, efficiency: float, num_layers: int, width: int
) -> PublishedEfficiency:
    activations = Exchange("all-reduce", 8 * 1024 * width * 2, count=6 * num_layers)
    return PublishedEfficiency(
        name=f"Megatron-LM 1.0, {num_gpus}-way tensor parallel",
        base_devices=1,
        devices=num_gpus,
        efficiency=efficiency,
        source="nv-adlr.github.io/MegatronLMV1, table 1",
        compute_seconds=1.288,
        exchanges=(activations,),
        network=_DGX2,
        assumptions=_MEGATRON_WORDS,
    )


def _list_dgx_a100(
    name: str, images_per_second: float, speedup: float, source: str
) -> PublishedEfficiency:
    return PublishedEfficiency(
        name=name,
        base_devices=1,
        devices=8,
        efficiency=speedup / 8,
        source=source,
        compute_seconds=256 / images_per_second,
        exchanges=(Exchange("all-reduce", _RESNET50_BYTES),),
        network=_DGX_A100,
        assumptions=f"{images_per_second:g} images/s on 1 GPU; {_DGX_A100_WORDS}",
    )


PUBLISHED_EFFICIENCIES = (
    PublishedEfficiency(
        name="ResNet-50, 8 to 256 P100",
        base_devices=8,
        devices=256,
        efficiency=0.90,
        source="Goyal et al. 2017, arXiv:1706.02677, abstract",
        # 29 hours for 90 epochs on 8 P100; 32 images per GPU.
        compute_seconds=32 * 8 * 29 * 3600 / (90 * 1_281_167),
        exchanges=(Exchange("all-reduce", _RESNET50_BYTES),),
        network=_P100_NODES,
        assumptions="138 images/s per GPU, from 29 hours for 90 epochs on 8 (NVIDIA's "
        "page on the paper); 32 images per GPU; 25.6M gradients in float32, exchanged "
        "after the backward pass; one 50 Gbit/s adapter per node of 8; a 20 GB/s "
        "NVLink inside; 5 and 20 us per message (guesses)",
    ),
    _list_megatron(2, 0.907, 54, 1920),
    _list_megatron(4, 0.865, 64, 2304),
    _list_megatron(8, 0.796, 72, 3072),
    _list_dgx_a100(
        "ResNet-50, DGX A100, MXNet, 16 bits",
        2180.0,
        7.76,
        "NVIDIA DeepLearningExamples, MXNet RN50v1.5",
    ),
    _list_dgx_a100(
        "ResNet-50, DGX A100, PyTorch, TF32",
        938.0,
        7.72,
        "NVIDIA DeepLearningExamples, PyTorch resnet50v1.5",
    ),
    _list_dgx_a100(
        "ResNet-50, DGX A100, PyTorch, mixed precision",
        2470.0,
        6.72,
        "NVIDIA DeepLearningExamples, PyTorch resnet50v1.5",
    ),
)
"""Measured by others; no number of the forecast was chosen to fit them."""


def predict_efficiency(setting: PublishedEfficiency) -> float:
    """What the forecast says of a published efficiency, with nothing hidden.

    Args:
      setting: one of `PUBLISHED_EFFICIENCIES`, or your own.

    Returns:
      Efficiency of weak scaling against the setting's base.

    Raises:
      ValueError: the setting holds what `forecast` refuses.

    Source:
      `forecast`, under the assumptions of the setting.

    Example:
      >>> print(f"{predict_efficiency(PUBLISHED_EFFICIENCIES[0]):.3f}")
      0.880
    """
    table = forecast(
        setting.compute_seconds,
        [setting.base_devices, setting.devices],
        exchanges=setting.exchanges,
        network=setting.network,
    )
    return table.efficiency_from(setting.base_devices)[1]


def compare_published() -> list[dict[str, str | int | float]]:
    """Published efficiencies beside forecast ones, as rows of a table.

    Returns:
      Name, devices, what is published, what is predicted, and predicted less published,
      as shares of 1.

    Example:
      >>> for row in compare_published():
      ...     print(f"{row['name']}: {100 * row['error']:+.1f} points")
      ResNet-50, 8 to 256 P100: -2.0 points
      Megatron-LM 1.0, 2-way tensor parallel: +4.1 points
      Megatron-LM 1.0, 4-way tensor parallel: +2.7 points
      Megatron-LM 1.0, 8-way tensor parallel: +2.3 points
      ResNet-50, DGX A100, MXNet, 16 bits: +2.4 points
      ResNet-50, DGX A100, PyTorch, TF32: +3.3 points
      ResNet-50, DGX A100, PyTorch, mixed precision: +15.4 points
    """
    rows: list[dict[str, str | int | float]] = []
    for setting in PUBLISHED_EFFICIENCIES:
        predicted = predict_efficiency(setting)
        rows.append(
            {
                "name": setting.name,
                "base_devices": setting.base_devices,
                "devices": setting.devices,
                "published": setting.efficiency,
                "predicted": predicted,
                "error": predicted - setting.efficiency,
                "source": setting.source,
                "assumptions": setting.assumptions,
            }
        )
    return rows
