"""Energy of a round against sums written out."""

import numpy as np
import pytest

from jaxdl.costs import carbon_kg, energy_kwh, federated_energy

RATES = {"joules_per_byte_up": 2e-4, "joules_per_byte_down": 1e-4}


def test_federated_energy_agrees_with_a_loop_over_clients():
    generator = np.random.default_rng(0)
    watts, seconds = generator.uniform(1, 20, 5), generator.uniform(10, 100, 5)
    up, down = generator.integers(1, 10**8, (2, 5))
    intensity = generator.uniform(0, 1, 5)
    kwh = kg = 0.0
    for k in range(5):
        joules = watts[k] * seconds[k] + up[k] * 2e-4 + down[k] * 1e-4
        kwh += joules / 3.6e6
        kg += joules / 3.6e6 * intensity[k]
    found = federated_energy(watts, seconds, up, down, intensity=intensity, **RATES)
    assert found.total_kwh == pytest.approx(kwh)
    assert found.carbon_kg == pytest.approx(kg)
    assert found.compute_kwh == pytest.approx(watts @ seconds / 3.6e6)
    assert found.upload_kwh == pytest.approx(up.sum() * 2e-4 / 3.6e6)
    assert found.download_kwh == pytest.approx(down.sum() * 1e-4 / 3.6e6)


def test_federated_energy_of_one_client_that_sends_nothing_is_its_computing():
    found = federated_energy(250, 60, 0, 0, intensity=0.475, **RATES)
    assert found.total_kwh == pytest.approx(energy_kwh(250, 60))
    expected = carbon_kg(energy_kwh(250, 60), intensity=0.475)
    assert found.carbon_kg == pytest.approx(expected)


def test_federated_energy_counts_one_number_once_per_client():
    many = federated_energy(np.full(3, 10.0), 60, 1e6, 2e6, intensity=0.5, **RATES)
    one = federated_energy(10, 60, 1e6, 2e6, intensity=0.5, **RATES)
    assert many.total_kwh == pytest.approx(3 * one.total_kwh)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, -1.0, "watts must be .* got -1.0"),
        (1, np.array([1.0, np.nan]), "seconds must be finite"),
        (2, -1, "bytes_up .* got -1"),
        (3, -1, "bytes_down .* got -1"),
    ],
)
def test_federated_energy_refuses_what_has_no_meaning(place, value, words):
    given = [1.0, 1.0, 1, 1]
    given[place] = value
    with pytest.raises(ValueError, match=f"federated_energy: {words}"):
        federated_energy(*given, intensity=0.5, **RATES)


@pytest.mark.parametrize(
    ("name", "value"),
    [("intensity", 475), ("joules_per_byte_up", -1), ("joules_per_byte_down", -1)],
)
def test_federated_energy_names_the_rate_it_refuses(name, value):
    rates = {"intensity": 0.5, **RATES, name: value}
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        federated_energy(1.0, 1.0, 1, 1, **rates)


def test_federated_energy_refuses_clients_of_different_numbers(monkeypatch):
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="one length, got {'watts': 2, 'seconds': 3}"):
        federated_energy(np.ones(2), np.ones(3), 1, 1, intensity=0.5, **RATES)
