import pytest

from jaxdl.costs import PEAK_FLOPS, find_peak_flops, model_flops_utilization


def test_model_flops_utilization_of_a_published_run():
    # Megatron-LM's table of 2021: 312e12 at most, 137 TFLOP/s per GPU are 44 %.
    seconds, devices = 2.0, 32
    flops = 137e12 * seconds * devices
    share = model_flops_utilization(
        flops, seconds, num_devices=devices, peak_flops=PEAK_FLOPS["A100"]["bfloat16"]
    )
    assert share == pytest.approx(0.44, abs=0.005)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flops": -1}, "flops must be finite, at least 0, got -1"),
        ({"seconds": 0}, "seconds must be finite, above 0, got 0"),
        ({"num_devices": 0}, "num_devices must be a whole number, at least 1, got 0"),
        ({"peak_flops": 0.0}, "peak_flops must be finite, above 0, got 0.0"),
    ],
)
def test_model_flops_utilization_names_what_is_out_of_range(changes, message):
    numbers = {"flops": 1, "seconds": 1, "num_devices": 1, "peak_flops": 1} | changes
    with pytest.raises(ValueError, match=message):
        model_flops_utilization(numbers.pop("flops"), numbers.pop("seconds"), **numbers)


@pytest.mark.parametrize(
    ("device", "tera"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989.4),
    ],
)
def test_find_peak_flops_knows_devices_by_their_own_names(device, tera):
    assert find_peak_flops(device, "bfloat16") == tera * 1e12
    # Tensor cores take half as many numbers of twice the width.
    assert find_peak_flops(device, "tf32") == pytest.approx(tera / 2 * 1e12)
    assert find_peak_flops("TITAN A100000", "float32") is None


def test_find_peak_flops_names_an_unknown_format():
    with pytest.raises(ValueError, match="kind must be one of .*, got 'int4'"):
        find_peak_flops("NVIDIA H200", "int4")
