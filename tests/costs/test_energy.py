"""Energy and carbon dioxide against what others publish."""

import math

import pytest

from jaxdl.costs import CARBON_INTENSITY, carbon_kg, energy_kwh


def test_energy_kwh_agrees_with_strubell():
    # 1.58 t (p_c + p_r + g p_g) / 1000, t in hours: the paper's equation 1.
    hours, cpu, memory, gpu, count = 84.0, 90.0, 25.0, 250.0, 8
    published = 1.58 * hours * (cpu + memory + count * gpu) / 1000
    watts = cpu + memory + count * gpu
    assert energy_kwh(watts, 3600 * hours, pue=1.58) == pytest.approx(published)


def test_energy_kwh_of_a_kilowatt_for_an_hour_is_one():
    assert energy_kwh(1000, 3600) == 1.0
    assert energy_kwh(0, 3600) == energy_kwh(1000, 0) == 0.0


def test_carbon_intensity_is_in_kg_per_kwh():
    # Codecarbon's table in kg per MWh.
    published = {"coal": 995, "oil": 816, "gas": 743, "geothermal": 38, "hydro": 26}
    published |= {"nuclear": 29, "solar": 48, "wind": 26, "world": 475}
    assert set(CARBON_INTENSITY) == set(published)
    for name, kg_per_mwh in published.items():
        assert carbon_kg(1000, intensity=CARBON_INTENSITY[name]) == pytest.approx(
            kg_per_mwh
        )


def test_carbon_intensity_cannot_be_changed():
    with pytest.raises(TypeError):
        CARBON_INTENSITY["coal"] = 0.0


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_energy_and_carbon_refuse_what_has_no_meaning(value):
    with pytest.raises(ValueError, match="energy_kwh: watts must be finite, at"):
        energy_kwh(value, 1)
    with pytest.raises(ValueError, match="energy_kwh: seconds must be finite"):
        energy_kwh(1, value)
    with pytest.raises(ValueError, match="carbon_kg: kwh must be finite"):
        carbon_kg(value, intensity=0.5)


def test_energy_kwh_refuses_a_building_that_makes_energy():
    with pytest.raises(ValueError, match="pue must be finite, at least 1, got 0.9"):
        energy_kwh(1, 1, pue=0.9)


def test_carbon_kg_refuses_an_intensity_per_mwh():
    with pytest.raises(ValueError, match="intensity .* at most 2, got 475"):
        carbon_kg(1, intensity=475)
