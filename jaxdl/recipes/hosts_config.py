"""The processes that run one training together. Imports no JAX."""

import re
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, show


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HostsSection:
    """How this process finds those it trains with."""

    start: Literal["alone", "flags", "auto", "slurm", "ompi", "k8s", "mpi4py"] = Field(
        default="alone",
        description="What started the processes; flags: see coordinator, count, index.",
    )
    coordinator: str | None = Field(
        default=None,
        description="Where process 0 waits for the others, as host:port.",
    )
    count: int | None = Field(default=None, ge=1, description="Number of processes.")
    index: int | None = Field(
        default=None, ge=0, description="Number of this process, from 0."
    )
    join_timeout: float = Field(
        default=60.0,
        gt=0,
        description="Seconds to wait for all processes at the start.",
    )
    silence_timeout: float = Field(
        default=10.0,
        gt=0,
        description="Seconds after which a process that says nothing is dead.",
    )
    step_timeout: float = Field(
        default=600.0,
        gt=0,
        description="Seconds without progress after which a process is stuck.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that what says where this process stands is there, and only then."""
        flags = {
            "coordinator": self.coordinator,
            "count": self.count,
            "index": self.index,
        }
        if self.start == "flags":
            missing = [key for key, value in flags.items() if value is None]
            if missing:
                return [
                    Conflict((key,), "missing, hosts.start=flags") for key in missing
                ]
        else:
            given = [key for key, value in flags.items() if value is not None]
            if given:
                message = f"is not read, hosts.start={self.start}; wanted flags"
                return [Conflict((key, "start"), message) for key in given]
            return []
        if not re.fullmatch(r".+:\d+", self.coordinator or ""):
            message = f"wanted host:port, got {show(self.coordinator)}"
            return [Conflict(("coordinator",), message)]
        if self.index is not None and self.index >= (self.count or 0):
            return [
                Conflict(("index", "count"), f"wanted 0 to {(self.count or 0) - 1}")
            ]
        return []
