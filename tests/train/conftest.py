import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.data import from_arrays
from jaxdl.train import init_train_state
from tests.train.linear_task import linear_loss


@pytest.fixture(scope="session")
def split():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (48, 2, 2, 3), np.uint8)
    return from_arrays((images, np.arange(48) % 3)).splits["train"]


@pytest.fixture(scope="session")
def optimizer():
    return optax.sgd(0.1, momentum=0.9)


@pytest.fixture(scope="session")
def make_state(optimizer, split):
    def make(*, ema=False, loss_fn=linear_loss):
        variables = {
            "params": {"kernel": jnp.full((3, 3), 0.1), "bias": jnp.zeros(3)},
            "seen": jnp.zeros((), jnp.int32),
        }
        return init_train_state(
            variables,
            loss_fn,
            optimizer,
            split.read(np.arange(8)),
            ema=ema,
            key=jax.random.key(0),
        )

    return make
