"""How a radial basis function head starts: a warm network, centres, their weights."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxdl.data import Dataset, Subset
from jaxdl.durations import duration_steps, parse_duration
from jaxdl.errors import ConfigError, NonFiniteError
from jaxdl.layers import RBFHead
from jaxdl.models import list_splits
from jaxdl.rbf import (
    assign_classes,
    choose_widths,
    find_centers,
    measure_widths,
    place_centers,
)
from jaxdl.recipes.build import build_optimizer
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.fit import collect_outputs
from jaxdl.recipes.rbf import (
    compute_rbf,
    init_rbf_totals,
    make_rbf_evaluation,
    make_rbf_loss,
)
from jaxdl.recipes.rbf_config import CentersSection, RBFConfig
from jaxdl.recipes.task import Plan, Task
from jaxdl.recipes.training import build_training
from jaxdl.train import (
    ProgressDisplay,
    StopRequest,
    evaluate,
    make_evaluation_step,
)
from jaxdl.typing import Array, Params, PRNGKey

_EMBEDDING_KEYS = ("embeddings", "label")


def count_warm_steps(config: RBFConfig, num_examples: int) -> int:
    """Steps of plain training before centres are looked for.

    Args:
      config: the resolved config.
      num_examples: of the train split.

    Returns:
      0 without a warm start.
    """
    if config.centers.warm_start is None:
        return 0
    return duration_steps(
        parse_duration(config.centers.warm_start),
        num_examples=num_examples,
        batch_size=config.data.batch_size,
    )


def place_start(
    config: RBFConfig,
    classifier: Classifier,
    variables: dict[str, Any],
    dataset: Dataset,
    mesh: Mesh,
    plan: Plan,
    stop: StopRequest,
    *,
    key: PRNGKey,
) -> dict[str, Any]:
    """Warms a network up, and puts its centres where its embeddings are.

    Args:
      config: the resolved config.
      classifier: its model is an `RBFNetwork`.
      variables: of it, as they are drawn or loaded.
      dataset: its train split is used.
      mesh: the devices.
      plan: of the training that follows.
      stop: asked after every step; a stop leaves centres as they are.
      key: of the warm start and of the search for centres.

    Returns:
      The variables that training begins with.

    Raises:
      ConfigError: more centres than examples, or fewer than classes.
      NonFiniteError: in the warm start.
    """
    keys = jax.random.split(key, 3)
    variables = _warm_up(
        config, classifier, variables, dataset, mesh, plan, stop, key=keys[0]
    )
    if config.centers.method == "drawn" or stop.requested:
        return variables
    split = dataset.splits["train"]
    count = min(config.centers.num_examples, len(split))
    chosen = np.random.default_rng(config.run.seed).choice(len(split), count, False)
    outputs, on_outputs = collect_outputs(count)
    totals = evaluate(
        make_evaluation_step(make_rbf_evaluation(classifier)),
        init_rbf_totals(classifier.num_classes),
        variables["params"],
        {name: tree for name, tree in variables.items() if name != "params"},
        Subset(split, chosen),
        mesh=mesh,
        batch_size=plan.eval_batch_size,
        num_workers=plan.num_workers,
        should_stop=lambda: stop.requested,
        on_outputs=lambda indices, rows: on_outputs(
            indices, {name: rows[name] for name in _EMBEDDING_KEYS}
        ),
    )
    if totals is None:
        return variables
    params = variables["params"]
    head = _place_head(
        config.centers,
        classifier.model.head,
        params["head"],
        jnp.asarray(outputs["embeddings"]),
        jnp.asarray(outputs["label"]),
        key=keys[1],
    )
    return {**variables, "params": {**params, "head": head}}


def _place_head(
    section: CentersSection,
    head: RBFHead,
    params: Params,
    embeddings: Array,
    labels: Array,
    *,
    key: PRNGKey,
) -> Params:
    """Puts centres among embeddings; widths and output weights as the section says."""
    try:
        found = find_centers(
            embeddings,
            head.num_centers,
            method="random" if section.method == "random" else "kmeans",
            labels=labels,
            per_class=section.method == "class_kmeans",
            key=key,
        )
    except ValueError as error:
        raise ConfigError(f"head.num_centers: {error}") from None
    widths = None
    if section.widths == "neighbors":
        widths = choose_widths(found.points)
    elif section.widths == "spread":
        widths = measure_widths(embeddings, found.points)
    params = place_centers(head, params, found.points, widths=widths)
    if section.class_weight is None:
        return params
    return assign_classes(head, params, found.classes, weight=section.class_weight)


def _warm_up(
    config: RBFConfig,
    classifier: Classifier,
    variables: dict[str, Any],
    dataset: Dataset,
    mesh: Mesh,
    plan: Plan,
    stop: StopRequest,
    *,
    key: PRNGKey,
) -> dict[str, Any]:
    """Trains on images as they are, by the classes alone, at a constant rate."""
    num_steps = count_warm_steps(config, len(dataset.splits["train"]))
    if not num_steps:
        return variables
    task = Task(
        loss_fn=make_rbf_loss(classifier),
        evaluation_step=lambda *_: None,
        empty_totals=None,
        compute=compute_rbf,
        splits=list_splits(classifier.model),
    )
    rate = config.optimizer.learning_rate
    warm = dataclasses.replace(
        plan, num_steps=num_steps, max_steps=1, schedule=lambda step: rate
    )
    state, advance = build_training(
        config,
        warm,
        task,
        variables,
        build_rbf_optimizer(config, warm),
        dataset,
        mesh,
        key=key,
    )
    display = ProgressDisplay(
        num_steps=num_steps,
        first_step=0,
        examples_per_step=plan.batch_size,
        steps_per_epoch=len(dataset.splits["train"]) / plan.batch_size,
    )
    display.say(f"warm start: {num_steps} steps, then centres are looked for")
    with display:
        for step in range(num_steps):
            if stop.requested:
                break
            state = advance(state, step, 1)
            display.advance(step + 1)
    if not bool(state.finite):
        raise NonFiniteError(
            f"centers.warm_start: a step of the first {num_steps} is not finite; lower "
            "optimizer.learning_rate, set optimizer.clip_norm or look at the data"
        )
    return {"params": state.params, **state.model_state}


def build_rbf_optimizer(config: RBFConfig, plan: Plan) -> optax.GradientTransformation:
    """The optimiser of a config; a frozen backbone is left alone, decay included.

    Args:
      config: the resolved config.
      plan: has the learning rates.

    Returns:
      An optimiser of the parameters of an `RBFNetwork`.
    """
    optimizer = build_optimizer(config.optimizer, plan.schedule)
    if not config.head.freeze_backbone:
        return optimizer
    return optax.partition(
        {"head": optimizer, "backbone": optax.set_to_zero()},
        lambda params: {name: name for name in params},
    )
