"""What all trainings of the federated study share: data, network, costs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxdl.data import Dataset, load_into_memory, measure_channels
from jaxdl.errors import ConfigError
from jaxdl.federated import MaskedLoss, split_dirichlet, split_evenly
from jaxdl.losses import softmax_cross_entropy
from jaxdl.metrics import compute_classification, init_classification
from jaxdl.parallel import replicated_sharding
from jaxdl.recipes.build import (
    build_dataset,
    build_mesh,
    build_model,
    check_image_size,
)
from jaxdl.recipes.classification import Classifier, make_classification_evaluation
from jaxdl.recipes.federated_config import FederatedConfig
from jaxdl.recipes.federated_costs import Rates, build_rates
from jaxdl.train import evaluate, init_variables, make_evaluation_step
from jaxdl.trees import count_parameters


class Setup(NamedTuple):
    """What all trainings of a study share.

    Attributes:
      config: the resolved config.
      mesh: the devices.
      data: images and labels of all training examples, on the device.
      labels: the labels on the host.
      class_names: in the order of the labels.
      params: the parameters that all trainings begin with.
      loss_fn: the loss of all of them.
      score: `score(params)`, accuracy and loss on the test split.
      rates: what examples and bytes cost.
    """

    config: FederatedConfig
    mesh: Mesh
    data: dict[str, Any]
    labels: np.ndarray
    class_names: tuple[str, ...]
    params: Any
    loss_fn: MaskedLoss
    score: Callable[[Any], tuple[float, float]]
    rates: Rates

    @property
    def model_bytes(self) -> int:
        """What the parameters take, as float32."""
        return 4 * count_parameters(self.params)


def build_setup(config: FederatedConfig) -> Setup:
    """Data, network and costs of a config.

    Args:
      config: the resolved config.

    Returns:
      What its trainings share.

    Raises:
      ConfigError: the network has running statistics, or takes other images.
      DataError: see `jaxdl.data.load_dataset`.
    """
    mesh = build_mesh(config.mesh)
    dataset = build_dataset(config.data)
    train = load_into_memory(dataset.splits["train"])
    mean, std = measure_channels(train)
    classifier = Classifier(
        model=build_model(config.model, num_classes=dataset.num_classes),
        num_classes=dataset.num_classes,
        mean=mean,
        std=std,
    )
    check_image_size(classifier.model, dataset.image_shape)
    key = jax.random.key(config.run.seed)
    variables = init_variables(classifier.model, dataset.image_shape, key=key)
    params = variables.pop("params")
    if variables:
        raise ConfigError(
            f"model.norm: {config.model.name} keeps running statistics, which clients "
            "do not share; wanted model.norm=group, layer or none, or model.name=mlp"
        )
    data = jax.device_put({"images": train.images, "labels": train.labels})
    loss_fn = make_masked_loss(classifier)
    rates = build_rates(
        config.energy,
        loss_fn,
        params,
        data,
        device_batch=config.federated.batch_size or 100,
        server_batch=config.data.batch_size,
    )
    return Setup(
        config=config,
        mesh=mesh,
        data=data,
        labels=train.labels,
        class_names=dataset.class_names,
        params=params,
        loss_fn=loss_fn,
        score=_make_score(classifier, dataset, mesh, config.data.eval_batch_size),
        rates=rates,
    )


def make_masked_loss(classifier: Classifier) -> MaskedLoss:
    """The mean cross entropy of the rows that count.

    Args:
      classifier: the network, in evaluation mode, and its preparation.

    Returns:
      `loss(params, batch, mask)`; batches hold `"images"` as stored and `"labels"`.
    """

    def loss_fn(params, batch, mask):
        logits = classifier.logits(params, {}, batch["images"])
        losses = softmax_cross_entropy(logits, batch["labels"])
        total = jnp.sum(jnp.where(mask, losses, 0.0))
        return total / jnp.sum(mask, dtype=jnp.float32)

    return loss_fn


def split_data(setup: Setup, alpha: float | None) -> list[np.ndarray]:
    """Deals the training examples out to the clients of a config.

    Args:
      setup: has the config.
      alpha: Dirichlet concentration; None: evenly at random.

    Returns:
      Positions of each client's examples.

    Raises:
      ConfigError: they can't be dealt out so.
    """
    federated, seed = setup.config.federated, setup.config.run.seed
    try:
        if alpha is None:
            return split_evenly(
                len(setup.labels), num_clients=federated.num_clients, seed=seed
            )
        return split_dirichlet(
            setup.labels,
            num_clients=federated.num_clients,
            alpha=alpha,
            min_examples=federated.min_examples,
            self_balancing=federated.self_balancing,
            seed=seed,
        )
    except ValueError as error:
        hint = "; federated.self_balancing=true makes sizes differ less"
        raise ConfigError(f"federated: {error}{hint}") from None


def _make_score(
    classifier: Classifier, dataset: Dataset, mesh: Mesh, batch_size: int
) -> Callable[[Any], tuple[float, float]]:
    step = make_evaluation_step(make_classification_evaluation(classifier))
    empty = init_classification(classifier.num_classes)
    test = dataset.splits["test"]

    def score(params):
        # Where the test split is, whichever devices the parameters come from.
        params = jax.device_put(params, replicated_sharding(mesh))
        totals = evaluate(
            step, empty, params, {}, test, mesh=mesh, batch_size=batch_size
        )
        found: Any = compute_classification(totals)  # pyright: ignore[reportArgumentType]
        return found["accuracy"], found["loss"]

    return score
