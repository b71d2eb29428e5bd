"""The study of what pre-training is worth where few images have labels."""

import dataclasses
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console

from jaxdl.augment import normalize
from jaxdl.data import ArraySplit, load_into_memory, with_limited_train
from jaxdl.metrics import compute_classification, init_classification
from jaxdl.optim import make_schedule, sgd
from jaxdl.parallel import tree_shardings
from jaxdl.recipes.barlow_twins import crop_middle
from jaxdl.recipes.build import build_model, build_steps
from jaxdl.recipes.classification import (
    Classifier,
    make_classification_evaluation,
    make_classification_loss,
)
from jaxdl.recipes.encoders import Backbone
from jaxdl.recipes.probe_subject import ProbeSubject
from jaxdl.recipes.probe_training import fit_batch_size, make_crops, train_to_end
from jaxdl.recipes.probes_config import (
    ScratchSection,
    SemiSupervisedConfig,
    TuningSection,
)
from jaxdl.recipes.study import Row, finish_study
from jaxdl.report import plot_accuracy_lines
from jaxdl.train import (
    RunFolder,
    TrainState,
    evaluate,
    init_train_state,
    init_variables,
    make_evaluation_step,
    make_streamed_advance,
    make_train_step,
)
from jaxdl.typing import Array, Float, PRNGKey, Shaped

_STARTS = ("pre-trained", "from scratch")


@dataclasses.dataclass(frozen=True)
class TunedClassifier(Classifier):
    """A backbone with a head, shown the middle of images as its encoder was.

    Attributes:
      backbone: tells the preparation.
    """

    backbone: Backbone

    def prepare(
        self, images: Shaped[Array, "batch height width channels"]
    ) -> Float[Array, "batch new_height new_width channels"]:
        """Stored images (uint8) as the network takes them."""
        return normalize(self.backbone.crop(images), mean=self.mean, std=self.std)


def study_semi_supervised(
    config: SemiSupervisedConfig, subject: ProbeSubject, run: RunFolder
) -> int:
    """Trains with few labels, from the pre-training and from scratch.

    Args:
      config: the resolved config.
      subject: the network and the data.
      run: the folder of the study, locked.

    Returns:
      The exit status, 0.

    Raises:
      ConfigError: a batch does not divide over the devices.
      DataError: a class has too few images.
      NonFiniteError: a training diverged.
    """
    start = time.perf_counter()
    console = Console()
    trials = _Trials(config, subject)
    table: list[Row] = []
    for fraction in config.fractions:
        for name in _STARTS:
            for row in trials.run(fraction, name):
                table.append(row)
                text = _describe(row)
                console.print(text, highlight=False, markup=False, soft_wrap=True)
    results = _summarise(table)
    _plot(table, subject, run.path / "accuracy.png")
    finish_study(
        run,
        table=table,
        shown=[_show(row) for row in results],
        summary={
            **subject.summarise(),
            "results": results,
            "seconds": time.perf_counter() - start,
        },
        title=f"few labels, {subject.title}",
        console=console,
    )
    return 0


class _Trials:
    """All trainings of the study; those that differ by seed alone share compiled code.

    Attributes:
      config: of the study.
      subject: the network and the data.
    """

    def __init__(self, config: SemiSupervisedConfig, subject: ProbeSubject):
        self.config, self.subject = config, subject
        encoder, num_classes = subject.encoder, subject.dataset.num_classes
        backbone = encoder.backbone
        self._classifier = TunedClassifier(
            model=build_model(encoder.config.model, num_classes=num_classes),
            num_classes=num_classes,
            mean=backbone.mean,
            std=backbone.std,
            backbone=backbone,
        )
        self._evaluation_step = make_evaluation_step(
            make_classification_evaluation(self._classifier)
        )
        self._augment = self._make_augment()
        keys = jax.random.split(jax.random.key(config.run.seed), config.num_seeds)
        shape = (*backbone.size, encoder.card.image_shape[2])
        self._drawn = [
            init_variables(self._classifier.model, shape, key=key) for key in keys
        ]

    def run(self, fraction: float, start: str) -> list[Row]:
        """A row of the table for each seed."""
        config, is_tuned = self.config, start == "pre-trained"
        splits = [self._draw_split(fraction, seed) for seed in range(config.num_seeds)]
        count = len(splits[0])
        size = fit_batch_size(config.data.batch_size, count, self.subject.mesh)
        duration = config.tuning.duration if is_tuned else config.scratch.duration
        num_steps = build_steps(duration, num_examples=count, batch_size=size)
        loss_fn = make_classification_loss(self._classifier, augment=self._augment)
        if is_tuned:
            optimizer = make_tuning_optimizer(config.tuning, num_steps)
            hint = "lower tuning.backbone_learning_rate or tuning.head_learning_rate"
        else:
            optimizer = _make_scratch_optimizer(config.scratch, num_steps)
            hint = "lower scratch.learning_rate"
        step, rows = None, []
        for seed, split in enumerate(splits):
            began = time.perf_counter()
            state = init_train_state(
                self._start_from(is_tuned, seed),
                loss_fn,
                optimizer,
                split.read(np.arange(size)),
                key=jax.random.fold_in(jax.random.key(config.run.seed), seed),
            )
            shardings = tree_shardings(state, self.subject.mesh)
            if step is None:
                step = make_train_step(loss_fn, optimizer, state_shardings=shardings)
            state = train_to_end(
                jax.device_put(state, shardings),
                # Streamed though in memory: a resident split is compiled anew.
                make_streamed_advance(
                    step,
                    split,
                    mesh=self.subject.mesh,
                    batch_size=size,
                    last_step=num_steps,
                    seed=config.run.seed + seed,
                ),
                num_steps=num_steps,
                batch_size=size,
                steps_per_epoch=count / size,
                hint=hint,
            )
            rows.append(
                {
                    "fraction": fraction,
                    "labelled_images": count,
                    "start": start,
                    "seed": seed,
                    "checkpoint_step": self.subject.encoder.step,
                    "steps": num_steps,
                    "test_accuracy": self._score(state),
                    "seconds": time.perf_counter() - began,
                }
            )
        return rows

    def _draw_split(self, fraction: float, seed: int) -> ArraySplit:
        """Some training images of each class; all for a fraction of 1."""
        dataset = self.subject.dataset
        if fraction < 1:
            wanted = round(fraction * len(dataset.splits["train"]))
            dataset = with_limited_train(
                dataset,
                num_examples=max(wanted, dataset.num_classes),
                seed=self.config.run.seed + seed,
            )
        return load_into_memory(dataset.splits["train"])

    def _start_from(self, is_tuned: bool, seed: int) -> dict[str, Any]:
        """The variables before the first step, which takes over their buffers."""
        drawn, encoder = self._drawn[seed], self.subject.encoder
        if is_tuned:
            params = {**drawn["params"], **encoder.params}
            drawn = {**drawn, **encoder.model_state, "params": params}
        return jax.tree.map(jnp.copy, drawn)

    def _score(self, state: TrainState) -> float:
        subject = self.subject
        totals = evaluate(
            self._evaluation_step,
            init_classification(self._classifier.num_classes),
            state.params,
            state.model_state,
            subject.dataset.splits["test"],
            mesh=subject.mesh,
            batch_size=self.config.data.eval_batch_size,
            num_workers=max(1, self.config.data.num_workers),
        )
        numbers: Any = compute_classification(jax.device_get(totals))
        return numbers["accuracy"]

    def _make_augment(self) -> Callable[..., Array]:
        size = self.subject.encoder.backbone.size
        if self.config.crops.random:
            return make_crops(self.config.crops, size)

        def crop(images: Array, *, key: PRNGKey) -> Array:
            del key  # nothing is random
            return crop_middle(images, size[0]) if size[0] == size[1] else images

        return crop


def make_tuning_optimizer(
    section: TuningSection, num_steps: int
) -> optax.GradientTransformation:
    """Momentum descent along a cosine to 0, with a rate of its own for the head.

    Args:
      section: tells the rates.
      num_steps: of the training.

    Returns:
      An optax transformation of parameters with `"head"` among them.
    """
    decay = section.weight_decay
    parts: dict[Hashable, optax.GradientTransformation] = {
        "head": _descend(section.head_learning_rate, decay, num_steps),
        "backbone": _descend(section.backbone_learning_rate, decay, num_steps),
    }
    label = lambda params: {n: "head" if n == "head" else "backbone" for n in params}
    return optax.partition(parts, label)


def _make_scratch_optimizer(
    section: ScratchSection, num_steps: int
) -> optax.GradientTransformation:
    return _descend(section.learning_rate, section.weight_decay, num_steps)


def _descend(
    learning_rate: float, weight_decay: float, num_steps: int
) -> optax.GradientTransformation:
    rate = make_schedule("cosine", learning_rate=learning_rate, num_steps=num_steps)
    return sgd(rate, weight_decay=weight_decay, nesterov=False)


def _describe(row: Row) -> str:
    return (
        f"{row['fraction']:.3g} of the labels ({row['labelled_images']:,}), "
        f"{row['start']}, seed {row['seed']}: test accuracy {row['test_accuracy']:.4f}"
    )


def _summarise(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Mean and deviation over the seeds, by fraction and start."""
    groups: dict[tuple[float, str], list[Row]] = {}
    for row in table:
        groups.setdefault((row["fraction"], row["start"]), []).append(row)
    results = []
    for (fraction, start), rows in groups.items():
        found = [row["test_accuracy"] for row in rows]
        results.append(
            {
                "fraction": fraction,
                "labelled_images": rows[0]["labelled_images"],
                "start": start,
                "mean": float(np.mean(found)),
                "std": float(np.std(found, ddof=1)) if len(found) > 1 else None,
                "runs": len(found),
            }
        )
    return results


def _show(result: dict[str, Any]) -> Row:
    """The columns for the screen."""
    spread = "" if result["std"] is None else f" ± {result['std']:.4f}"
    return {
        "labels": f"{100 * result['fraction']:.3g} %",
        "images": result["labelled_images"],
        "start": result["start"],
        "test accuracy": f"{result['mean']:.4f}{spread}",
    }


def _plot(table: Sequence[Row], subject: ProbeSubject, path: Path) -> None:
    lines: dict[str, dict[int, list[float]]] = {name: {} for name in _STARTS}
    for row in table:
        runs = lines[row["start"]].setdefault(row["labelled_images"], [])
        runs.append(row["test_accuracy"])
    plot_accuracy_lines(lines, path, title=subject.title, xlabel="labelled images")
