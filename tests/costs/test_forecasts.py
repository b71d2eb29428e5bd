"""Step times by hand, and limits that are known."""

import dataclasses

import numpy as np
import pytest

from jaxdl.costs import Exchange, Link, Network, forecast

FREE = Network(Link(0, 1e30), Link(0, 1e30), 8)
SLOW = Network(Link(0, 10e9), Link(0, 1e9), 8)
GRADIENTS = [Exchange("all-reduce", 100e6)]
COUNTS = [1, 2, 4, 8, 16, 2240]


def test_forecast_without_exchange_is_ideal():
    weak = forecast(0.5, COUNTS, exchanges=[], network=SLOW, batch_size=32)
    np.testing.assert_allclose(weak.efficiency, 1)
    np.testing.assert_allclose(weak.step_seconds, 0.5)
    assert weak.batch_sizes == tuple(32 * n for n in COUNTS)
    strong = forecast(
        4480.0, COUNTS, exchanges=[], network=SLOW, batch_size=4480, scaling="strong"
    )
    np.testing.assert_allclose(strong.step_seconds, 4480 / np.array(COUNTS))
    np.testing.assert_allclose(strong.examples_per_second, COUNTS)


def test_forecast_agrees_with_a_step_by_hand():
    # 8 devices: 2 * 7/8 * 0.1 GB at 10 GB/s; 16: and 2 * 1/2 * 0.1 GB at 1 GB/s.
    table = forecast(0.1, [1, 8, 16], exchanges=GRADIENTS, network=SLOW, batch_size=4)
    np.testing.assert_allclose(table.exchange_seconds, [0, 0.0175, 0.1175])
    np.testing.assert_allclose(table.step_seconds, [0.1, 0.1175, 0.2175])
    np.testing.assert_allclose(table.efficiency, [1, 0.1 / 0.1175, 0.1 / 0.2175])
    np.testing.assert_allclose(
        table.examples_per_second, [40, 32 / 0.1175, 64 / 0.2175]
    )
    np.testing.assert_allclose(
        table.efficiency_from(8), [1.175, 1, 0.1175 / 0.2175], rtol=1e-12
    )


def test_forecast_shares_a_batch_up_to_the_fixed_part():
    table = forecast(
        1.0,
        [1, 3],
        exchanges=GRADIENTS,
        network=FREE,
        batch_size=10,
        scaling="strong",
        fixed_seconds=0.2,
    )
    # The largest of three shares of 10 examples is 4.
    np.testing.assert_allclose(table.compute_seconds, [1.0, 0.2 + 0.8 * 0.4])
    assert table.batch_sizes == (10, 10)


@pytest.mark.parametrize(
    ("overlap", "step"), [(0, 0.2175), (0.5, 0.1 + 0.1175 / 2), (1, 0.1175)]
)
def test_forecast_hides_no_more_than_computing_takes(overlap, step):
    table = forecast(
        0.1, [16], exchanges=GRADIENTS, network=SLOW, overlap=overlap, batch_size=1
    )
    assert table.step_seconds[0] == pytest.approx(step)
    assert table.exchange_seconds[0] == pytest.approx(0.1175)


def test_forecast_counts_exchanges_of_groups():
    pairs = Exchange("all-reduce", 100e6, count=3, group_size=2)
    across = Exchange("all-reduce", 50e6, group_size=8, stride=2)
    table = forecast(1.0, [16], exchanges=[pairs, across], network=SLOW)
    # Pairs: 3 * 2 * 1/2 * 0.1 GB; across: 4 of each of 2 groups in each of 2 nodes.
    hand = 3 * 0.01 + 2 * 3 / 4 * 0.005 + 2 * 1 / 2 * 2 * 0.05
    assert table.exchange_seconds[0] == pytest.approx(hand)


def test_forecast_asks_a_function_for_what_depends_on_the_devices():
    table = forecast(
        1.0,
        [2, 4],
        exchanges=lambda n: [Exchange("all-gather", 1e9 / n)],
        network=SLOW,
    )
    np.testing.assert_allclose(table.exchange_seconds, [0.05 / 2, 0.025 * 3 / 4])


def test_forecast_efficiency_never_rises_with_nodes():
    counts = [8 * 2**k for k in range(9)] + [2240]
    network = Network(Link(5e-6, 300e9), Link(1e-5, 200e9), 8)
    for scaling in ("weak", "strong"):
        table = forecast(
            1.0,
            sorted(counts),
            exchanges=GRADIENTS,
            network=network,
            batch_size=2240 * 64,
            scaling=scaling,
        )
        assert (np.diff(table.efficiency) < 0).all()


def test_forecast_lists_a_row_for_each_number():
    table = forecast(0.1, [1, 8], exchanges=GRADIENTS, network=SLOW, batch_size=4)
    rows = table.list_rows()
    assert [row["devices"] for row in rows] == [1, 8]
    assert rows[1]["step_seconds"] == table.step_seconds[1]
    assert rows[0]["scaling"] == "weak" and rows[1]["batch_size"] == 32
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.devices = ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compute_seconds": 0}, "compute_seconds .* above 0, got 0"),
        ({"devices": []}, "devices is empty"),
        ({"devices": [0]}, "devices .* at least 1, got 0"),
        ({"devices": [12]}, "group_size 12 .* unequal parts"),
        ({"batch_size": 0}, "batch_size .* got 0"),
        ({"overlap": 1.5}, "overlap .* at most 1, got 1.5"),
        ({"fixed_seconds": 2}, "fixed_seconds .* at most 1, got 2"),
        ({"scaling": "strong", "devices": [8]}, "batch_size of 4 .* among 8 devices"),
        (
            {"exchanges": [Exchange("all-reduce", 1, group_size=4)], "devices": [2]},
            "group_size 4 of 'all-reduce' is above the 2 devices",
        ),
    ],
)
def test_forecast_refuses_what_has_no_meaning(changes, words):
    arguments = {"compute_seconds": 1, "devices": [1], "exchanges": GRADIENTS}
    arguments |= {"network": SLOW, "batch_size": 4, **changes}
    with pytest.raises(ValueError, match=f"{words}"):
        forecast(**arguments)


def test_forecast_refuses_another_scaling(monkeypatch):
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(
        ValueError, match="scaling must be 'weak' or 'strong', got 'no'"
    ):
        forecast(1, [1], exchanges=[], network=SLOW, scaling="no")


def test_efficiency_from_wants_a_number_that_was_forecast():
    table = forecast(1, [1, 2], exchanges=[], network=SLOW)
    with pytest.raises(ValueError, match=r"base must be one of \(1, 2\), got 4"):
        table.efficiency_from(4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "sum"}, "kind .* got 'sum'"),
        ({"payload_bytes": -1}, "payload_bytes .* got -1"),
        ({"count": -1}, "count .* got -1"),
        ({"group_size": 0}, "group_size .* got 0"),
        ({"stride": 0}, "stride .* got 0"),
    ],
)
def test_exchange_refuses_what_has_no_meaning(changes, words):
    with pytest.raises(ValueError, match=f"Exchange: {words}"):
        Exchange(**{"kind": "all-reduce", "payload_bytes": 1, **changes})
