"""Linear regression by singular values: least squares, ridge, principal components."""

import time
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxdl.errors import ConfigError
from jaxdl.linalg import Ridge, condition_number, lstsq, ridge, thin_svd
from jaxdl.recipes.study import finish_study, write_table
from jaxdl.recipes.svd_regression_config import StrengthsSection, SvdRegressionConfig
from jaxdl.recipes.svd_regression_data import (
    RegressionData,
    RegressionSplit,
    load_regression,
    split_regression,
)
from jaxdl.report import RidgePath, plot_copied_feature, plot_ridge_path
from jaxdl.train import RunFolder
from jaxdl.typing import Array


class Fit(NamedTuple):
    """A linear prediction `x @ coefficients + intercept` and how it was chosen."""

    coefficients: np.ndarray
    intercept: float
    setting: str = ""
    degrees_of_freedom: float | None = None
    leave_one_out: float | None = None


def study_regression(config: SvdRegressionConfig, run: RunFolder) -> int:
    """Compares regressions on one split; writes the ridge path, tables and plots.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    data = load_regression(config.data)
    copied = _choose_copied(config, data)
    split = split_regression(data, config.data, seed=config.run.seed)
    strengths = _space_strengths(config.strengths)
    path = ridge(*_to_float32(split.train_x, split.train_y, strengths))
    fits = fit_methods(split, strengths, path)
    table = [{"method": name, **_score(fit, split)} for name, fit in fits.items()]
    columns, coefficients = study_copy(split, copied, float(strengths[int(path.best)]))
    _plot_path(run, data, split, strengths, path)
    plot_copied_feature(
        coefficients,
        run.path / "copied_feature.png",
        feature=data.features[copied],
        target=data.target,
    )
    write_table(columns, run.path / "copied_feature.csv")
    write_table(_list_path(data, split, strengths, path), run.path / "ridge_path.csv")
    finish_study(
        run,
        table=table,
        shown=[_shorten(row) for row in table],
        summary={
            "data": data.name,
            "results": table,
            "copied_feature": columns,
            "seconds": time.perf_counter() - start,
        },
        title=f"{data.name}: errors in the units of {data.target}",
    )
    return 0


def fit_methods(
    split: RegressionSplit, strengths: np.ndarray, path: Ridge
) -> dict[str, Fit]:
    """What each method predicts with.

    Args:
      split: the data.
      strengths: of the ridge path.
      path: the ridge path of the training data.

    Returns:
      Fits by name of the method.
    """
    mean = split.train_y.mean()
    zeros = np.zeros(split.train_x.shape[1])
    fits = {"mean of the targets": Fit(zeros, mean, degrees_of_freedom=1.0)}
    solution = lstsq(*_to_float32(split.train_x, split.train_y - mean))
    plain = ridge(*_to_float32(split.train_x, split.train_y, np.zeros(1)))
    fits["least squares"] = Fit(
        np.asarray(solution.solution),
        mean,
        f"rank {int(solution.rank)}",
        float(plain.degrees_of_freedom[0]),
        _root(plain.leave_one_out[0]),
    )
    chosen = {
        "ridge, leave-one-out": int(path.best),
        "ridge, generalised": int(np.argmin(np.asarray(path.generalized))),
    }
    for name, index in chosen.items():
        fits[name] = Fit(
            np.asarray(path.coefficients[index]),
            float(path.intercepts[index]),
            f"strength {strengths[index]:.3g}",
            float(path.degrees_of_freedom[index]),
            _root(path.leave_one_out[index]),
        )
    fits["principal components"] = _fit_components(split)
    return fits


def _fit_components(split: RegressionSplit) -> Fit:
    """Least squares on the first principal components, as many as predict best."""
    rows = len(split.train_y)
    mean = split.train_y.mean()
    u, s, vt = (
        np.asarray(part, np.float64) for part in thin_svd(*_to_float32(split.train_x))
    )
    u, s = u[:, s > 1e-5 * s[0]], s[s > 1e-5 * s[0]]
    along = u.T @ (split.train_y - mean)
    # Errors and leverages of 0, 1, ... components, from the ones of each.
    fitted = np.pad(np.cumsum(u * along, axis=1), ((0, 0), (1, 0)))
    leverages = 1 / rows + np.pad(np.cumsum(u**2, axis=1), ((0, 0), (1, 0)))
    residuals = (split.train_y - mean)[:, None] - fitted
    is_free = (leverages < 1 - 1e-5).all(axis=0)
    errors = residuals / np.where(is_free, 1 - leverages, 1)
    errors = np.where(is_free, (errors**2).mean(axis=0), np.inf)
    count = int(np.argmin(errors))
    coefficients = vt[:count].T @ (along[:count] / s[:count])
    return Fit(
        coefficients, mean, f"{count} components", 1.0 + count, _root(errors[count])
    )


def study_copy(
    split: RegressionSplit, copied: int, strength: float
) -> tuple[list[dict[str, Any]], dict[str, tuple[float, float]]]:
    """What methods do with a feature that is there twice.

    Args:
      split: the data, with the feature once.
      copied: its column.
      strength: of the ridge penalty.

    Returns:
      A row for each method, and by method the coefficients of the feature and of its
      copy.
    """
    once, y = split.train_x, split.train_y - split.train_y.mean()
    twice = np.hstack([once, once[:, [copied]]])
    x32, y32, strengths = _to_float32(twice, y, np.array([strength]))
    gram = x32.T @ x32
    solutions = {
        "normal equations": jnp.linalg.solve(gram, x32.T @ y32),
        "shortest solution": lstsq(x32, y32).solution,
        "ridge": ridge(x32, y32, strengths).coefficients[0],
    }
    single = lstsq(*_to_float32(once, y)).solution[copied]
    rows, pairs = [], {}
    for name, solution in solutions.items():
        weights = np.asarray(solution, np.float64)
        is_finite = np.isfinite(weights).all()
        left = twice @ np.where(is_finite, weights, 0) - y
        pairs[name] = (float(weights[copied]), float(weights[-1]))
        rows.append(
            {
                "method": name,
                "feature": pairs[name][0],
                "copy": pairs[name][1],
                "sum": sum(pairs[name]),
                "alone": float(single),
                "length": float(np.linalg.norm(weights)),
                "train_rmse": _root(np.mean(left**2)) if is_finite else None,
                "rank": int(lstsq(x32, y32).rank),
                "columns": twice.shape[1],
                "condition_number": float(condition_number(x32)),
            }
        )
    return rows, pairs


def _choose_copied(config: SvdRegressionConfig, data: RegressionData) -> int:
    if config.copied is None:
        x, y = data.x - data.x.mean(axis=0), data.y - data.y.mean()
        lengths = np.linalg.norm(x, axis=0)
        return int(np.argmax(abs(x.T @ y) / np.where(lengths > 0, lengths, 1)))
    if config.copied not in data.features:
        raise ConfigError(
            f"copied: {data.name} has no feature {config.copied!r}; it has "
            f"{', '.join(data.features)}"
        )
    return data.features.index(config.copied)


def _space_strengths(section: StrengthsSection) -> np.ndarray:
    return np.geomspace(section.smallest, section.largest, section.count)


def _to_float32(*arrays: np.ndarray) -> list[Array]:
    return [jnp.asarray(array, jnp.float32) for array in arrays]


def _root(mean_square: Any) -> float:
    return float(np.sqrt(mean_square))


def _score(fit: Fit, split: RegressionSplit) -> dict[str, Any]:
    errors = {}
    for part, x, y in (
        ("train", split.train_x, split.train_y),
        ("test", split.test_x, split.test_y),
    ):
        left = y - (x @ np.asarray(fit.coefficients, np.float64) + fit.intercept)
        errors[f"{part}_rmse"] = _root(np.mean(left**2))
        if part == "test":
            spread = np.sum((y - split.train_y.mean()) ** 2)
            errors["test_r2"] = float(1 - np.sum(left**2) / spread) if spread else None
    return {
        "chosen": fit.setting,
        "degrees_of_freedom": fit.degrees_of_freedom,
        "leave_one_out_rmse": fit.leave_one_out,
        **errors,
        "length": float(np.linalg.norm(fit.coefficients)),
    }


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """The columns for the screen."""
    names = {
        "method": "method",
        "chosen": "chosen",
        "degrees_of_freedom": "freedom",
        "leave_one_out_rmse": "left out",
        "train_rmse": "train",
        "test_rmse": "test",
        "test_r2": "test R2",
    }
    return {short: row[name] for name, short in names.items()}


def _measure_path(split: RegressionSplit, path: Ridge) -> dict[str, np.ndarray]:
    """Root mean square errors by strength."""
    weights = np.asarray(path.coefficients, np.float64)
    intercepts = np.asarray(path.intercepts, np.float64)[:, None]
    parts = {
        "training": (split.train_x, split.train_y),
        "test": (split.test_x, split.test_y),
    }
    errors = {
        name: np.sqrt(((weights @ x.T + intercepts - y) ** 2).mean(axis=1))
        for name, (x, y) in parts.items()
    }
    errors["leave-one-out"] = np.sqrt(np.asarray(path.leave_one_out, np.float64))
    errors["generalised\ncross-validation"] = np.sqrt(
        np.asarray(path.generalized, np.float64)
    )
    return errors


def _plot_path(
    run: RunFolder,
    data: RegressionData,
    split: RegressionSplit,
    strengths: np.ndarray,
    path: Ridge,
) -> None:
    plot_ridge_path(
        RidgePath(
            strengths=strengths,
            coefficients=np.asarray(path.coefficients, np.float64),
            features=data.features,
            errors=_measure_path(split, path),
            degrees_of_freedom=np.asarray(path.degrees_of_freedom, np.float64),
            chosen=int(path.best),
        ),
        run.path / "ridge_path.png",
        title=f"{data.name}: {len(split.train_y)} examples to train on, "
        f"{len(split.test_y)} to test on",
        target=data.target,
    )


def _list_path(
    data: RegressionData, split: RegressionSplit, strengths: np.ndarray, path: Ridge
) -> list[dict[str, Any]]:
    errors = _measure_path(split, path)
    return [
        {
            "strength": strength,
            "degrees_of_freedom": float(path.degrees_of_freedom[index]),
            **{
                f"{name.replace(chr(10), ' ')} rmse": values[index]
                for name, values in errors.items()
            },
            **{
                f"coefficient {feature}": float(weight)
                for feature, weight in zip(
                    data.features, np.asarray(path.coefficients[index]), strict=True
                )
            },
        }
        for index, strength in enumerate(strengths)
    ]
