"""The trained network that a study compresses, its fine-tuning and its scores."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxdl.data import (
    ArraySplit,
    Dataset,
    load_into_memory,
    resolve_path,
    with_limited_train,
)
from jaxdl.errors import NonFiniteError
from jaxdl.metrics import compute_classification, init_classification
from jaxdl.optim import make_schedule, sgd
from jaxdl.parallel import replicated_sharding
from jaxdl.recipes.build import (
    build_augment,
    build_channel_statistics,
    build_model,
    build_steps,
    check_image_size,
)
from jaxdl.recipes.classification import (
    Classifier,
    Teacher,
    make_classification_evaluation,
    make_classification_loss,
)
from jaxdl.recipes.svd_compress_network_config import CompressNetworkConfig
from jaxdl.recipes.weights_file import load_weights_file
from jaxdl.recipes.weights_options import PreparationSection
from jaxdl.train import (
    evaluate,
    init_train_state,
    init_variables,
    make_evaluation_step,
    make_resident_advance,
    make_train_step,
)
from jaxdl.typing import PRNGKey


class Bench(NamedTuple):
    """What all networks of the study are trained and scored with.

    Attributes:
      config: of the study.
      dataset: with all three splits.
      mesh: of one device.
      key: the source of all randomness.
    """

    config: CompressNetworkConfig
    dataset: Dataset
    mesh: Mesh
    key: PRNGKey


def prepare_network(bench: Bench) -> tuple[Classifier, dict[str, Any]]:
    """The trained network: from a file, or trained now.

    Args:
      bench: tells which.

    Returns:
      The network with its preparation, and its variables.

    Raises:
      CheckpointError: the file can't be read or holds another network.
      ConfigError: the network does not take the images.
      DataError: there is no such file.
      NonFiniteError: the training diverged.
    """
    config, dataset = bench.config, bench.dataset
    if config.weights is not None:
        mean, std = config.augment.mean, config.augment.std
        given = PreparationSection()
        if not isinstance(mean, str) and not isinstance(std, str):
            given = PreparationSection(mean=mean, std=std)
        trained = load_weights_file(
            resolve_path(config.weights),
            bench.mesh,
            model=config.model,
            augment=given,
            data=config.data,
            dataset=dataset,
        )
        return trained.classifier, {"params": trained.params, **trained.model_state}
    mean, std = build_channel_statistics(config.augment, dataset)
    model = build_model(config.model, num_classes=dataset.num_classes)
    classifier = Classifier(model, dataset.num_classes, mean, std)
    check_image_size(model, dataset.image_shape)
    key = jax.random.fold_in(bench.key, 1)
    variables = init_variables(model, dataset.image_shape, key=key)
    return classifier, train_network(
        bench,
        classifier,
        variables,
        load_into_memory(dataset.splits["train"]),
        name="training",
        duration=config.training.duration,
        learning_rate=config.training.learning_rate,
        weight_decay=config.training.weight_decay,
        schedule="one_cycle",
    )


def limit_train(bench: Bench) -> ArraySplit:
    """The images that fine-tuning sees, in memory.

    Args:
      bench: tells the data, and how many of them.

    Returns:
      All training images, or some of each class.

    Raises:
      DataError: there are too few.
    """
    dataset, count = bench.dataset, bench.config.finetuning.num_images
    if count is not None:
        seed = bench.config.data.split_seed
        dataset = with_limited_train(dataset, num_examples=count, seed=seed)
    return load_into_memory(dataset.splits["train"])


def score_network(
    bench: Bench, classifier: Classifier, variables: dict[str, Any]
) -> float:
    """The accuracy on the test split.

    Args:
      bench: tells the data.
      classifier: the network.
      variables: its variables.

    Returns:
      The share of right answers.
    """
    model_state = dict(variables)
    params = model_state.pop("params")
    totals = evaluate(
        make_evaluation_step(make_classification_evaluation(classifier)),
        init_classification(classifier.num_classes),
        params,
        model_state,
        bench.dataset.splits["test"],
        mesh=bench.mesh,
        batch_size=bench.config.data.eval_batch_size,
        num_workers=max(1, bench.config.data.num_workers),
    )
    numbers: Any = compute_classification(jax.device_get(totals))
    return numbers["accuracy"]


def train_network(
    bench: Bench,
    classifier: Classifier,
    variables: dict[str, Any],
    split: ArraySplit,
    *,
    name: str,
    duration: str,
    learning_rate: float,
    weight_decay: float,
    schedule: str,
    teacher: Teacher | None = None,
) -> dict[str, Any]:
    """The variables after a training, with BatchNorm as in any training.

    Args:
      bench: tells the batch size, the augmentation and the seed.
      classifier: the network.
      variables: before the training; they are left as they are.
      split: what to train on.
      name: of the training, for messages.
      duration: such as "2 epochs".
      learning_rate: the highest.
      weight_decay: at least 0.
      schedule: a key of `jaxdl.optim.SCHEDULES`.
      teacher: see `make_classification_loss`.

    Returns:
      New variables.

    Raises:
      NonFiniteError: the training diverged.
    """
    config, mesh = bench.config, bench.mesh
    size = min(config.data.batch_size, len(split))
    num_steps = build_steps(duration, num_examples=len(split), batch_size=size)
    rate = make_schedule(schedule, learning_rate=learning_rate, num_steps=num_steps)
    optimizer = sgd(rate, weight_decay=weight_decay)
    augment = build_augment(config.augment, image_shape=bench.dataset.image_shape)
    loss_fn = make_classification_loss(classifier, augment=augment, teacher=teacher)
    batch = {
        name: jax.ShapeDtypeStruct((size, *array.shape[1:]), array.dtype)
        for name, array in (("images", split.images), ("labels", split.labels))
    }
    # Copies, as the steps take over the buffers that they are given.
    copied = jax.tree.map(jnp.copy, variables)
    key = jax.random.fold_in(bench.key, 2)
    state = init_train_state(copied, loss_fn, optimizer, batch, key=key)
    state = jax.device_put(state, replicated_sharding(mesh))
    step, seed = make_train_step(loss_fn, optimizer), config.run.seed
    advance = make_resident_advance(step, split, mesh=mesh, batch_size=size, seed=seed)
    for index in range(num_steps):
        state = advance(state, index, 1)
    if not bool(state.finite):
        raise NonFiniteError(
            f"the loss or a gradient is not finite; lower {name}.learning_rate "
            f"({learning_rate})"
        )
    return {"params": state.params, **state.model_state}
