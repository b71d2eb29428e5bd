"""Factored kernels against NumPy's float64 SVD and sums written out."""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl import linalg

METHODS = ("channel", "spatial", "tucker2")


def factor_dense(kernel, rank, *, inputs_gram=None):
    gram = None if inputs_gram is None else jnp.asarray(inputs_gram)
    return linalg.factor_dense(jnp.asarray(kernel), rank, inputs_gram=gram)


def factor_conv(kernel, rank, *, inputs_gram=None, **options):
    gram = None if inputs_gram is None else jnp.asarray(inputs_gram)
    kernel = jnp.asarray(kernel)
    return linalg.factor_conv(kernel, rank, inputs_gram=gram, **options)


def kernel_spectra(kernel, *, inputs_gram=None, **options):
    gram = None if inputs_gram is None else jnp.asarray(inputs_gram)
    return linalg.kernel_spectra(jnp.asarray(kernel), inputs_gram=gram, **options)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def merge(kernels, method, groups=1):
    """The kernel that the parts stand for, in float64, group by group."""
    parts = [np.split(np.asarray(k, float), groups, axis=-1) for k in kernels]
    sums = {
        "channel": "hwir,abro->hwio",
        "spatial": "hbir,awro->hwio",
        "tucker2": "abir,hwrs,cdso->hwio",
    }
    merged = [np.einsum(sums[method], *group) for group in zip(*parts, strict=True)]
    return np.concatenate(merged, axis=-1)


def unfold(kernel, method):
    """The matrix whose SVD truncates the kernel of one group."""
    height, _, channels, features = kernel.shape
    if method == "channel":
        return kernel.reshape(-1, features)
    return kernel.transpose(0, 2, 1, 3).reshape(height * channels, -1)


def tail(matrix, rank):
    """The relative error of truncating, by Eckart and Young."""
    s = np.linalg.svd(np.asarray(matrix, float), compute_uv=False)
    return np.linalg.norm(s[rank:]) / np.linalg.norm(s)


def relative(change, whole):
    return np.linalg.norm(change) / np.linalg.norm(whole)


@pytest.mark.parametrize("shape", [(12, 7), (5, 5)])
@pytest.mark.parametrize("rank", [1, 5])
def test_factor_dense_is_the_best_of_its_rank_and_balanced(shape, rank):
    kernel = draw(*shape)
    (first, second), error = factor_dense(kernel, rank)
    assert first.shape == (shape[0], rank) and second.shape == (rank, shape[1])
    found = relative(kernel - np.asarray(first, float) @ second, kernel)
    np.testing.assert_allclose([found, error], tail(kernel, rank), atol=3e-7)
    np.testing.assert_allclose(first.T @ first, second @ second.T, atol=1e-5)


def correlated(rows, columns, seed=1):
    mixing = draw(columns, columns, seed=seed) * 2.0 ** -np.arange(columns)[:, None]
    return (draw(rows, columns, seed=seed + 1) @ mixing).astype(np.float32)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_factor_dense_with_inputs_changes_the_outputs_least(rank):
    inputs, kernel = correlated(200, 6), draw(6, 5)
    (first, second), error = factor_dense(kernel, rank, inputs_gram=inputs.T @ inputs)
    outputs = inputs.astype(float) @ kernel
    found = relative(outputs - inputs.astype(float) @ first @ second, outputs)
    # No rank-k kernel can do better than the best rank-k matrix of outputs.
    np.testing.assert_allclose([found, error], tail(outputs, rank), atol=2e-5)
    plain = np.matmul(*factor_dense(kernel, rank).kernels)
    assert found < 0.9 * relative(outputs - inputs @ plain, outputs)
    np.testing.assert_allclose(first.T @ first, second @ second.T, atol=2e-4)


def test_factor_dense_copes_with_inputs_that_say_nothing_of_some_directions():
    inputs, kernel = draw(4, 9), draw(9, 5)
    inputs[:, 3] = 0
    gram = inputs.T @ inputs
    (first, second), _ = factor_dense(kernel, 5, inputs_gram=gram)
    np.testing.assert_allclose(first @ second, kernel, atol=2e-3)
    (first, second), error = factor_dense(kernel, 4, inputs_gram=gram)
    np.testing.assert_allclose(inputs @ first @ second, inputs @ kernel, atol=2e-3)
    assert float(error) < 1e-2
    zeros = factor_dense(kernel, 5, inputs_gram=jnp.zeros((9, 9)))
    np.testing.assert_allclose(np.matmul(*zeros.kernels), kernel, atol=1e-5)


CASES = [((3, 2, 4, 6), 2), ((1, 3, 3, 5), 1)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("shape", "groups"), CASES)
def test_factor_conv_reproduces_the_kernel_at_full_rank(shape, groups, method):
    kernel = draw(*shape)
    spectra = kernel_spectra(kernel, method=method, groups=groups)
    ranks = tuple(len(spectrum) for spectrum in spectra)
    rank = ranks if method == "tucker2" else ranks[0]
    kernels, error = factor_conv(kernel, rank, method=method, groups=groups)
    np.testing.assert_allclose(merge(kernels, method, groups), kernel, atol=3e-6)
    assert 0 <= float(error) < 3e-6


@pytest.mark.parametrize("method", ["channel", "spatial"])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("rank", [1, 2])
def test_factor_conv_error_is_the_frobenius_tail(method, groups, rank):
    kernel = draw(3, 2, 3, 8)
    kernels, error = factor_conv(kernel, rank, method=method, groups=groups)
    change = kernel - merge(kernels, method, groups)
    matrices = [unfold(k, method) for k in np.split(kernel, groups, axis=-1)]
    tails = [tail(m, rank) * np.linalg.norm(m) for m in matrices]
    expected = np.linalg.norm(tails) / np.linalg.norm(kernel)
    np.testing.assert_allclose([relative(change, kernel), error], expected, atol=1e-6)
    (spectrum,) = kernel_spectra(kernel, method=method, groups=groups)
    beyond = np.linalg.norm(spectrum[rank:]) / np.linalg.norm(spectrum)
    np.testing.assert_allclose(beyond, expected, atol=1e-6)


def higher_order_svd(kernel, ranks):
    """The error of Tucker-2 by the two SVDs alone, in float64."""
    bases = []
    for axis, rank in zip((2, 3), ranks, strict=True):
        unfolded = np.moveaxis(kernel.astype(float), axis, 0)
        u = np.linalg.svd(unfolded.reshape(kernel.shape[axis], -1))[0][:, :rank]
        bases.append(u @ u.T)
    return relative(kernel - np.einsum("hwio,ij,op->hwjp", kernel, *bases), kernel)


@pytest.mark.parametrize("ranks", [(1, 1), (2, 3), (4, 2), (3, 3)])
def test_factor_conv_tucker2_is_at_least_as_good_as_two_svds(ranks):
    kernel = draw(3, 3, 5, 6)
    kernels, error = factor_conv(kernel, ranks, method="tucker2")
    found = relative(kernel - merge(kernels, "tucker2"), kernel)
    np.testing.assert_allclose(error, found, rtol=1e-5)
    assert found <= higher_order_svd(kernel, ranks) + 1e-6
    tails = [
        np.linalg.norm(s[r:])
        for s, r in zip(kernel_spectra(kernel, method="tucker2"), ranks, strict=True)
    ]
    assert found * np.linalg.norm(kernel) <= np.linalg.norm(tails) + 1e-5


def test_factor_conv_tucker2_finds_a_planted_rank():
    parts = draw(1, 1, 5, 2), draw(3, 3, 2, 3, seed=1), draw(1, 1, 3, 6, seed=2)
    kernel = merge(parts, "tucker2").astype(np.float32)
    assert float(factor_conv(kernel, (2, 3), method="tucker2").relative_error) < 1e-5
    assert float(factor_conv(kernel, 2, method="tucker2").relative_error) > 1e-2


@pytest.mark.parametrize("groups", [1, 2])
def test_factor_conv_with_inputs_changes_the_outputs_least(groups):
    kernel = draw(2, 1, 3, 4 * groups)
    windows = [correlated(100, 6, seed=3 * g) for g in range(groups)]
    gram = np.stack([x.T @ x for x in windows])
    gram = gram if groups > 1 else gram[0]
    kernels, error = factor_conv(kernel, 2, groups=groups, inputs_gram=gram)
    merged = np.split(merge(kernels, "channel", groups), groups, axis=-1)
    whole = np.split(kernel, groups, axis=-1)
    outputs = [x @ unfold(k, "channel") for x, k in zip(windows, whole, strict=True)]
    changes = [
        y - x @ unfold(k, "channel")
        for x, y, k in zip(windows, outputs, merged, strict=True)
    ]
    best = np.linalg.norm([tail(y, 2) * np.linalg.norm(y) for y in outputs])
    found, norm = np.linalg.norm(changes), np.linalg.norm(outputs)
    np.testing.assert_allclose([found / norm, error], best / norm, atol=1e-4)
    (spectrum,) = kernel_spectra(kernel, groups=groups, inputs_gram=gram)
    np.testing.assert_allclose(np.linalg.norm(spectrum[2:]), best, rtol=1e-3)


def test_factor_conv_is_the_same_under_jit_and_for_every_dtype():
    kernel = draw(3, 1, 2, 4)
    run = functools.partial(factor_conv, rank=2)
    for a, b in zip(run(kernel).kernels, jax.jit(run)(kernel).kernels, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    low = run(jnp.asarray(kernel, jnp.bfloat16))
    assert {k.dtype for k in low.kernels} == {jnp.dtype("float32")}
    with jax.enable_x64(True):
        high = run(jnp.asarray(kernel, jnp.float64))
        assert {k.dtype for k in high.kernels} == {jnp.dtype("float64")}


def test_factor_conv_spatial_with_inputs_is_best_for_columns_apart():
    kernel, inputs = draw(2, 3, 2, 4), correlated(80, 12)
    options = {"method": "spatial", "inputs_gram": inputs.T @ inputs}
    kernels, error = factor_conv(kernel, 2, **options)
    # Windows of 2 x 3 pixels of 2 channels; rows are the columns of all of them.
    columns = inputs.reshape(80, 2, 3, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    outputs = columns.astype(float) @ unfold(kernel, "spatial")
    change = outputs - columns @ unfold(merge(kernels, "spatial"), "spatial")
    expected = tail(outputs, 2)
    found = relative(change, outputs)
    np.testing.assert_allclose([found, error], expected, atol=1e-4)
    (spectrum,) = kernel_spectra(kernel, **options)
    beyond = np.linalg.norm(spectrum[2:]) / np.linalg.norm(spectrum)
    np.testing.assert_allclose(beyond, expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_factor_conv_of_zeros_is_zero(method):
    kernels, error = factor_conv(jnp.zeros((3, 3, 2, 2)), 1, method=method)
    assert float(error) == 0
    np.testing.assert_array_equal(merge(kernels, method), 0)


SQUARE = jnp.ones((3, 3, 2, 4))
BAD_CASES = {
    "rank 0": (lambda: factor_dense(jnp.ones((2, 3)), 0), r"\[1, 2\], got 0"),
    "rank": (lambda: factor_dense(jnp.ones((2, 3)), 3), r"\[1, 2\], got 3"),
    "NaN": (lambda: factor_dense(jnp.full((2, 3), jnp.nan), 1), "6 of 6 numbers"),
    "gram": (
        lambda: factor_dense(jnp.ones((2, 3)), 1, inputs_gram=jnp.ones((3, 3))),
        r"inputs_gram must be of shape \(1, 2, 2\).*got \(1, 3, 3\)",
    ),
    "conv rank": (lambda: factor_conv(SQUARE, 5), r"\[1, 4\], got 5"),
    "method": (lambda: factor_conv(SQUARE, 1, method="cp"), "method must be .*'cp'"),
    "groups": (lambda: factor_conv(SQUARE, 1, groups=3), "groups=3"),
    "pair": (lambda: factor_conv(SQUARE, (1, 1)), r"'channel' has one rank, got"),
    "tucker2 gram": (
        lambda: factor_conv(SQUARE, 1, method="tucker2", inputs_gram=jnp.eye(18)),
        "inputs_gram is not for method 'tucker2'",
    ),
    "tucker2 rank": (
        lambda: factor_conv(SQUARE, (3, 1), method="tucker2"),
        r"\[1, 2\] and \[1, 4\], got \(3, 1\)",
    ),
}


@pytest.mark.parametrize("case", BAD_CASES)
def test_factor_names_what_does_not_fit(monkeypatch, case):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    run, message = BAD_CASES[case]
    with pytest.raises(ValueError, match=message):
        run()
