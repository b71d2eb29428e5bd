"""Published efficiencies: the numbers themselves, and forecasts by hand."""

import pytest

from jaxdl.costs import PUBLISHED_EFFICIENCIES, compare_published


def test_published_efficiencies_are_those_of_the_sources():
    found = {s.name: (s.base_devices, s.devices) for s in PUBLISHED_EFFICIENCIES}
    assert len(found) == len(PUBLISHED_EFFICIENCIES)
    published = [s.efficiency for s in PUBLISHED_EFFICIENCIES]
    # Megatron 1.0: 90.7, 86.5, 79.6 %; DGX A100: 7.76, 7.72 and 6.72 of 8.
    assert published == [0.9, 0.907, 0.865, 0.796, 7.76 / 8, 7.72 / 8, 6.72 / 8]
    assert found["ResNet-50, 8 to 256 P100"] == (8, 256)
    assert all(s.source and s.assumptions for s in PUBLISHED_EFFICIENCIES)


def test_compare_published_agrees_with_forecasts_by_hand():
    rows = {row["name"]: row for row in compare_published()}
    # ResNet-50 on P100: 102.4 MB; 14 messages inside, 62 of 20 us between 32 nodes.
    step = 32 * 8 * 29 * 3600 / (90 * 1281167)
    inside = 14 * 5e-6 + 1.75 * 102.4e6 / 20e9
    between = 62 * 20e-6 + 2 * 31 / 32 * 102.4e6 / 6.25e9
    row = rows["ResNet-50, 8 to 256 P100"]
    predicted = (step + inside) / (step + inside + between)
    assert row["predicted"] == pytest.approx(predicted)
    assert row["error"] == pytest.approx(predicted - 0.9)
    # Megatron: 72 layers, 6 exchanges of 8 * 1024 * 3072 numbers of 2 bytes on 8 GPUs.
    one = 14 * 5e-6 + 1.75 * 8 * 1024 * 3072 * 2 / 150e9
    row = rows["Megatron-LM 1.0, 8-way tensor parallel"]
    assert row["predicted"] == pytest.approx(1.288 / (1.288 + 6 * 72 * one))


def test_compare_published_is_optimistic_within_a_node():
    # What the forecast leaves out (input, other traffic) can only cost.
    within = [row for row in compare_published() if row["base_devices"] == 1]
    assert len(within) == 6 and all(row["error"] > 0 for row in within)
