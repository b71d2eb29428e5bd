"""Functions and matrices in three parts: onto, a bijection, one-to-one."""

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.data import ArraySplit, load_dataset, load_into_memory
from jaxdl.linalg import RefactoredMatrix, refactor, refactor_matrix
from jaxdl.recipes.study import finish_study
from jaxdl.recipes.svd_refactor_config import (
    FunctionsSection,
    MatrixSection,
    SvdRefactorConfig,
)
from jaxdl.report import (
    FunctionSteps,
    MatrixSteps,
    plot_function_steps,
    plot_matrix_steps,
)
from jaxdl.train import RunFolder


def study_refactoring(config: SvdRefactorConfig, run: RunFolder) -> int:
    """Splits functions and matrices; writes a table of sizes and errors, and pictures.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    studies = {"holes": _study_holes, "squares": _study_squares}
    table = [
        studies[name](config.functions, run)
        for name in dict.fromkeys(config.functions.shown)
    ]
    table += _study_matrices(config.matrix, run, seed=config.run.seed)
    finish_study(
        run,
        table=table,
        shown=[_shorten(row) for row in table],
        summary={"results": table, "seconds": time.perf_counter() - start},
        title="domain -> onto -> middle -> one-to-one -> codomain",
    )
    return 0


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """The columns for the screen."""
    names = ("what", "form", "domain", "middle", "codomain", "error", "condition")
    return {name: row.get(name, "") for name in names}


def _study_squares(section: FunctionsSection, run: RunFolder) -> dict[str, Any]:
    modulus = section.modulus
    domain = [str(n) for n in range(modulus)]
    name = f"squares mod {modulus}"
    return _study_function(
        name,
        lambda n: str(int(n) ** 2 % modulus),
        domain,
        codomain=domain,
        file="squares.png",
        title=f"n → n² mod {modulus}",
        run=run,
    )


def _study_holes(section: FunctionsSection, run: RunFolder) -> dict[str, Any]:
    images = _choose_digits(section.ink)
    # Any function of pixels can be split: bytes are hashable, arrays are not.
    shape, pictures = images.shape[1:], {image.tobytes(): image for image in images}

    def count(data: Hashable) -> str:
        image = pictures[data].reshape(shape)
        return str(count_holes(image >= section.ink * image.max()))

    return _study_function(
        "holes of digits",
        count,
        list(pictures),
        codomain=[str(n) for n in range(5)],
        pictures=list(pictures.values()),
        file="holes.png",
        title="an image of a digit → its number of holes",
        run=run,
    )


def _study_function(
    name: str,
    f: Callable[[Any], str],
    domain: Sequence[Hashable],
    *,
    codomain: Sequence[str],
    file: str,
    title: str,
    run: RunFolder,
    pictures: Sequence[np.ndarray] | None = None,
) -> dict[str, Any]:
    parts = refactor(f, domain, codomain=codomain)
    classes = list(parts.bijection)
    plot_function_steps(
        FunctionSteps(
            elements=[str(x) for x in domain] if pictures is None else pictures,
            classes=[classes.index(parts.surjection[x]) for x in domain],
            values=[codomain.index(parts.bijection[members]) for members in classes],
            codomain=codomain,
        ),
        run.path / file,
        title=title,
    )
    wrong = sum(parts(x) != f(x) for x in domain)
    return {
        "what": name,
        "domain": len(parts.surjection),
        "middle": len(classes),
        "codomain": len(codomain),
        "error": wrong / len(domain),
    }


def count_holes(ink: np.ndarray) -> int:
    """How many parts of the paper the ink of a drawing encloses.

    Args:
      ink: true where there is ink; ink touches across corners, paper does not.

    Returns:
      The number of connected parts without ink that do not reach the border.

    Example:
      >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
      >>> count_holes(ring), count_holes(~ring)
      (1, 0)
    """
    paper = np.pad(~ink, 1, constant_values=True)
    left = {(int(row), int(column)) for row, column in np.argwhere(paper)}
    num_parts = 0
    while left:
        num_parts += 1
        waiting = [left.pop()]
        while waiting:
            row, column = waiting.pop()
            for near in (
                (row - 1, column),
                (row + 1, column),
                (row, column - 1),
                (row, column + 1),
            ):
                if near in left:
                    left.remove(near)
                    waiting.append(near)
    return num_parts - 1  # without the paper around the drawing


def _choose_digits(ink: float) -> np.ndarray:
    """One image of each digit, (10, height, width): a typical one of the usual holes.

    Among the images with the digit's most frequent number of holes, the one nearest
    to the digit's mean.
    """
    split: ArraySplit = load_into_memory(load_dataset("digits").splits["train"])
    images, labels = split.images[..., 0], split.labels
    chosen = []
    for label in range(10):
        members = images[labels == label]
        holes = np.array([count_holes(image >= ink * image.max()) for image in members])
        usual = members[holes == np.bincount(holes).argmax()]
        distances = ((usual - members.mean(0)) ** 2).sum((1, 2))
        chosen.append(usual[np.argmin(distances)])
    return np.stack(chosen)


def _study_matrices(
    section: MatrixSection, run: RunFolder, *, seed: int
) -> list[dict[str, Any]]:
    """Splits matrices in every form; draws those of the rank asked for."""
    table, drawn = [], []
    for rank in dict.fromkeys((section.rank, *section.other_ranks)):
        m = make_matrix(section.rows, section.columns, rank, seed=seed)
        for form in dict.fromkeys(section.forms):
            parts = refactor_matrix(jnp.asarray(m, jnp.float32), form=form)
            table.append(_make_row(m, parts, form))
            if rank == section.rank:
                drawn.append(_make_steps(m, parts, form))
    plot_matrix_steps(
        drawn,
        run.path / "matrix.png",
        title=f"Rank {section.rank}: the matrix = tall · square · wide",
    )
    return table


def make_matrix(rows: int, columns: int, rank: int, *, seed: int) -> np.ndarray:
    """A matrix of small integers of a rank that is known.

    Args:
      rows: at least `rank`.
      columns: at least `rank`.
      rank: at least 0.
      seed: of the integers.

    Returns:
      float64 integers of shape (rows, columns).

    Example:
      >>> int(np.linalg.matrix_rank(make_matrix(6, 7, 4, seed=0)))
      4
    """
    generator = np.random.default_rng(seed)
    tall = generator.integers(-2, 3, (rows, rank)).astype(float)
    wide = generator.integers(-2, 3, (rank, columns)).astype(float)
    # A unit matrix among the rows of one and the columns of the other.
    tall[generator.permutation(rows)[:rank]] = np.eye(rank)
    wide[:, generator.permutation(columns)[:rank]] = np.eye(rank)
    return tall @ wide


_EXPLAIN = {
    "svd": "SVD: tall and wide are orthonormal, square is diagonal",
    "columns": "columns: tall holds columns of the matrix, square is the identity",
    "skeleton": "skeleton: tall holds columns of the matrix, wide holds rows of it",
}


def _make_steps(m: np.ndarray, parts: RefactoredMatrix, form: str) -> MatrixSteps:
    def indices(chosen) -> list[int]:
        return [] if chosen is None else np.asarray(chosen).tolist()

    return MatrixSteps(
        title=_EXPLAIN[form],
        matrix=m,
        tall=np.asarray(parts.tall),
        square=np.asarray(parts.square),
        wide=np.asarray(parts.wide),
        rows=indices(parts.row_indices),
        columns=indices(parts.column_indices),
    )


def _make_row(m: np.ndarray, parts: RefactoredMatrix, form: str) -> dict[str, Any]:
    tall, square, wide = (np.asarray(part, np.float64) for part in parts[:3])
    rank = len(square)
    identity = np.eye(rank)
    scale = np.abs(m).max(initial=0) or 1.0
    return {
        "what": f"matrix {m.shape[0]}x{m.shape[1]}",
        "form": form,
        "domain": m.shape[1],
        "middle": rank,
        "codomain": m.shape[0],
        "error": float(np.abs(tall @ square @ wide - m).max(initial=0) / scale),
        "condition": float(np.linalg.cond(square)) if rank else None,
        "tall_from_orthonormal": _size(tall.T @ tall - identity),
        "wide_from_orthonormal": _size(wide @ wide.T - identity),
    }


def _size(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0))
