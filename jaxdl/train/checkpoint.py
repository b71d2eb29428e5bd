"""Checkpoints that are whole or absent: written by Orbax, sealed by a manifest."""

import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from jaxdl.errors import CheckpointError
from jaxdl.parallel import decide_first, exchange_texts, is_first_process
from jaxdl.train.manifest import (
    read_manifest,
    update_manifest,
    verify_folder,
    write_manifest,
)
from jaxdl.trees import describe_differences, named_leaves


@dataclass(frozen=True)
class Restored:
    """A checkpoint that passed its checks.

    Attributes:
      step: the step it was saved after.
      items: the restored trees by name.
      metrics: what it scored, or None if it was not evaluated.
      metadata: what was handed to `save`.
    """

    step: int
    items: dict[str, Any]
    metrics: dict[str, float] | None
    metadata: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run, in folders named after their step.

    Saving copies the arrays, then writes, hashes and seals in a background thread. A
    folder gets the name of its step only once it is sealed; an older one is deleted
    only after that. Leave through `close` (or a `with` block), or the last save is
    lost.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        keep_last: int = 2,
        best_metric: str = "accuracy",
        best_mode: str = "max",
        on_warning: Callable[[str], None] = lambda message: None,
    ):
        """Opens a folder; nothing is created or deleted before the first save.

        Args:
          folder: where the checkpoints are or will be.
          keep_last: how many of the newest to keep, at least 1.
          best_metric: the metric by which one more is kept.
          best_mode: `"max"` or `"min"`.
          on_warning: called with one line for each checkpoint passed over.

        Raises:
          ValueError: `keep_last` below 1 or an unknown `best_mode`.
        """
        if keep_last < 1:
            raise ValueError(f"keep_last must be at least 1, got {keep_last}")
        if best_mode not in ("max", "min"):
            raise ValueError(f"best_mode must be 'max' or 'min', got {best_mode!r}")
        self.folder = Path(folder).resolve()
        self._keep_last = keep_last
        self._best_metric = best_metric
        self._best_mode = best_mode
        self._on_warning = on_warning
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        # Found damaged by `restore`: not counted, not deleted, replaced when the same
        # step is saved again.
        self._damaged: set[int] = set()
        self._checkpointer = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())

    def __enter__(self) -> "CheckpointStore":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def steps(self) -> list[int]:
        """The steps of all sealed checkpoints, oldest first."""
        return [step for step, _ in self._sealed()]

    def best_step(self) -> int | None:
        """The step that scored best; the earliest of equals; None if none scored."""
        return decide_first(self._find_best, what="look for the best checkpoint")

    def _find_best(self) -> int | None:
        scored = [
            (manifest["metrics"][self._best_metric], step)
            for step, manifest in self._sealed()
            if self._best_metric in (manifest["metrics"] or {})
        ]
        if not scored:
            return None
        sign = -1 if self._best_mode == "max" else 1
        return min(scored, key=lambda pair: (sign * pair[0], pair[1]))[1]

    def save(
        self,
        step: int,
        items: Mapping[str, Any],
        *,
        metrics: Mapping[str, float] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Starts saving; returns once the arrays may be changed or donated.

        A step whose checkpoint is whole is not written again, only its metrics are.

        Args:
          step: names the checkpoint; order is by step, never by clock.
          items: trees of arrays by name, restorable one without the other.
          metrics: finite scores, if it was evaluated.
          metadata: anything JSON takes.

        Raises:
          CheckpointError: this save, or the one before it, failed.
        """
        self.wait()
        target = self._path(step)
        is_first = is_first_process()
        content = {
            "step": step,
            "metrics": None if metrics is None else dict(metrics),
            "metadata": dict(metadata or {}),
            "leaves": {name: _describe(tree) for name, tree in items.items()},
        }
        try:
            whole = lambda: target.exists() and self._is_whole(target)
            if decide_first(whole, what="look at the checkpoints"):
                if metrics is not None and is_first:
                    update_manifest(target, metrics=content["metrics"])
                return
            if is_first:
                self._remove_unfinished()
                target.parent.mkdir(parents=True, exist_ok=True)
            trees = {
                name: ocp.args.StandardSave(tree)  # pyright: ignore[reportCallIssue]
                for name, tree in items.items()
            }
            self._checkpointer.save(_unsealed(target), args=ocp.args.Composite(**trees))
        except (OSError, ValueError, RuntimeError) as error:
            raise _save_error(target, error) from error
        self._pending = self._thread.submit(self._seal, target, content)

    def wait(self) -> None:
        """Blocks until the save under way is sealed.

        Raises:
          CheckpointError: it failed; the checkpoints before it are untouched.
        """
        if self._finish():
            exchange_texts("", what="save")

    def close(self) -> None:
        """Finishes the save under way and releases the threads."""
        try:
            # Alone: if this process fails, the others don't come here.
            self._finish()
        finally:
            self._thread.shutdown()
            self._checkpointer.close()

    def restore(
        self, targets: Mapping[str, Any], *, step: int | None = None
    ) -> Restored | None:
        """The newest checkpoint that is whole, or the one of a given step.

        Args:
          targets: for each item wanted, a tree of `jax.ShapeDtypeStruct`s with the
            shapes, dtypes and shardings to restore to; any number of devices.
          step: restore this one and no other.

        Returns:
          What was saved, or None when the folder holds no checkpoint at all.

        Raises:
          CheckpointError: the checkpoints found are all damaged (nothing is deleted),
            the step asked for is, or the tree differs from the one saved.
        """
        found = decide_first(
            lambda: self._find_whole(step), what="look for checkpoints"
        )
        if found is None:
            return None
        return self._load(Path(found[0]), found[1], targets)

    def _find_whole(self, step: int | None) -> tuple[str, dict[str, Any]] | None:
        """The newest checkpoint that is whole, or that of a step, and its manifest."""
        candidates = [path for _, path in reversed(self._folders())]
        if step is not None:
            candidates = [self._path(step)]
        if not candidates:
            return None
        for index, path in enumerate(candidates):
            try:
                return str(path), self._verify(path)
            except ValueError as error:
                self._damaged.add(int(path.name))
                rest = candidates[index + 1 :]
                if rest:
                    self._on_warning(
                        f"checkpoint {path.name} is damaged ({error}); "
                        f"trying {rest[0].name}"
                    )
                else:
                    last_error = error
        raise CheckpointError(
            f"{self.folder}: found {len(candidates)} checkpoint"
            f"{'s' * (len(candidates) != 1)}, none can be restored; the last one tried "
            f"is damaged ({last_error})"  # pyright: ignore[reportPossiblyUnbound]
        )

    def _load(
        self, path: Path, manifest: dict[str, Any], targets: Mapping[str, Any]
    ) -> Restored:
        differences = []
        for name, target in targets.items():
            saved = {
                leaf: (tuple(shape), dtype)
                for leaf, (shape, dtype) in manifest["leaves"].get(name, {}).items()
            }
            wanted = {
                leaf: (tuple(shape), dtype)
                for leaf, (shape, dtype) in _describe(target).items()
            }
            differences += [
                f"{name}/{line}" for line in describe_differences(saved, wanted)
            ]
        if differences:
            more = f"; and {len(differences) - 10} more" * (len(differences) > 10)
            raise CheckpointError(
                f"{path}: holds another model or optimiser than this config makes: "
                + "; ".join(differences[:10])
                + more
            )
        arguments = {
            name: ocp.args.StandardRestore(target)  # pyright: ignore[reportCallIssue]
            for name, target in targets.items()
        }
        restored = self._checkpointer.restore(
            path, args=ocp.args.Composite(**arguments)
        )
        return Restored(
            step=manifest["step"],
            items={name: restored[name] for name in targets},
            metrics=manifest["metrics"],
            metadata=manifest["metadata"],
        )

    def _finish(self) -> bool:
        """Blocks until the save under way is sealed; whether there was one."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
        return pending is not None

    def _seal(self, target: Path, content: dict[str, Any]) -> None:
        try:
            self._checkpointer.wait_until_finished()
            if not is_first_process():
                return
            write_manifest(_unsealed(target), content)
            if target.exists():
                self._remove(target)
            _unsealed(target).rename(target)
            self._damaged.discard(content["step"])
            self._prune()
        except Exception as error:
            raise _save_error(target, error) from error

    def _verify(self, path: Path) -> dict[str, Any]:
        """The manifest of a checkpoint, or a ValueError that names what is wrong."""
        manifest = verify_folder(path)
        if manifest["step"] != int(path.name):
            raise ValueError(f"{path}: holds step {manifest['step']}")
        return manifest

    def _is_whole(self, path: Path) -> bool:
        try:
            self._verify(path)
        except ValueError:
            return False
        return True

    def _prune(self) -> None:
        steps = self.steps()
        keep = {*steps[-self._keep_last :], self._find_best()}
        for step in steps:
            if step not in keep:
                self._remove(self._path(step))

    def _remove(self, path: Path) -> None:
        # Renamed first: a kill in the middle leaves nothing that looks like a step.
        doomed = path.with_name(f".deleting-{path.name}")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
        shutil.rmtree(doomed)

    def _remove_unfinished(self) -> None:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.name.startswith((".deleting-", ".saving-")):
                shutil.rmtree(path, ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:08d}"

    def _folders(self) -> list[tuple[int, Path]]:
        """Every folder named like a step that holds anything, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(
            (int(path.name), path)
            for path in self.folder.iterdir()
            if re.fullmatch(r"\d{8,}", path.name) and _holds_anything(path)
        )

    def _sealed(self) -> list[tuple[int, dict[str, Any]]]:
        sealed = []
        for step, path in self._folders():
            if step in self._damaged:
                continue
            try:
                sealed.append((step, read_manifest(path)))
            except ValueError:
                continue
        return sealed


def abstract_tree(tree: Any, shardings: Any = None) -> Any:
    """The shapes, dtypes and shardings of a tree, as `CheckpointStore.restore` wants.

    Args:
      tree: arrays or `jax.ShapeDtypeStruct`s.
      shardings: a tree of shardings to restore to; each leaf's own by default.

    Returns:
      A tree of `jax.ShapeDtypeStruct`s.
    """
    if shardings is None:
        shardings = jax.tree.map(lambda leaf: leaf.sharding, tree)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=sharding
        ),
        tree,
        shardings,
    )


def _describe(tree: Any) -> dict[str, tuple[list[int], str]]:
    return {
        name: (list(leaf.shape), str(leaf.dtype))
        for name, leaf in named_leaves(tree).items()
    }


def _unsealed(target: Path) -> Path:
    """Where a checkpoint is written until it is sealed."""
    return target.with_name(f".saving-{target.name}")


def _holds_anything(path: Path) -> bool:
    try:
        return path.is_dir() and any(path.iterdir())
    except FileNotFoundError:  # deleted meanwhile by the run that owns it
        return False
    except OSError:  # not readable: `restore` says so
        return True


def _save_error(target: Path, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split())
    return CheckpointError(
        f"{target}: could not be saved ({type(error).__name__}: {reason}); "
        "the checkpoints before it are untouched"
    )
