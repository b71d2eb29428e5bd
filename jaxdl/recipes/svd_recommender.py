"""How well ratings are predicted by biases, and by four kinds of low rank."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.linalg import (
    MatrixFactorization,
    alternating_least_squares,
    biased_matrix_factorization,
    fit_biases,
    predict_ratings,
    soft_impute,
    truncated_svd,
)
from jaxdl.recipes.study import finish_study
from jaxdl.recipes.svd_recommender_config import (
    AlternatingSection,
    DescentSection,
    ImputeSection,
    RecommenderConfig,
)
from jaxdl.recipes.svd_recommender_data import RatingTable, load_ratings
from jaxdl.report import plot_by_depth, plot_rating_errors
from jaxdl.train import RunFolder
from jaxdl.typing import Array, PRNGKey

_MOST_ENTRIES = 50_000_000
"""Of a matrix with every pair of user and item; it is held several times over."""

_VALIDATION_SHARE = 0.1  # of the ratings to train on, to choose a shrinkage


class _Outcome(NamedTuple):
    """What a variant predicts for all ratings, and what it has to say beside."""

    predicted: np.ndarray
    row: dict[str, Any]


class _Side(NamedTuple):
    """Ratings on the device."""

    users: Array
    items: Array
    values: Array


def study_recommenders(config: RecommenderConfig, run: RunFolder) -> int:
    """Fits all variants to the same ratings; writes errors on those held out.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    table = load_ratings(config.ratings, seed=config.run.seed)
    outcomes, curves = _run_variants(config, table, key=jax.random.key(config.run.seed))
    rows = [
        {"variant": name, **_score(table, outcome), **outcome.row}
        for name, outcome in outcomes.items()
    ]
    errors = {row["variant"]: (row["rmse"], row["mae"]) for row in rows}
    plot_rating_errors(
        errors,
        run.path / "errors.png",
        floor=table.floor,
        title=f"{table.name}: {int(table.is_test.sum())} ratings held out",
    )
    plot_by_depth(
        {"on the ratings fitted": curves},
        run.path / "epochs.png",
        xlabel="epoch",
        ylabel="root mean square error",
        is_log=True,
    )
    finish_study(
        run,
        table=rows,
        shown=[
            {key: row.get(key) for key in ("variant", "rmse", "mae", "train_rmse")}
            for row in rows
        ],
        summary={
            "ratings": len(table.values),
            "held_out": int(table.is_test.sum()),
            "users": table.num_users,
            "items": table.num_items,
            "noise_floor": table.floor,
            "results": rows,
            "seconds": time.perf_counter() - start,
        },
        title=f"{table.name}: errors on ratings held out",
    )
    return 0


def _run_variants(
    config: RecommenderConfig, table: RatingTable, *, key: PRNGKey
) -> tuple[dict[str, _Outcome], dict[str, list[float]]]:
    """Outcomes by name, and errors by epoch of those variants that have epochs."""
    keys = jax.random.split(key, 3)
    train, everything = _select(table, ~table.is_test), _select(table)
    sizes = {"num_users": table.num_users, "num_items": table.num_items}
    fits: dict[str, Callable[[], MatrixFactorization]] = {
        "biases alone": lambda: fit_biases(*train, **sizes),
        "(b) biased factorisation, SGD": lambda: _descend(
            config.factorization, train, sizes, key=keys[0]
        ),
        "(d) alternating least squares": lambda: _alternate(
            config.least_squares, train, sizes, key=keys[1]
        ),
    }
    outcomes, curves, models = {}, {}, []
    for name, fit in fits.items():
        begin = time.perf_counter()
        model = jax.block_until_ready(fit())
        models.append(model)
        seconds = time.perf_counter() - begin
        predicted = predict_ratings(model, everything.users, everything.items)
        row = {"rank": model.user_factors.shape[1], "seconds": seconds}
        outcomes[name] = _Outcome(np.asarray(predicted), row)
        if model.user_factors.shape[1]:
            curves[name] = np.asarray(model.train_rmse).tolist()
    if table.num_users * table.num_items <= _MOST_ENTRIES:
        outcomes |= _complete(config, table, models[0], key=keys[2])
    ordered = sorted(outcomes.items(), key=lambda pair: (pair[0][0] == "(", pair[0]))
    return dict(ordered), curves


def _descend(
    section: DescentSection, train: _Side, sizes: dict[str, int], *, key: PRNGKey
) -> MatrixFactorization:
    return biased_matrix_factorization(
        *train,
        rank=section.rank,
        num_epochs=section.num_epochs,
        learning_rate=section.learning_rate,
        regularization=section.regularization,
        batch_size=section.batch_size,
        key=key,
        **sizes,
    )


def _alternate(
    section: AlternatingSection, train: _Side, sizes: dict[str, int], *, key: PRNGKey
) -> MatrixFactorization:
    return alternating_least_squares(
        *train,
        rank=section.rank,
        num_epochs=section.num_epochs,
        regularization=section.regularization,
        key=key,
        **sizes,
    )


def _select(table: RatingTable, chosen: np.ndarray | slice = slice(None)) -> _Side:
    columns = (table.users, table.items, table.values)
    return _Side(*(jnp.asarray(column[chosen]) for column in columns))


def _complete(
    config: RecommenderConfig,
    table: RatingTable,
    biases: MatrixFactorization,
    *,
    key: PRNGKey,
) -> dict[str, _Outcome]:
    """The variants that complete the whole matrix of what biases leave."""
    everything = _select(table)
    base = predict_ratings(biases, everything.users, everything.items)
    left = jnp.asarray(table.values) - base
    begin = time.perf_counter()
    matrix, _ = _scatter(table, left, ~table.is_test)
    most = min(matrix.shape)
    u, s, vt = truncated_svd(matrix, min(config.truncated_svd.rank, most))
    added = _gather(table, u, s, vt)
    row = {"rank": len(s), "seconds": time.perf_counter() - begin}
    found = {"(a) truncated SVD": _Outcome(np.asarray(base) + added, row)}
    begin = time.perf_counter()
    added, row = _impute(config.soft_impute, table, left, key=key)
    row["seconds"] = time.perf_counter() - begin
    found["(c) soft-impute"] = _Outcome(np.asarray(base) + added, row)
    return found


def _impute(
    section: ImputeSection, table: RatingTable, left: Array, *, key: PRNGKey
) -> tuple[np.ndarray, dict[str, Any]]:
    """Chooses the shrinkage on ratings set aside, and fits again with these."""
    aside = jax.random.uniform(key, left.shape) < _VALIDATION_SHARE
    aside = np.asarray(aside) & ~table.is_test
    is_train = ~table.is_test
    matrix, known = _scatter(table, left, is_train)
    largest = float(jnp.linalg.norm(matrix, ord=2))
    shares = np.geomspace(0.5, section.smallest, section.num_shrinkages)
    path = jnp.asarray(largest * np.minimum(shares, 0.5), left.dtype)

    def fit(matrix: Array, known: Array, path: Array):
        return soft_impute(
            matrix,
            known,
            shrinkage=path,
            max_rank=min(section.max_rank, *matrix.shape),
            tol=section.tol,
            max_iterations=section.max_iterations,
        )

    best = len(path) - 1
    if aside.any() and (is_train & ~aside).sum() > 1:
        tried = fit(*_scatter(table, left, is_train & ~aside), path)
        wanted = np.asarray(left)[aside]
        errors = [
            float(np.mean((_gather(table, *factors)[aside] - wanted) ** 2))
            for factors in zip(tried.u, tried.s, tried.vt, strict=True)
        ]
        best = int(np.argmin(errors))
    found = fit(matrix, known, path[: best + 1])
    added = _gather(table, found.u[best], found.s[best], found.vt[best])
    return added, {
        "rank": int(jnp.sum(found.s[best] > 0)),
        "shrinkage": float(path[best]),
        "iterations": int(jnp.sum(found.num_iterations)),
        "converged": bool(found.converged[best]),
    }


def _scatter(
    table: RatingTable, values: Array, chosen: np.ndarray
) -> tuple[Array, Array]:
    """A matrix of the chosen ratings' values, means where there are several."""
    users, items = table.users[chosen], table.items[chosen]
    shape = (table.num_users, table.num_items)
    count = np.zeros(shape, np.float32)
    total = np.zeros(shape, np.float32)
    np.add.at(count, (users, items), 1)
    np.add.at(total, (users, items), np.asarray(values)[chosen])
    return jnp.asarray(total / np.maximum(count, 1)), jnp.asarray(count > 0)


def _gather(table: RatingTable, u: Array, s: Array, vt: Array) -> np.ndarray:
    """The product of factors at each rating's pair."""
    left, right = np.asarray(u * s[None, :]), np.asarray(vt.T)
    return np.sum(left[table.users] * right[table.items], axis=1)


def _score(table: RatingTable, outcome: _Outcome) -> dict[str, float]:
    """Errors of predictions, clipped to the range of the ratings fitted."""
    train = table.values[~table.is_test]
    clipped = np.clip(outcome.predicted.astype(np.float64), train.min(), train.max())
    errors = clipped - table.values
    held_out, fitted = errors[table.is_test], errors[~table.is_test]
    return {
        "rmse": float(np.sqrt(np.mean(held_out**2))),
        "mae": float(np.mean(np.abs(held_out))),
        "train_rmse": float(np.sqrt(np.mean(fitted**2))),
    }
