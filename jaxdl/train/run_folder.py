"""The folder of one run: one writer at a time, and every file's place in it."""

import fcntl
import json
import os
import platform
import socket
import subprocess
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import jax

from jaxdl.errors import LockError
from jaxdl.train.manifest import write_json


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files.

    Attributes:
      path: the folder itself.
      is_writer: whether this process writes to it; of several only the first does,
        but for its shares of checkpoints.
    """

    path: Path
    is_writer: bool = True

    @property
    def config(self) -> Path:
        """The resolved config: every field, as the run used it."""
        return self.path / "config.yaml"

    @property
    def dataset(self) -> Path:
        """What prediction needs of the data: class names, image shape, statistics."""
        return self.path / "dataset.json"

    @property
    def environment(self) -> Path:
        """Versions, commit, devices."""
        return self.path / "environment.json"

    @property
    def metrics(self) -> Path:
        """One JSON object per line; equal for a resumed and an uninterrupted run."""
        return self.path / "metrics.jsonl"

    @property
    def timing(self) -> Path:
        """Images per second by step, which no two runs share."""
        return self.path / "timing.jsonl"

    @property
    def checkpoints(self) -> Path:
        """One folder per saved step."""
        return self.path / "checkpoints"

    @property
    def variants(self) -> Path:
        """The run folders of a comparison, one per variant and seed."""
        return self.path / "variants"

    @property
    def summary(self) -> Path:
        """The results; written last, so it marks a finished run."""
        return self.path / "summary.json"


def lock_run_folder(folder: RunFolder) -> IO[str]:
    """Makes this process the only writer of a run folder until it ends.

    Args:
      folder: created if it is not there.

    Returns:
      The open lock file; closing it, or the process's death, releases the lock.

    Raises:
      LockError: another live process holds it; names that process.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    file = (folder.path / "run.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "another process"
        file.close()
        raise LockError(
            f"{folder.path}: in use by {owner}; wait for it or choose another run.name"
        ) from None
    file.truncate(0)
    file.write(
        f"process {os.getpid()} on {socket.gethostname()} "
        f"since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
    )
    file.flush()
    return file


def describe_environment() -> dict[str, Any]:
    """Versions, commit and devices, as a run records them.

    Returns:
      A tree that JSON takes. The commit is that of the folder the process runs in,
      None outside a git checkout.
    """
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "jaxdl")
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "platform": platform.platform(),
        "device_kind": devices[0].device_kind,
        "device_count": len(devices),
        "process_count": jax.process_count(),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file; a last line cut short by a kill is dropped."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().split("\n"):
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def truncate_rows(path: Path, *, step: int) -> None:
    """Forgets the rows of steps after `step`, which a resumed run writes again."""
    if not path.exists():
        return
    kept = [row for row in read_rows(path) if row["step"] <= step]
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in kept)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_environment(folder: RunFolder) -> None:
    """Records versions, commit and devices in the run folder."""
    write_json(folder.environment, describe_environment())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
