import jax
import jaxtyping
import numpy as np
import pytest
from scipy import stats

from jaxdl.layers import kaiming_normal, torch_uniform


@pytest.mark.parametrize(
    ("mode", "shape", "fan"),
    [
        ("fan_in", (3, 3, 32, 64), 3 * 3 * 32),
        ("fan_out", (3, 3, 32, 64), 3 * 3 * 64),
        ("fan_in", (3, 3, 8, 256), 3 * 3 * 8),  # 32 channels in 4 groups
        ("fan_in", (128, 64), 128),
    ],
)
def test_kaiming_normal_has_the_variance_of_the_paper(mode, shape, fan):
    draws = kaiming_normal(mode=mode)(jax.random.key(0), shape)
    standardised = np.ravel(draws) / np.sqrt(2 / fan)
    # Kolmogorov-Smirnov: also tells a truncated normal from a whole one.
    assert stats.kstest(standardised, "norm").pvalue > 0.01


def test_torch_uniform_stays_within_one_over_root_fan_in():
    draws = np.ravel(torch_uniform()(jax.random.key(0), (64, 100)))
    assert stats.kstest(draws, "uniform", args=(-1 / 8, 1 / 4)).pvalue > 0.01


def test_kaiming_normal_names_a_bad_mode(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match="mode.*'fan_avg'"):
        kaiming_normal(mode="fan_avg")
