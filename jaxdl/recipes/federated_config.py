"""The config of the study of federated averaging. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.field_types import ModelName
from jaxdl.recipes.sections import DataSection, MeshSection, ModelSection
from jaxdl.recipes.study_configs import StudyRunSection

AlgorithmName = Literal[
    "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "fedadagrad"
]
ElectricityName = Literal[
    "coal", "oil", "gas", "geothermal", "hydro", "nuclear", "solar", "wind", "world"
]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SharedModelSection(ModelSection):
    """The network that clients share: without running statistics or dropout."""

    name: ModelName = Field(default="mlp", description="Network to train.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks that nothing is dropped, besides what any network needs."""
        conflicts = super().find_conflicts()
        if self.dropout_rate:
            message = "clients train without dropout; wanted null or 0"
            conflicts.append(Conflict(("dropout_rate",), message))
        return conflicts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FederatedSection:
    """How the data is dealt out, and how often clients train."""

    num_clients: int = Field(default=100, ge=1, description="Owners of the data.")
    clients_per_round: int = Field(
        default=10, ge=1, description="Clients that train in a round."
    )
    alphas: tuple[Annotated[float, Field(gt=0)] | None, ...] = Field(
        default=(0.1, 100.0),
        min_length=1,
        description="Dirichlet concentrations to compare: 0.1 gives most clients few "
        "classes, 100 nearly all alike; null: dealt out evenly at random.",
    )
    min_examples: int = Field(
        default=10, ge=1, description="Fewest examples of a client, under alphas."
    )
    self_balancing: bool = Field(
        default=False,
        description="Clients with their average number get no further classes.",
    )
    algorithms: tuple[AlgorithmName, ...] = Field(
        default=("fedavg", "fedprox", "fedadam"),
        min_length=1,
        description="Algorithms to compare.",
    )
    rounds: int = Field(default=100, ge=1, description="Rounds of each training.")
    evaluate_every: int = Field(
        default=1, ge=1, description="Rounds between two scores of the test split."
    )
    epochs: int = Field(
        default=1, ge=1, description="Passes of a client over its examples in a round."
    )
    max_steps: int | None = Field(
        default=None, ge=1, description="Most steps of a client in a round; null: all."
    )
    batch_size: int | None = Field(
        default=20, ge=1, description="Examples per step of a client; null: all it has."
    )
    over: Literal["vmap", "loop"] = Field(
        default="loop",
        description="Clients at once in one program, or one by one; convolutions on a "
        "CPU need the loop.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that there are as many clients as are to train."""
        if self.clients_per_round <= self.num_clients:
            return []
        message = f"{self.clients_per_round} of {self.num_clients} clients"
        return [Conflict(("clients_per_round", "num_clients"), message)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ClientSection:
    """The clients' own training."""

    learning_rate: float = Field(default=0.1, gt=0, description="Of the clients' SGD.")
    momentum: float = Field(
        default=0.0, ge=0, lt=1, description="Within a round; forgotten after it."
    )
    proximal: float = Field(
        default=1.0, ge=0, description="Mu of fedprox: pull to the server's parameters."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ServerSection:
    """What the server makes of the clients' average."""

    learning_rate: float = Field(
        default=1.0, gt=0, description="Of fedavg, fedprox and fedavgm; 1: the average."
    )
    adaptive_learning_rate: float = Field(
        default=0.01, gt=0, description="Of fedadam, fedyogi and fedadagrad."
    )
    b1: float = Field(
        default=0.9, ge=0, lt=1, description="Momentum of all but fedavg and fedprox."
    )
    b2: float = Field(
        default=0.99, ge=0, lt=1, description="Memory of squares; fedadam, fedyogi."
    )
    tau: float = Field(
        default=1e-3, gt=0, description="Added to the root of the squares."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CentralSection:
    """Plain SGD on all the data in one place, in batches of `data.batch_size`."""

    epochs: int = Field(default=10, ge=1, description="Passes over all the data.")
    learning_rate: float = Field(default=0.1, gt=0, description="Of SGD.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EnergySection:
    """What is assumed of machines, network and electricity.

    By default a client's device takes a tenth of a server's power ten times as long,
    and a byte what 0.06 kWh per GB in 2015, halved every two years, came to in 2020
    (Aslan et al. 2018, doi:10.1111/jiec.12630).
    """

    device_watts: float = Field(
        default=10.0, ge=0, description="Power of a client's device as it trains."
    )
    device_seconds: float | None = Field(
        default=None,
        ge=0,
        description="Its time per example; null: measured here, times device_slowdown.",
    )
    device_slowdown: float = Field(
        default=10.0, gt=0, description="How many times slower than here, if measured."
    )
    server_watts: float = Field(
        default=100.0, ge=0, description="Power of the machine that has all the data."
    )
    server_seconds: float | None = Field(
        default=None, ge=0, description="Its time per example; null: measured here."
    )
    server_pue: float = Field(
        default=1.58, ge=1, description="Energy of its building over that of machines."
    )
    up_joules_per_byte: float = Field(
        default=3.6e-5, ge=0, description="Network, from a client; 0.01 kWh per GB."
    )
    down_joules_per_byte: float = Field(
        default=3.6e-5, ge=0, description="Network, to a client."
    )
    electricity: ElectricityName = Field(
        default="world", description="What the electricity is made of."
    )
    intensity: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="kg CO2e per kWh; null: that of energy.electricity.",
    )
    target: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="Share of the centralised test accuracy whose cost is told.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FederatedConfig:
    """Federated training of one network by several algorithms, beside a central one."""

    model: SharedModelSection = Field(default_factory=SharedModelSection)
    data: DataSection = Field(default_factory=DataSection)
    federated: FederatedSection = Field(default_factory=FederatedSection)
    client: ClientSection = Field(default_factory=ClientSection)
    server: ServerSection = Field(default_factory=ServerSection)
    central: CentralSection = Field(default_factory=CentralSection)
    energy: EnergySection = Field(default_factory=EnergySection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks that all the data can lie in memory."""
        if self.data.residency != "stream":
            return []
        message = "clients read from memory; wanted auto or device"
        return [Conflict(("data.residency",), message)]
