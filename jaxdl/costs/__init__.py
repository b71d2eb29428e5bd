"""What a training costs: time, energy, carbon dioxide and money. Imports no JAX."""

from jaxdl.costs.energy import CARBON_INTENSITY, carbon_kg, energy_kwh
from jaxdl.costs.federated import RoundEnergy, federated_energy
from jaxdl.costs.forecasts import Exchange, Forecast, Scaling, forecast
from jaxdl.costs.links import (
    EXCHANGE_KINDS,
    Link,
    Network,
    exchange_seconds,
    ring_seconds,
)
from jaxdl.costs.money import (
    electricity_price,
    purchase_price,
    purchase_share,
    rental_price,
)
from jaxdl.costs.published import (
    PUBLISHED_EFFICIENCIES,
    PublishedEfficiency,
    compare_published,
    predict_efficiency,
)
from jaxdl.costs.utilization import (
    PEAK_FLOPS,
    find_peak_flops,
    model_flops_utilization,
)

__all__ = [
    "CARBON_INTENSITY",
    "EXCHANGE_KINDS",
    "PEAK_FLOPS",
    "PUBLISHED_EFFICIENCIES",
    "Exchange",
    "Forecast",
    "Link",
    "Network",
    "PublishedEfficiency",
    "RoundEnergy",
    "Scaling",
    "carbon_kg",
    "compare_published",
    "electricity_price",
    "energy_kwh",
    "exchange_seconds",
    "federated_energy",
    "find_peak_flops",
    "forecast",
    "model_flops_utilization",
    "predict_efficiency",
    "purchase_price",
    "purchase_share",
    "rental_price",
    "ring_seconds",
]
