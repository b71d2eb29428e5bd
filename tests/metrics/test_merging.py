import jax.numpy as jnp
import pytest

from jaxdl.metrics.merging import check_batch


def test_check_batch_names_the_argument_and_its_shape():
    check_batch("f", 3, labels=jnp.ones(3), mask=None)
    with pytest.raises(ValueError, match=r"f: mask must have shape \(3,\), got \(2,\)"):
        check_batch("f", 3, labels=jnp.ones(3), mask=jnp.ones(2))
