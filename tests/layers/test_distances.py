"""Distances and radial kernels against float64, the awkward places included."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import RADIAL_KERNELS, squared_distances

METRICS = ["euclidean", "diagonal", "full"]

# Value and derivative with respect to u = (r / width)^2, in float64.
PROFILES = {
    "quadratic": (lambda u: 1 - u, lambda u: -np.ones_like(u)),
    "gaussian": (lambda u: np.exp(-u / 2), lambda u: -np.exp(-u / 2) / 2),
    "linear": (np.sqrt, lambda u: np.where(u > 0, 0.5 / np.sqrt(u + (u == 0)), 0)),
    "thin_plate": (
        lambda u: u * np.log(np.sqrt(u + (u == 0))),
        lambda u: np.where(u > 0, np.log(np.sqrt(u + (u == 0))) + 0.5, 0),
    ),
    "multiquadric": (
        lambda u: np.sqrt(1 + u),
        lambda u: 0.5 / np.sqrt(1 + u),
    ),
    "inverse_multiquadric": (
        lambda u: 1 / np.sqrt(1 + u),
        lambda u: -0.5 * (1 + u) ** -1.5,
    ),
    "rational": (lambda u: 1 / (1 + u), lambda u: -1 / (1 + u) ** 2),
    "logistic": (
        lambda u: 1 / (1 + np.exp(u)),
        lambda u: -np.exp(u) / (1 + np.exp(u)) ** 2,
    ),
}


def reference(x, centers, matrices, widths, kernel, cotangent):
    """Value of sum(cotangent * h) and its gradients; R_j = matrices_j^T matrices_j."""
    x, centers, widths = (np.asarray(a, np.float64) for a in (x, centers, widths))
    differences = x[:, None] - centers[None]
    moved = np.einsum("ced,ncd->nce", matrices, differences)
    distances = (moved**2).sum(-1)
    u = distances / widths**2
    value, slope = PROFILES[kernel]
    by_u = cotangent * slope(u)
    by_distance = by_u / widths**2
    back = np.einsum("ced,nce->ncd", matrices, moved)
    by_difference = 2 * by_distance[..., None] * back
    return (
        distances,
        value(u),
        {
            "x": by_difference.sum(1),
            "centers": -by_difference.sum(0),
            "widths": (by_u * -2 * distances / widths**3).sum(0),
            "matrices": 2
            * np.einsum("nc,nce,ncd->ced", by_distance, moved, differences),
        },
    )


def draw_case(rng, *, offset):
    """Examples and centres, one example on a centre, two centres the same."""
    x = rng.normal(size=(6, 3)).astype(np.float32) + np.float32(offset)
    centers = rng.normal(size=(4, 3)).astype(np.float32) + np.float32(offset)
    centers[1], centers[2] = x[0], centers[3]
    widths = rng.uniform(0.5, 2.0, size=4).astype(np.float32)
    return x, centers, widths


@pytest.mark.parametrize("kernel", sorted(RADIAL_KERNELS))
def test_every_kernel_has_a_reference(kernel):
    assert kernel in PROFILES


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("per_center", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_kernels_of_distances_match_float64(metric, per_center, offset):
    rng = np.random.default_rng(0)
    x, centers, widths = draw_case(rng, offset=offset)
    cotangent = rng.normal(size=(6, 4)).astype(np.float32)
    shared = (4,) if per_center else ()
    weights = transforms = None
    matrices = np.broadcast_to(np.eye(3), (4, 3, 3))
    if metric == "diagonal":
        weights = rng.uniform(0.3, 2.0, size=(*shared, 3)).astype(np.float32)
        roots = np.sqrt(np.broadcast_to(weights, (4, 3)).astype(np.float64))
        matrices = roots[:, :, None] * np.eye(3)
    elif metric == "full":
        transforms = rng.normal(size=(*shared, 3, 3)).astype(np.float32)
        matrices = np.broadcast_to(transforms, (4, 3, 3)).astype(np.float64)
    metric_params = weights if weights is not None else transforms

    def value(arrays, kernel):
        x, centers, widths, given = arrays
        options = (
            {}
            if given is None
            else {"weights" if metric == "diagonal" else "transforms": given}
        )
        distances = squared_distances(x, centers, **options)
        activations = RADIAL_KERNELS[kernel](distances, widths)
        return jnp.sum(cotangent * activations), (distances, activations)

    run = jax.jit(jax.grad(value, has_aux=True), static_argnums=1)
    arrays = (x, centers, widths, metric_params)
    for kernel in RADIAL_KERNELS:
        grads, (distances, activations) = run(arrays, kernel)
        wanted_distances, wanted, slopes = reference(
            x, centers, matrices, widths, kernel, cotangent
        )
        np.testing.assert_allclose(distances, wanted_distances, rtol=2e-6, atol=1e-12)
        np.testing.assert_allclose(activations, wanted, rtol=1e-5, atol=1e-6)
        for got, name in zip(grads, ("x", "centers", "widths"), strict=False):
            np.testing.assert_allclose(
                got, slopes[name], rtol=2e-5, atol=2e-5, err_msg=f"{kernel} {name}"
            )
        if metric == "diagonal":
            by_matrix = slopes["matrices"]
            # R_ii = m_ii^2, so d/dR_ii = (d/dm_ii) / (2 m_ii).
            wanted_weights = np.einsum("cii->ci", by_matrix) / (2 * roots)
            if not per_center:
                wanted_weights = wanted_weights.sum(0)
            np.testing.assert_allclose(
                grads[3], wanted_weights, rtol=2e-5, atol=2e-5, err_msg=kernel
            )
        elif metric == "full":
            wanted_matrix = slopes["matrices"]
            if not per_center:
                wanted_matrix = wanted_matrix.sum(0)
            np.testing.assert_allclose(
                grads[3], wanted_matrix, rtol=2e-5, atol=5e-5, err_msg=kernel
            )


def test_squared_distances_of_bfloat16_are_float32():
    x = jnp.ones((2, 3), jnp.bfloat16)
    assert squared_distances(x, jnp.zeros((4, 3))).dtype == jnp.float32


def test_squared_distances_take_any_leading_axes():
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    centers, weights = x[0, :2], np.float32([1.0, 2.0, 0.5])
    wanted = ((x[:, :, None] - centers) ** 2 * weights).sum(-1)
    on_device = [jnp.asarray(a) for a in (x, centers, weights)]
    got = squared_distances(*on_device[:2], weights=on_device[2])
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    one = squared_distances(on_device[0][0, 0], on_device[1], transforms=jnp.eye(3))
    np.testing.assert_allclose(one, ((x[0, 0] - centers) ** 2).sum(-1), rtol=1e-6)


@pytest.mark.parametrize("kernel", sorted(RADIAL_KERNELS))
def test_kernels_are_finite_far_away(kernel):
    run = jax.value_and_grad(lambda u: jnp.sum(RADIAL_KERNELS[kernel](u, jnp.ones(3))))
    value, grads = run(jnp.array([[0.0, 1e-45, 1e30]], jnp.float32))
    assert np.isfinite(value) and np.isfinite(grads).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": np.ones(2)}, r"weights must be of shape \(3,\) or \(4, 3\)"),
        ({"transforms": np.ones((3, 2))}, r"transforms must be of shape \(rows, 3\)"),
        ({"transforms": np.ones((2, 3, 3))}, r"got \(2, 3, 3\)"),
        ({"weights": np.ones(3), "transforms": np.eye(3)}, "got both"),
    ],
)
def test_squared_distances_name_what_does_not_fit(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    options = {name: jnp.asarray(a, jnp.float32) for name, a in options.items()}
    with pytest.raises(ValueError, match=message):
        squared_distances(jnp.ones((1, 3)), jnp.ones((4, 3)), **options)
