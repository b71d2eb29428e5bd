import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.data import from_arrays
from jaxdl.errors import CheckpointError
from jaxdl.train import CheckpointStore, init_train_state
from tests.train.linear_task import linear_loss
from tests.train.stored_items import make_items


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


@pytest.fixture
def open_store(tmp_path):
    """Opens stores on one folder; `store.warnings` holds what they said."""
    stores = []

    def open_one(**options):
        warnings = []
        options.setdefault("keep_last", 3)
        folder = options.pop("folder", tmp_path / "checkpoints")
        store = CheckpointStore(folder, on_warning=warnings.append, **options)
        store.warnings = warnings
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        try:
            store.close()
        except CheckpointError:
            pass  # a test that provokes one asserts it itself


@pytest.fixture(scope="session")
def three_saved(tmp_path_factory):
    """Checkpoints of the steps 10, 20 and 30, each holding its step."""
    folder = tmp_path_factory.mktemp("three") / "checkpoints"
    with CheckpointStore(folder, keep_last=3) as store:
        for step in (10, 20, 30):
            store.save(step, make_items(step), metadata={"data": "abc"})
    return folder


@pytest.fixture
def three(three_saved, tmp_path):
    return shutil.copytree(three_saved, tmp_path / "checkpoints")
