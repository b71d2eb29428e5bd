"""Exchanges that follow from a layout: by hand, without a program.

Whether compiled programs agree is tested with the study of scaling.
"""

from types import SimpleNamespace

import jax
import pytest

from jaxdl.parallel import list_step_exchanges

PAIR = [("fc1/", "outputs"), ("fc2/", "inputs")]
SHARED = {
    "optimizer": [("^optimizer_state/", "largest")],
    "everything": [("^(params|optimizer_state)/", "largest")],
}


def describe(shape):
    return jax.ShapeDtypeStruct(shape, "float32")


def make_state():
    """Two dense layers, a norm, a momentum; kernels of 64 x 128 and 128 x 16."""
    params = {
        "fc1": {"kernel": describe((64, 128)), "bias": describe((128,))},
        "norm": {"scale": describe((16,)), "bias": describe((16,))},
        "fc2": {"kernel": describe((128, 16)), "bias": describe((16,))},
    }
    averages = {"batch_stats": {"norm": {"mean": describe((16,))}}}
    return SimpleNamespace(
        params=params,
        model_state=averages,
        optimizer_state=({"trace": params},),
        totals={"loss": describe(())},
    )


KERNELS = 64 * 128 * 4, 128 * 16 * 4
VECTORS = 4 * (128 + 16 + 16 + 16)


def sum_payloads(report):
    sums = {}
    for one in report.collectives:
        key = one.operation, one.kind
        sums[key] = sums.get(key, 0) + one.payload_bytes
    return sums


def test_list_step_exchanges_of_data_parallel_are_gradients_and_sums():
    report = list_step_exchanges(make_state(), data=4)
    assert sum_payloads(report) == {
        ("gradients", "all-reduce"): sum(KERNELS) + VECTORS,
        ("running averages", "all-reduce"): 4 * 16,
        ("statistics", "all-reduce"): 4,
    }
    # Those of a norm are waited for, all others are sent at once.
    assert report.count() == 4
    assert report.sent_bytes() == 2 * 3 / 4 * (sum(KERNELS) + VECTORS + 4 * 16 + 4)
    assert list_step_exchanges(make_state(), data=1).count() == 0


@pytest.mark.parametrize("share", SHARED)
def test_list_step_exchanges_gathers_what_is_shared(share):
    sizes = {"data": 8, "rules": SHARED[share]}
    payloads = sum_payloads(list_step_exchanges(make_state(), **sizes))
    assert payloads["parameters", "all-gather"] == sum(KERNELS)
    assert payloads["gradients", "all-reduce"] == sum(KERNELS) + VECTORS
    # Both kernels, a byte each for gradient and new value.
    assert payloads["finite", "all-reduce"] == 4
    least = list_step_exchanges(make_state(), **sizes, scatters=True)
    assert sum_payloads(least)["gradients", "reduce-scatter"] == sum(KERNELS)
    # A sum that is scattered and then gathered sends what an all-reduce does.
    kernels = least.sent_bytes("reduce-scatter") + least.sent_bytes("all-gather")
    assert kernels == 2 * 7 / 8 * sum(KERNELS)


def test_list_step_exchanges_of_pairs_along_model():
    report = list_step_exchanges(
        make_state(), data=3, model=2, rules=PAIR, activation_bytes=[1000, 500]
    )
    split = sum(KERNELS) + 128 * 4
    payloads = sum_payloads(report)
    assert payloads["gradients", "all-reduce"] == split / 2 + VECTORS - 128 * 4
    assert payloads["activations", "all-reduce"] == 1500
    assert payloads["finite", "all-reduce"] == 2 * 3
    groups = {one.operation: one.group_size for one in report.collectives}
    assert groups == {
        "gradients": 3,
        "running averages": 3,
        "statistics": 3,
        "activations": 2,
        "finite": 6,
    }


def test_list_step_exchanges_names_what_does_not_divide():
    with pytest.raises(ValueError, match="fc1/bias has 128 outputs, which model=3"):
        list_step_exchanges(make_state(), data=1, model=3, rules=PAIR)
