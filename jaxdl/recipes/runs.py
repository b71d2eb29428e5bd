"""Opening the folder a run writes to: new, or the one it continues."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jaxdl.config import changed_fields, dump_config, load_config
from jaxdl.errors import ConfigError, JaxdlError
from jaxdl.parallel import decide_first, is_first_process
from jaxdl.recipes.hosts import joined_hosts
from jaxdl.train import RunFolder, StopRequest, lock_run_folder

_FREE_TO_CHANGE = (
    "run.",
    "mesh.",
    "layout.",
    "hosts.",
    "data.num_workers",
    "data.prefetch",
)
"""What a resumed run may change: nothing of this decides the numbers."""


@contextmanager
def open_run(
    config: Any, *, experiment: str, stop: StopRequest | None = None
) -> Iterator[RunFolder]:
    """The run folder of a config, locked for this process.

    Args:
      config: has a `run` section; its resolved form is written to the folder. One
        without `run.resume` is of a study that is done in one go.
      experiment: the script's name; run folders are grouped by it.
      stop: see `jaxdl.recipes.hosts.joined_hosts`.

    Yields:
      A new folder, or with `run.resume` the one to continue: `run.name` if given,
      else the newest unfinished run of an equal config.

    Raises:
      ConfigError: a new run would overwrite an old one, or the config differs from
        that of the run to continue in something that decides its numbers.
      LockError: another process is writing to the folder.
    """
    with joined_hosts(config, stop=stop), ExitStack() as stack:
        open_first = lambda: str(stack.enter_context(_open_alone(config, experiment)))
        path = decide_first(open_first, what="open the run folder")
        yield RunFolder(Path(path), is_writer=is_first_process())


@contextmanager
def _open_alone(config: Any, experiment: str) -> Iterator[Path]:
    """The same for one process, whatever others there are."""
    parent = Path(config.run.folder) / experiment
    name = config.run.name
    resume = config.run.resume if hasattr(config.run, "resume") else None
    if name is None and resume:
        name = _find_unfinished(parent, config)
    folder = RunFolder((parent / (name or _new_name(parent))).resolve())
    try:
        lock = lock_run_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"run.folder: can't write to {folder.path} ({error.strerror})"
        ) from None
    with lock:
        if not _holds_results(folder):
            folder.config.write_text(dump_config(config))
        elif not resume:
            how = (
                "choose" if resume is None else "add --resume to continue it, or choose"
            )
            raise ConfigError(
                f"run.name: {folder.path} already holds a run; {how} another name"
            )
        else:
            _check_same(config, folder)
        yield folder.path


def read_run_config(schema: type[Any], folder: RunFolder) -> Any:
    """The config of a run folder.

    Raises:
      ConfigError: it is not a run folder, or its config is not of this schema.
    """
    # os.path.isfile, unlike Path.is_file, also survives a path too long.
    if not os.path.isfile(folder.config):
        raise ConfigError(
            f"{folder.path}: not a run folder (it has no {folder.config.name})"
        )
    return load_config(schema, folder.config, [])


def _holds_results(folder: RunFolder) -> bool:
    results = (folder.checkpoints, folder.variants, folder.summary)
    return any(path.exists() for path in results) or (
        folder.metrics.exists() and folder.metrics.stat().st_size > 0
    )


def _new_name(parent: Path) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    name, count = stamp, 1
    while (parent / name).exists():
        count += 1
        name = f"{stamp}-{count}"
    return name


def _decisive_changes(config: Any, saved: Any) -> list[str]:
    return [
        f"{key} was {old!r}, now {new!r}"
        for key, (old, new) in changed_fields(saved, config).items()
        if not key.startswith(_FREE_TO_CHANGE)
    ]


def _check_same(config: Any, folder: RunFolder) -> None:
    changes = _decisive_changes(config, read_run_config(type(config), folder))
    if changes:
        raise ConfigError(
            f"{folder.path}: the config differs from that of the run to resume: "
            + "; ".join(changes)
            + "; start a new run or give the same values"
        )


def _find_unfinished(parent: Path, config: Any) -> str | None:
    folders = [RunFolder(path) for path in parent.glob("*/")]
    folders = [folder for folder in folders if folder.config.exists()]
    # By when the run was started: a name need not begin with a date.
    folders.sort(key=lambda folder: folder.config.stat().st_mtime_ns, reverse=True)
    for folder in folders:
        if folder.summary.exists():
            continue
        try:
            saved = read_run_config(type(config), folder)
        except JaxdlError:
            continue
        if not _decisive_changes(config, saved):
            return folder.path.name
    raise ConfigError(
        f"run.resume: no unfinished run of this config in {parent}; leave it out to "
        "start one, or give run.name"
    )
