"""What the devices send each other in a training step, read from compiled programs."""

import re

import jax
import pytest

from jaxdl.models import (
    VGG,
    CifarResNet,
    Projector,
    SmallCNN,
    TwinNetwork,
    list_splits,
)
from jaxdl.parallel import bytes_per_device, collective_report
from jaxdl.trees import named_leaves
from tests.models.training_steps import compile_step

LOSS_BYTES = 4
"""The mean over the batch is a number that all devices know."""


def list_payloads(report, pattern, group_size):
    """Bytes of the exchanges of a part of the program among so many devices."""
    return [
        one.payload_bytes
        for one in report.collectives
        for _ in range(one.count)
        if one.group_size == group_size and re.search(pattern, one.operation)
    ]


def is_check_of_finiteness(one):
    """Whether devices only tell each other that their own parameters are finite."""
    return one.operation.endswith("/reduce_and")


def test_data_parallel_sends_gradients_alone():
    model = SmallCNN(num_classes=3, widths=(8, 16), norm="none")
    compiled, state = compile_step(model, 8, data=8, model_size=1)
    report = collective_report(compiled)
    (one,) = report.collectives
    gradients = bytes_per_device(state.params)
    assert (one.kind, one.group_size) == ("all-reduce", 8)
    assert one.payload_bytes == gradients + LOSS_BYTES
    assert report.sent_bytes() == pytest.approx(2 * 7 / 8 * gradients, rel=0.01)


@pytest.mark.slow
def test_batch_norm_by_groups_leaves_one_exchange_of_gradients():
    model = CifarResNet(depth=8, num_classes=3, norm_groups=8)
    compiled, state = compile_step(model, 16, data=8, model_size=1)
    report = collective_report(compiled)
    (one,) = report.collectives
    gradients = bytes_per_device(state.params)
    running = bytes_per_device(state.model_state)
    assert (one.kind, one.group_size) == ("all-reduce", 8)
    assert one.payload_bytes == gradients + running + LOSS_BYTES
    assert report.sent_bytes() == pytest.approx(2 * 7 / 8 * gradients, rel=0.01)


@pytest.mark.slow
def test_batch_norm_of_the_whole_batch_adds_numbers_per_channel():
    model = CifarResNet(depth=8, num_classes=3)
    compiled, state = compile_step(model, 16, data=8, model_size=1)
    report = collective_report(compiled)
    assert report.by_kind().keys() == {"all-reduce"}
    scales = named_leaves(state.params)
    channels = [s.size for path, s in scales.items() if path.endswith("/scale")]
    gradients = bytes_per_device(state.params)
    norms = 2 * 4 * sum(channels)
    # On the way forward mean and variance of each channel, one after the other. On the
    # way back two sums at once, which are the gradients of bias and scale.
    small = [4 * c for c in channels] * 2 + [2 * 4 * c for c in channels]
    wanted = sorted([*small, gradients - norms + LOSS_BYTES])
    assert sorted(one.payload_bytes for one in report.collectives) == wanted
    assert report.sent_bytes() == pytest.approx(
        2 * 7 / 8 * (gradients + norms + LOSS_BYTES)
    )


def test_pair_in_a_projector_exchanges_once_each_way():
    backbone = SmallCNN(num_classes=0, widths=(8,), norm="none")
    projector = Projector(widths=(32, 24))
    compiled, _ = compile_step(
        TwinNetwork(backbone, projector),
        8,
        data=1,
        model_size=8,
        rules=list_splits(projector),
    )
    forward, backward, check = collective_report(compiled).collectives
    # Both views together: what the second layer gives, the gradient of the features.
    assert forward.payload_bytes == 2 * 16 * 24 * 4
    assert backward.payload_bytes == 2 * 16 * 8 * 4
    assert is_check_of_finiteness(check)
    assert {forward.kind, backward.kind} == {"all-reduce"}


@pytest.mark.slow
def test_projector_of_three_layers_sends_no_matrix_of_its_width():
    width = 256
    backbone = SmallCNN(num_classes=0, widths=(8,), norm="none")
    projector = Projector(widths=(width,) * 3)
    compiled, _ = compile_step(
        TwinNetwork(backbone, projector),
        8,
        data=1,
        model_size=8,
        rules=list_splits(projector),
    )
    report = collective_report(compiled)
    assert report.by_kind().keys() == {"all-reduce"}
    assert len(list_payloads(report, "/dense2/", 8)) == 1
    assert len(list_payloads(report, r"transpose\(.*/dense1/", 8)) == 1
    # The rows of both views, as wide as the layer, are the largest.
    assert max(one.payload_bytes for one in report.collectives) == 2 * 16 * width * 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "side", "model_size", "forward", "backward"),
    [
        (
            CifarResNet(depth=8, width=8, num_classes=3),
            16,
            8,
            [(16, 16, 8), (8, 8, 16), (4, 4, 32)],
            [(8, 8, 16), (16, 16, 8), (16, 16, 8)],
        ),
        (
            VGG(depth=11, width=8, hidden_size=32, num_classes=3),
            32,
            2,
            [(8, 8, 32), (4, 4, 64), (2, 2, 64), (32,)],
            [(7, 7, 64), (2, 2, 64), (4, 4, 32), (8, 8, 16)],
        ),
    ],
    ids=["resnet", "vgg"],
)
def test_pairs_of_a_network_exchange_once_each_way(
    model, side, model_size, forward, backward
):
    compiled, state = compile_step(
        model, side, data=1, model_size=model_size, rules=list_splits(model)
    )
    *exchanges, check = collective_report(compiled).collectives
    assert {one.kind for one in exchanges} == {"all-reduce"}
    payloads = [one.payload_bytes for one in exchanges]
    size = lambda shape: 4 * 16 * jax.numpy.zeros(shape).size
    # What a pair's second layer gives; backward the gradient of its input.
    assert payloads == [size(shape) for shape in forward + backward]
    assert ["transpose" in one.operation for one in exchanges] == (
        [False] * len(forward) + [True] * len(backward)
    )
    assert is_check_of_finiteness(check)
    assert check.payload_bytes < 2 * len(jax.tree.leaves(state.params))


@pytest.mark.slow
def test_pairs_over_two_times_four_devices_share_gradients_by_rows_alone():
    model = CifarResNet(depth=8, width=8, num_classes=3, norm_groups=2)
    compiled, state = compile_step(
        model, 16, data=2, model_size=4, rules=list_splits(model)
    )
    report = collective_report(compiled)
    assert report.by_kind().keys() == {"all-reduce"}
    pairs = 3
    along_model = list_payloads(report, "", 4)
    assert len(along_model) == 2 * pairs
    along_data = list_payloads(report, "", 2)
    weights = bytes_per_device((state.params, state.model_state))
    assert sum(along_data) == weights + LOSS_BYTES
    rest = [one for one in report.collectives if one.group_size == 8]
    assert all(map(is_check_of_finiteness, rest)) and len(rest) == 1
