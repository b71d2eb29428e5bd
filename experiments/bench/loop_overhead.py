"""How much does the training loop cost on top of the jitted step?

    python experiments/bench/loop_overhead.py

Compares, per step, a run (the loop with batches gathered by index, metrics, a log row
every 50 steps to metrics.jsonl and TensorBoard, and a progress bar) with the bare
jitted step called again and again on one batch that lies on the device. ResNet-8,
images of 32x32x3, batch 64, made data. Evaluations and checkpoints are left out: they
are chosen by the config. Both sides are timed in turns of 10 steps, so that other
programs slow both; medians of 5 runs of 100 steps and of their ratios are printed.

Takes 2 minutes on 2 CPU cores. Expected: a ratio of at most 1.05 (CPU time is the
steadier of the two where other programs run).
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from rich.console import Console

from jaxdl.augment import make_augment
from jaxdl.data import Dataset, from_arrays, load_into_memory
from jaxdl.metrics import compute_classification, init_classification
from jaxdl.models import MODELS
from jaxdl.optim import make_optimizer, make_schedule
from jaxdl.parallel import make_mesh, shard_batch, tree_shardings
from jaxdl.recipes.classification import (
    Classifier,
    make_classification_evaluation,
    make_classification_loss,
)
from jaxdl.recipes.fit import Fit
from jaxdl.recipes.task import Plan, Task
from jaxdl.train import (
    Advance,
    Intervals,
    ProgressDisplay,
    RunFolder,
    StopRequest,
    TrainState,
    init_train_state,
    init_variables,
    make_evaluation_step,
    make_resident_advance,
    make_train_step,
)

BATCH_SIZE = 64
LOG_EVERY = 50
WARM_UP = 5
CHUNK = 10
Times = np.ndarray
"""Wall and CPU seconds."""


class Setting:
    """What both sides share: the task, the data and the compiled functions."""

    def __init__(self, num_steps: int):
        """Builds everything once; `num_steps` are timed per run."""
        self.num_steps = num_steps
        self.mesh = make_mesh(data=1)
        self.dataset = _make_dataset()
        self.schedule = make_schedule("cosine", learning_rate=0.1, num_steps=10_000)
        classifier = Classifier(
            MODELS["resnet8_cifar"](num_classes=10), 10, (0.5,) * 3, (0.25,) * 3
        )
        self.task = Task(
            loss_fn=make_classification_loss(
                classifier, augment=make_augment(crop_padding=4, flip=True)
            ),
            evaluation_step=make_evaluation_step(
                make_classification_evaluation(classifier)
            ),
            empty_totals=init_classification(10),
            compute=compute_classification,
        )
        self.optimizer = make_optimizer("sgd", self.schedule, weight_decay=5e-4)
        self.variables = init_variables(
            classifier.model, (32, 32, 3), key=jax.random.key(0)
        )
        self.batch = self.dataset.splits["train"].read(np.arange(BATCH_SIZE))
        self.shardings = tree_shardings(self.init(), self.mesh)
        self.step = make_train_step(
            self.task.loss_fn, self.optimizer, state_shardings=self.shardings
        )
        split = load_into_memory(self.dataset.splits["train"])
        self.advance = make_resident_advance(
            self.step,
            split,
            mesh=self.mesh,
            batch_size=BATCH_SIZE,
            state_shardings=self.shardings,
            seed=0,
        )

    def init(self) -> TrainState:
        """A new state; the step takes over the buffers of the one it is given."""
        return init_train_state(
            jax.tree.map(jax.numpy.copy, self.variables),
            self.task.loss_fn,
            self.optimizer,
            self.batch,
            key=jax.random.key(1),
        )


def time_run(setting: Setting) -> tuple[Times, Times]:
    """Times a run and, every few steps, as many bare steps: (bare, run) per step."""
    bare = jax.device_put(setting.init(), setting.shardings)
    batch = shard_batch(setting.batch, setting.mesh)
    last = WARM_UP + setting.num_steps
    total = {"bare": np.zeros(2), "run": np.zeros(2)}
    mark: np.ndarray | None = None

    def advance(state: TrainState, first_step: int, num_steps: int) -> TrainState:
        nonlocal bare, mark
        if (first_step - WARM_UP) % CHUNK == 0 and WARM_UP <= first_step <= last:
            jax.block_until_ready(state)
            if mark is not None:
                total["run"] += _clock() - mark
            start = _clock()
            for _ in range(CHUNK):
                bare, _ = setting.step(bare, batch)
            jax.block_until_ready(bare)
            mark = _clock()
            if first_step < last:
                total["bare"] += mark - start
        return setting.advance(state, first_step, num_steps)

    with tempfile.TemporaryDirectory() as folder, StopRequest() as stop:
        _run(setting, Path(folder), stop, advance, num_steps=last + 1)
    return total["bare"] / setting.num_steps, total["run"] / setting.num_steps


def _run(
    setting: Setting,
    folder: Path,
    stop: StopRequest,
    advance: Advance,
    *,
    num_steps: int,
) -> None:
    plan = Plan(
        num_steps=num_steps,
        intervals=Intervals(log=LOG_EVERY, evaluate=num_steps, checkpoint=num_steps),
        batch_size=BATCH_SIZE,
        eval_batch_size=BATCH_SIZE,
        accumulate=1,
        max_steps=1,
        num_workers=1,
        schedule=setting.schedule,
        seed=0,
    )
    state = jax.device_put(setting.init(), setting.shardings)
    with Fit(
        RunFolder(folder),
        setting.task,
        plan,
        setting.dataset,
        setting.mesh,
        state,
        keep_last=1,
        stop=stop,
    ) as fit:
        fit.display = ProgressDisplay(
            num_steps=num_steps,
            first_step=0,
            examples_per_step=BATCH_SIZE,
            steps_per_epoch=32,
            # A bar is drawn, as on a terminal, but not into this script's output.
            console=Console(file=io.StringIO(), force_terminal=True),
        )
        fit.add_loggers(tensorboard=True, wandb=False, config={})
        fit.run(advance)


def _make_dataset() -> Dataset:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2048, 32, 32, 3), np.uint8)
    labels = generator.integers(0, 10, 2048)
    labels[:10] = range(10)
    few = (images[:64], labels[:64])
    return from_arrays((images, labels), validation=few, test=few)


def _clock() -> Times:
    return np.array([time.perf_counter(), time.process_time()])


def main() -> None:
    """Times both sides in turns and prints the medians."""
    parser = argparse.ArgumentParser(description="Times the loop and the step.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2 * LOG_EVERY)
    arguments = parser.parse_args()
    if arguments.steps % CHUNK:
        parser.error(f"--steps must be a multiple of {CHUNK}")
    setting = Setting(arguments.steps)
    times = np.array([time_run(setting) for _ in range(arguments.runs + 1)])
    times = times[1:]  # the first run compiles
    for column, label in enumerate(("wall", "cpu")):
        bare, run = 1e3 * times[:, 0, column], 1e3 * times[:, 1, column]
        ratios = sorted(run / bare)
        print(
            f"{label:<5} bare {np.median(bare):.2f} ms/step  "
            f"run {np.median(run):.2f} ms/step  ratio {np.median(ratios):.3f} "
            f"({', '.join(f'{ratio:.3f}' for ratio in ratios)})"
        )


if __name__ == "__main__":
    main()
