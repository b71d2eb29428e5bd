"""What every training run has in common: its plan, its state, its start and end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from jaxdl.data import ArraySplit, Dataset
from jaxdl.errors import ConfigError
from jaxdl.parallel import (
    find_differences,
    place_tree,
    rest_processes,
    tree_shardings,
)
from jaxdl.recipes.barlow_twins_config import ViewsSection
from jaxdl.recipes.build import (
    build_channel_statistics,
    build_dataset,
    build_mesh,
    build_schedule,
    build_steps,
    check_batch_size,
)
from jaxdl.recipes.circumstances import list_circumstances
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.fit import Fit
from jaxdl.recipes.layout import LayoutSection, build_rules
from jaxdl.recipes.noise import check_noise_scale, check_shares, report_noise
from jaxdl.recipes.optimizer_sections import OptimizerSection, ScheduleSection
from jaxdl.recipes.sections import AugmentSection, DataSection, MeshSection, RunSection
from jaxdl.recipes.targets import TargetStop
from jaxdl.recipes.task import Plan, Task
from jaxdl.train import (
    Advance,
    Intervals,
    RunFolder,
    StopRequest,
    TrainState,
    TrainStep,
    init_train_state,
    make_resident_advance,
    make_streamed_advance,
    make_train_step,
)
from jaxdl.trees import named_leaves
from jaxdl.typing import PRNGKey

_SCAN_STEPS = 32
"""Steps per dispatch on accelerators: hides the dispatch, still stops soon."""


@runtime_checkable
class TrainingConfig(Protocol):
    """The sections that a config of any training run has."""

    @property
    def data(self) -> DataSection:
        """What is trained on."""
        ...

    @property
    def optimizer(self) -> OptimizerSection:
        """How it is trained."""
        ...

    @property
    def schedule(self) -> ScheduleSection:
        """How long."""
        ...

    @property
    def mesh(self) -> MeshSection:
        """On which devices."""
        ...

    @property
    def layout(self) -> LayoutSection:
        """What is split over them."""
        ...

    @property
    def run(self) -> RunSection:
        """What is written, and how often."""
        ...


def build_surroundings(
    config: TrainingConfig, statistics: AugmentSection | ViewsSection
) -> tuple[Mesh, Dataset, DatasetCard]:
    """The devices and the data of a run.

    Args:
      config: the resolved config.
      statistics: the section with the mean and the deviation of the channels.

    Returns:
      The mesh, the dataset with its three splits, and what is kept of it in the run
      folder.

    Raises:
      ConfigError: the batch does not divide over the devices, the statistics do not
        fit the images, or the noise scale can't be measured.
      DataError: the data can't be read.
    """
    if config.run.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", config.run.compilation_cache)
    mesh = build_mesh(config.mesh)
    check_batch_size(
        config.data.batch_size, accumulate=config.optimizer.accumulate, mesh=mesh
    )
    check_noise_scale(config.optimizer, mesh)
    dataset = build_dataset(config.data)
    found = {"the fingerprint of the data": dataset.fingerprint()}
    find_differences(found, what="compare data")
    mean, std = build_channel_statistics(statistics, dataset)
    card = DatasetCard(
        name=dataset.name,
        class_names=dataset.class_names,
        image_shape=dataset.image_shape,
        mean=mean,
        std=std,
        num_examples={name: len(split) for name, split in dataset.splits.items()},
    )
    return mesh, dataset, card


def build_plan(config: TrainingConfig, num_examples: int) -> Plan:
    """How long a run takes and how often it does what.

    Args:
      config: the resolved config.
      num_examples: of the train split.

    Returns:
      All lengths in steps.

    Raises:
      ConfigError: see `build_schedule`.
    """
    sizes = {"num_examples": num_examples, "batch_size": config.data.batch_size}
    schedule, num_steps = build_schedule(config.schedule, config.optimizer, **sizes)
    scan_steps = config.run.scan_steps
    if not scan_steps:
        scan_steps = 1 if jax.default_backend() == "cpu" else _SCAN_STEPS
    return Plan(
        num_steps=num_steps,
        intervals=Intervals(
            log=build_steps(config.run.log_every, **sizes),
            evaluate=build_steps(config.run.evaluate_every, **sizes),
            checkpoint=build_steps(config.run.checkpoint_every, **sizes),
        ),
        batch_size=config.data.batch_size,
        eval_batch_size=config.data.eval_batch_size,
        accumulate=config.optimizer.accumulate,
        max_steps=scan_steps,
        num_workers=max(1, config.data.num_workers),
        schedule=schedule,
        seed=config.run.seed,
    )


def build_training(
    config: TrainingConfig,
    plan: Plan,
    task: Task,
    variables: dict[str, Any],
    optimizer: optax.GradientTransformation,
    dataset: Dataset,
    mesh: Mesh,
    *,
    key: PRNGKey,
) -> tuple[TrainState, Advance]:
    """The state before the first step, on the mesh, and what moves it forward.

    Args:
      config: the resolved config.
      plan: from `build_plan`.
      task: what is trained.
      variables: the initial variables.
      optimizer: follows the plan's schedule.
      dataset: has the split `"train"`.
      mesh: the devices.
      key: the source of the training's randomness.

    Returns:
      See `jaxdl.train.TrainState` and `jaxdl.train.Advance`.

    Raises:
      ConfigError: the layout does not fit the parameters or the devices, or the noise
        scale can't be measured.
    """
    state, step = build_step(
        config, plan, task, variables, optimizer, dataset.image_shape, mesh, key=key
    )
    train_split = dataset.splits["train"]
    if isinstance(train_split, ArraySplit):
        advance = make_resident_advance(
            step,
            train_split,
            mesh=mesh,
            batch_size=plan.batch_size,
            max_steps=plan.max_steps,
            state_shardings=jax.tree.map(lambda leaf: leaf.sharding, state),
            seed=plan.seed,
        )
    else:
        advance = make_streamed_advance(
            step,
            train_split,
            mesh=mesh,
            batch_size=plan.batch_size,
            last_step=plan.num_steps,
            num_workers=plan.num_workers,
            prefetch=config.data.prefetch,
            seed=plan.seed,
        )
    return state, advance


def build_step(
    config: TrainingConfig,
    plan: Plan,
    task: Task,
    variables: dict[str, Any],
    optimizer: optax.GradientTransformation,
    image_shape: tuple[int, int, int],
    mesh: Mesh,
    *,
    key: PRNGKey,
) -> tuple[TrainState, TrainStep]:
    """The state before the first step, on the mesh, and the step itself.

    Args:
      config: the resolved config.
      plan: from `build_plan`.
      task: what is trained.
      variables: the initial variables.
      optimizer: follows the plan's schedule.
      image_shape: height, width, channels.
      mesh: the devices.
      key: the source of the training's randomness.

    Returns:
      See `jaxdl.train.TrainState` and `jaxdl.train.make_train_step`.

    Raises:
      ConfigError: see `build_training`.
    """
    check_shares(config.optimizer, task)
    batch = {
        "images": jax.ShapeDtypeStruct((plan.batch_size, *image_shape), np.uint8),
        "labels": jax.ShapeDtypeStruct((plan.batch_size,), np.int32),
    }
    state = init_train_state(
        variables,
        task.loss_fn,
        optimizer,
        batch,
        ema=config.optimizer.ema_decay is not None,
        noise_scale=config.optimizer.noise_scale,
        key=key,
    )
    rules = build_rules(
        config.layout,
        task.splits,
        list(named_leaves(state.params)),
        model_size=mesh.shape["model"],
    )
    try:
        shardings = tree_shardings(state, mesh, rules=rules)
    except ValueError as error:
        raise ConfigError(f"mesh.model: {error}; or see layout.whole") from None
    state = place_tree(state, shardings)
    step = make_train_step(
        task.loss_fn,
        optimizer,
        accumulate=plan.accumulate,
        ema_decay=config.optimizer.ema_decay,
        noise_scale=config.optimizer.noise_scale,
        mesh=mesh,
        state_shardings=shardings,
    )
    return state, step


def run_training(
    config: TrainingConfig,
    run: RunFolder,
    stop: StopRequest,
    task: Task,
    plan: Plan,
    dataset: Dataset,
    mesh: Mesh,
    training: tuple[TrainState, Advance],
    *,
    logged_config: Mapping[str, Any],
    notes: Sequence[str],
    summarise: Callable[[Fit, TrainState], bool],
    resume_name: str | None = None,
    reached: Callable[[], bool] | None = None,
) -> int:
    """Trains to the end or until a stop is asked for, and says how it went.

    Args:
      config: the resolved config.
      run: its folder, locked.
      stop: asked after every step.
      task: what is trained.
      plan: from `build_plan`.
      dataset: as for `Fit`.
      mesh: the devices.
      training: from `build_training`.
      logged_config: what loggers write of the config.
      notes: lines to say before the first step.
      summarise: writes the results of a finished run; False when a stop was asked
        for before it was done.
      resume_name: the `run.name` by which a stopped run is resumed, if it is not the
        name of its folder.
      reached: asked after every step whether the run is good enough to end early.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop.
    """
    state, advance = training
    with Fit(
        run,
        report_noise(task) if config.optimizer.noise_scale else task,
        plan,
        dataset,
        mesh,
        state,
        keep_last=config.run.keep_last,
        stop=stop if reached is None else TargetStop(stop, reached),
    ) as fit:
        fit.add_loggers(
            tensorboard=config.run.tensorboard,
            wandb=config.run.wandb,
            config=logged_config,
        )
        for note in [*notes, *list_circumstances(fit, state)]:
            fit.display.say(note)
        state = fit.run(advance)
        rest_processes()
        # What comes now is to be done however early the training ended.
        fit.stop = stop
        is_enough = reached is not None and reached()
        is_done = is_enough or int(state.step) == plan.num_steps
        finished = is_done and not stop.requested
        if finished:
            finished = summarise(fit, state)
    if not finished:
        step = int(state.step)
        saved = f"after step {step} of {plan.num_steps}; saved" * bool(step)
        fit.display.say(
            f"stopped {saved or 'before the first step'}. "
            "Continue with the same command and "
            f"run.name={resume_name or run.path.name} --resume"
        )
    fit.display.say(f"run folder: {run.path}")
    return stop.exit_status


def describe_data(card: DatasetCard) -> str:
    """One line about the examples.

    Args:
      card: of the dataset.

    Returns:
      Numbers of examples and classes, and the shape of the images.
    """
    sizes = ", ".join(f"{name} {n}" for name, n in card.num_examples.items())
    shape = "x".join(map(str, card.image_shape))
    return f"{card.name}: {sizes}; {len(card.class_names)} classes, images {shape}"
