"""Energy of what runs, and the carbon dioxide that making it gives off."""

from types import MappingProxyType

from jaxdl.costs.checks import Number, check_number

_JOULES_PER_KWH = 3.6e6
_KG_PER_MWH = {
    "coal": 995,
    "oil": 816,
    "gas": 743,
    "geothermal": 38,
    "hydro": 26,
    "nuclear": 29,
    "solar": 48,
    "wind": 26,
    "world": 475,
}
"""As published: kg per MWh is the same number as g per kWh."""

CARBON_INTENSITY = MappingProxyType(
    {name: value / 1000 for name, value in _KG_PER_MWH.items()}
)
"""kg of CO2 equivalent per kWh of electricity, by what makes it.

CodeCarbon's offline factors (its documentation, Methodology), there in kg per MWh, from
26 (wind) to 995 (coal); "world" is its default for an unknown place, 475 g per kWh, of
the International Energy Agency's Global Energy and CO2 Status Report 2019. What a
country's electricity is made of changes by the hour: give your own number if you know.
"""


def energy_kwh(watts: Number, seconds: Number, *, pue: Number = 1.0) -> float:
    """Energy in kWh: power times time, times what the building takes on top.

    Args:
      watts: mean power of what computes, at least 0.
      seconds: for how long, at least 0.
      pue: power usage effectiveness: energy of the whole building over that of its
        computers, at least 1.

    Returns:
      kWh.

    Raises:
      ValueError: an argument out of range.

    Source:
      Strubell, Ganesh, McCallum 2019, arXiv:1906.02243, equation 1 (there: pue 1.58).

    Example:
      >>> energy_kwh(400, 3600, pue=1.5)
      0.6
    """
    name = "energy_kwh"
    power = check_number(watts, "watts", where=name)
    time = check_number(seconds, "seconds", where=name)
    return power * time * check_number(pue, "pue", where=name, low=1) / _JOULES_PER_KWH


def carbon_kg(kwh: Number, *, intensity: Number) -> float:
    """Carbon dioxide equivalent in kg of an energy in kWh.

    Args:
      kwh: energy with all that the building takes, at least 0.
      intensity: kg of CO2 equivalent per kWh, at least 0: of a place, or an entry of
        `CARBON_INTENSITY`. (Tables in g per kWh or kg per MWh: divide by 1000.)

    Returns:
      kg.

    Raises:
      ValueError: an argument out of range.

    Source:
      Lacoste, Luccioni, Schmidt, Dandres 2019, arXiv:1910.09700.

    Example:
      >>> carbon_kg(1000, intensity=CARBON_INTENSITY["coal"])
      995.0
    """
    energy = check_number(kwh, "kwh", where="carbon_kg")
    # No mix is above 2 kg: a number that is was meant per MWh.
    return energy * check_number(intensity, "intensity", where="carbon_kg", high=2)
