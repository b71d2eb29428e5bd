"""How much of what devices could compute a training uses."""

from collections.abc import Mapping
from types import MappingProxyType

from jaxdl.costs.checks import Number, check_count, check_number

_TERA = 1e12
_SHEETS = {
    "A100": (312.0, 156.0, 19.5),
    "H100": (989.4, 494.7, 66.9),
    "H100 PCIe": (756.0, 378.0, 51.0),
    "H100 NVL": (835.5, 417.5, 60.0),
    "H200": (989.4, 494.7, 66.9),
}

PEAK_FLOPS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        device: MappingProxyType(
            {
                "bfloat16": bfloat16 * _TERA,
                "tf32": tf32 * _TERA,
                "float32": float32 * _TERA,
            }
        )
        for device, (bfloat16, tf32, float32) in _SHEETS.items()
    }
)
"""FLOP per second by device and by the format that it multiplies in.

Of dense matrices, from NVIDIA's data sheets: of A100, and of H100 and H200, where those
of tensor cores are told with sparsity, which is twice as much. A name without a form is
that of the SXM module. "tf32" is what JAX multiplies float32 in on these devices unless
told otherwise; "float32" is without tensor cores.
"""


def find_peak_flops(device_kind: str, kind: str) -> float | None:
    """What a device can compute at most, if the table knows it.

    Args:
      device_kind: as the device calls itself, such as "NVIDIA H200".
      kind: "bfloat16", "tf32" or "float32".

    Returns:
      FLOP per second; None for a device that is not in `PEAK_FLOPS`.

    Raises:
      ValueError: another kind.

    Example:
      >>> find_peak_flops("NVIDIA H100 80GB HBM3", "bfloat16") / 1e12
      989.4
      >>> find_peak_flops("cpu", "float32") is None
      True
    """
    kinds = tuple(PEAK_FLOPS["A100"])
    if kind not in kinds:
        raise ValueError(f"find_peak_flops: kind must be one of {kinds}, got {kind!r}")
    words = device_kind.replace("-", " ").split()
    found = [name for name in PEAK_FLOPS if set(name.split()) <= set(words)]
    # Of "H100" and "H100 PCIe" the one that says more.
    return PEAK_FLOPS[max(found, key=len)][kind] if found else None


def model_flops_utilization(
    flops: Number, seconds: Number, *, num_devices: int, peak_flops: Number
) -> float:
    """Share of the peak that a step's own arithmetic takes (MFU).

    Args:
      flops: that the step needs, over all devices, at least 0: those of the formula,
        whatever is computed twice or by several devices.
      seconds: that the step takes, above 0.
      num_devices: that take part, at least 1.
      peak_flops: FLOP per second of one of them, above 0; see `PEAK_FLOPS`.

    Returns:
      Below 1, if the numbers are right.

    Raises:
      ValueError: an argument out of range.

    Source:
      Chowdhery et al. 2022, appendix B, arXiv:2204.02311.

    Example:
      >>> model_flops_utilization(4e12, 0.5, num_devices=8, peak_flops=2e12)
      0.5
    """
    where = "model_flops_utilization"
    work = check_number(flops, "flops", where=where)
    time = check_number(seconds, "seconds", where=where, may_be_low=False)
    count = check_count(num_devices, "num_devices", where=where)
    peak = check_number(peak_flops, "peak_flops", where=where, may_be_low=False)
    return work / (time * count * peak)
