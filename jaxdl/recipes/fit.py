"""A training run from its first step or its last checkpoint to its end.

Ties the loop to a run folder: rows, checkpoints, evaluations, resuming, stopping. It
knows no task: that is in the loss function and the evaluation function it is given.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from statistics import median
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from jaxdl.data import Dataset, batch_indices
from jaxdl.errors import DataError, NonFiniteError
from jaxdl.parallel import decide_first, replicated_sharding, shard_batch
from jaxdl.recipes.task import Numbers, Plan, Task
from jaxdl.train import (
    Advance,
    CheckpointStore,
    GuardedLogger,
    Hooks,
    JsonLinesLogger,
    Logger,
    ProgressDisplay,
    RunFolder,
    StopRequest,
    TensorBoardLogger,
    TrainState,
    WandbLogger,
    abstract_tree,
    evaluate,
    find_nonfinite,
    log_row,
    read_rows,
    state_from_items,
    state_items,
    train,
    truncate_rows,
)


class Fit:
    """One run in progress; use as a context manager, then call `run`.

    Attributes:
      state: the newest state.
      stop: whether a signal asked to stop.
      store: the run's checkpoints.
      display: where to print.
    """

    def __init__(
        self,
        folder: RunFolder,
        task: Task,
        plan: Plan,
        dataset: Dataset,
        mesh: Mesh,
        state: TrainState,
        *,
        keep_last: int,
        stop: StopRequest,
    ):
        """Prepares the run and restores its newest checkpoint, if there is one.

        Args:
          folder: the run folder, locked.
          task: what to train and measure.
          plan: how long.
          dataset: splits `"train"` and `"validation"`.
          mesh: the devices.
          state: the state before step 0, placed on the mesh.
          keep_last: newest checkpoints to keep besides the best.
          stop: is asked after every step and every evaluation batch.

        Raises:
          CheckpointError: there are checkpoints, but none can be restored.
          DataError: the data differ from those the run started with.
        """
        self.folder, self.task, self.plan = folder, task, plan
        self.dataset, self.mesh, self.stop = dataset, mesh, stop
        self.state = state
        self._steps_per_epoch = len(dataset.splits["train"]) / plan.batch_size
        self._metadata = {"data": dataset.fingerprint()}
        self._validation: tuple[int, Numbers] | None = None
        self._exit = ExitStack()
        self.warnings: list[str] = []
        self.store = CheckpointStore(
            folder.checkpoints,
            keep_last=keep_last,
            best_metric=task.best_metric,
            on_warning=self.warnings.append,
        )
        self._restore()
        self.first_step = self._step = int(self.state.step)
        self.display = ProgressDisplay(
            num_steps=plan.num_steps,
            first_step=self.first_step,
            examples_per_step=plan.batch_size,
            steps_per_epoch=self._steps_per_epoch,
            console=Console(quiet=not folder.is_writer),
        )
        self.loggers: list[Logger] = []
        self._timing: JsonLinesLogger | None = None
        self._seconds = 0.0

    def __enter__(self) -> "Fit":
        if self.folder.is_writer:
            for path in (self.folder.metrics, self.folder.timing):
                truncate_rows(path, step=self.first_step)
            timing = read_rows(self.folder.timing)
            self._seconds = timing[-1]["seconds"] if timing else 0.0
            self.loggers.append(JsonLinesLogger(self.folder.metrics))
            self._timing = JsonLinesLogger(self.folder.timing)
        self._exit.enter_context(self.store)
        return self

    def __exit__(self, *exception: Any) -> None:
        for logger in [*self.loggers, self._timing]:
            if logger is not None:
                logger.close()
        self._exit.close()

    def add_loggers(
        self, *, tensorboard: bool, wandb: bool, config: Mapping[str, Any]
    ) -> None:
        """Adds the loggers that a run can do without.

        Raises:
          ConfigError: a logger asked for is not installed; says how to.
        """
        extra: list[Logger] = []
        path = self.folder.path
        if not self.folder.is_writer:
            return
        if tensorboard:
            extra.append(TensorBoardLogger(path, first_step=self.first_step + 1))
        if wandb:
            extra.append(WandbLogger(path, name=path.name, config=config))
        self.loggers += [
            GuardedLogger(logger, on_warning=self.display.say) for logger in extra
        ]

    def run(self, advance: Advance) -> TrainState:
        """Trains to the end, or until a stop is asked for.

        Args:
          advance: see `jaxdl.train.Advance`.

        Returns:
          The last state; it has been saved.

        Raises:
          NonFiniteError: names the step, its first bad array and the last good
            checkpoint.
        """
        hooks = Hooks(
            log=self._on_log,
            evaluate=self._on_evaluate,
            checkpoint=self._on_checkpoint,
            progress=self._on_progress,
            should_stop=self._poll,
        )
        try:
            with self.display:
                self.state = train(
                    self.state,
                    advance,
                    num_steps=self.plan.num_steps,
                    intervals=self.plan.intervals,
                    hooks=hooks,
                    max_steps=self.plan.max_steps,
                    evaluate_first=self._lacks_evaluation(),
                )
                self.store.wait()
        except NonFiniteError as error:
            raise self._explain(error) from None
        return self.state

    def score(
        self,
        split: str,
        *,
        params: Any,
        model_state: Any,
        on_outputs: Callable[..., None] | None = None,
    ) -> tuple[Numbers, Any] | None:
        """Numbers and statistics of a split, or None when a stop was asked for."""
        totals = evaluate(
            self.task.evaluation_step,
            self.task.empty_totals,
            params,
            model_state,
            self.dataset.splits[split],
            mesh=self.mesh,
            batch_size=self.plan.eval_batch_size,
            num_workers=self.plan.num_workers,
            should_stop=self._poll,
            on_outputs=on_outputs,
        )
        if totals is None:
            return None
        totals = jax.device_get(totals)
        return self.task.compute(totals), totals

    def speed(self) -> float | None:
        """The median images per second over the log intervals but the first."""
        rows = [row["images_per_second"] for row in read_rows(self.folder.timing)]
        rows = rows[1:] or rows
        return median(rows) if rows else None

    def seconds_at(self, step: int) -> float | None:
        """Seconds of training, all sessions together, until `step` was logged."""
        rows = [r for r in read_rows(self.folder.timing) if r["step"] <= step]
        return rows[-1]["seconds"] if rows else None

    def results_at(self, step: int, test: Numbers) -> dict[str, Any]:
        """What was measured after a step, with these numbers of the test split."""
        rows = [row for row in read_rows(self.folder.metrics) if row["step"] == step]
        logged = {
            name: scalars(found[-1])
            for name in ("train", "validation")
            if (found := [row for row in rows if row["split"] == name])
        }
        seconds = self.seconds_at(step)
        return {"step": step, "seconds": seconds, **logged, "test": dict(test)}

    def load_weights(self, step: int) -> tuple[Any, Any]:
        """Parameters to score (the average, if one is kept) and model state."""
        weights = abstract_tree(state_items(self.state)["weights"])
        restored = self.store.restore({"weights": weights}, step=step)
        assert restored is not None
        return weights_to_score(restored.items["weights"])

    def _restore(self) -> None:
        replicated = replicated_sharding(self.mesh)
        items = state_items(self.state)
        targets = abstract_tree(items)
        # The key is stored as words, whose sharding has another rank than the key's.
        key = targets["training"]["key"]
        targets["training"]["key"] = jax.ShapeDtypeStruct(
            key.shape, key.dtype, sharding=replicated
        )
        restored = self.store.restore(targets)
        if restored is None:
            return
        if restored.metadata.get("data") != self._metadata["data"]:
            raise DataError(
                f"{self.dataset.name}: the data differ from those this run started "
                f"with (fingerprint {str(restored.metadata.get('data'))[:12]} became "
                f"{self._metadata['data'][:12]}); restore them or start a new run"
            )
        self.state = state_from_items(
            restored.items, like=self.state, step=restored.step
        )

    def _poll(self) -> bool:
        return self.stop.poll(self._step)

    def _lacks_evaluation(self) -> bool:
        return decide_first(self._find_lack, what="read the rows")

    def _find_lack(self) -> bool:
        step, every = self.first_step, self.plan.intervals.evaluate
        if step == 0 or (step % every and step != self.plan.num_steps):
            return False
        return not any(
            row["step"] == step and row["split"] == "validation"
            for row in read_rows(self.folder.metrics)
        )

    def _row(self, step: int, split: str, numbers: Numbers) -> dict[str, Any]:
        epoch = step / self._steps_per_epoch
        return {"step": step, "epoch": epoch, "split": split, **numbers}

    def _on_progress(self, step: int) -> None:
        self._step = step
        self.display.advance(step)

    def _on_log(self, step: int, totals: Any) -> None:
        numbers = dict(self.task.compute(totals))
        numbers["learning_rate"] = float(self.plan.schedule(step - 1))
        seconds, speed = self.display.lap(step)
        self._seconds += seconds
        log_row(self.loggers, self._row(step, "train", numbers))
        timing = {"images_per_second": speed, "seconds": self._seconds}
        if self._timing is not None:
            self._timing.log(self._row(step, "train", timing))
        self.display.show(step, "train", numbers, speed=speed)

    def _on_evaluate(self, state: TrainState) -> bool:
        step = int(state.step)
        params, model_state = weights_to_score(state_items(state)["weights"])
        start = time.perf_counter()
        numbers = self._score_validation(step, params, model_state)
        self.display.leave_out(time.perf_counter() - start)
        if numbers is None:
            return False
        self._validation = (step, numbers)
        log_row(self.loggers, self._row(step, "validation", numbers))
        self.display.show(step, "validation", scalars(numbers))
        return True

    def _score_validation(
        self, step: int, params: Any, model_state: Any
    ) -> Numbers | None:
        weights = {"params": params, "model_state": model_state}
        watch = self.task.watch
        if watch is None:
            scored = self.score("validation", **weights)
            return None if scored is None else scored[0]
        count = len(self.dataset.splits["validation"])
        outputs, on_outputs = collect_outputs(count)
        scored = self.score("validation", **weights, on_outputs=on_outputs)
        if scored is None:
            return None
        return {**scored[0], **watch(step, params, model_state, outputs)}

    def _on_checkpoint(self, state: TrainState) -> None:
        step = int(state.step)
        metrics = None
        if self._validation is not None and self._validation[0] == step:
            numbers = scalars(self._validation[1])
            metrics = {k: v for k, v in numbers.items() if math.isfinite(v)}
        self.store.save(
            step, state_items(state), metrics=metrics, metadata=self._metadata
        )

    def _explain(self, error: NonFiniteError) -> NonFiniteError:
        state: TrainState = error.state  # pyright: ignore[reportAttributeAccessIssue]
        step = int(state.step)
        split = self.dataset.splits["train"]
        indices = batch_indices(
            step,
            seed=self.plan.seed,
            num_examples=len(split),
            batch_size=self.plan.batch_size,
        )
        found = find_nonfinite(
            self.task.loss_fn,
            state,
            shard_batch(split.read(indices), self.mesh),
            accumulate=self.plan.accumulate,
            activations_fn=self.task.activations_fn,
        )
        self.store.wait()
        saved = self.store.steps()
        kept = (
            f"the last good checkpoint is step {saved[-1]} in {self.store.folder}"
            if saved
            else "there is no checkpoint yet"
        )
        return NonFiniteError(
            f"step {step}: {found or 'the update'} is not finite; {kept}; "
            "lower optimizer.learning_rate, set optimizer.clip_norm or look at the data"
        )


def weights_to_score(weights: Mapping[str, Any]) -> tuple[Any, Any]:
    """The averaged parameters if there are any, else the parameters; model state."""
    return weights.get("ema_params", weights["params"]), weights["model_state"]


def scalars(numbers: Numbers) -> dict[str, float]:
    """The entries that are single numbers."""
    return {k: float(v) for k, v in numbers.items() if isinstance(v, int | float)}


def collect_outputs(num_examples: int) -> tuple[dict[str, np.ndarray], Callable]:
    """A store for per-example outputs, and the `on_outputs` that fills it."""
    outputs: dict[str, np.ndarray] = {}

    def on_outputs(indices: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        for name, values in rows.items():
            if name not in outputs:
                outputs[name] = np.zeros(
                    (num_examples, *values.shape[1:]), values.dtype
                )
            outputs[name][indices] = values

    return outputs, on_outputs
