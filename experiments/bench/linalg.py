"""How fast are the decompositions beside SciPy's, scikit-learn's and PyTorch's?

    python experiments/bench/linalg.py randomized_svd tall_skinny_svd kmeans

Each side runs in a process of its own; they take turns, and each turn waits until the
machine is idle (--idle 0 doesn't). Printed are medians of times, ratios of them (above
1 where we are faster), wall and CPU time apart, and errors; all again in a table at the
end. Without names, all cases run. PyTorch takes part where it is installed, or with
--torch-python, the path of a Python that has it. The side `devices` is ours with the
rows split over as many CPU devices as there are threads.

    randomized_svd       rank 50 of 10000x2000, singular values 1/i
    randomized_svd_slow  the same, singular values 1/sqrt(i)
    tall_skinny_svd      20000x256
    thin_svd             500x500
    pca_tall             20 components of 10000x256
    pca_wide             20 components of 5000x1000
    kmeans               100 clusters of 50000x64, k-means++ included, a new seed for
                         every call
    robust_pca           200 frames of 20800 pixels: rpca_escalator/escalator.npz of
                         $JAXDL_DATA_DIR, otherwise a made clip

Errors: `excess` is what the approximation leaves, in the Frobenius norm, over what the
best one of that rank does, less 1; `residual` is relative to the input;
`orthogonality` the largest entry of U^T U - I and V V^T - I.

Takes 1 to 4 minutes a case on 2 idle CPU cores.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from linalg_data import make_data, measure
from linalg_sides import make_call
from turns import (
    Side,
    Times,
    add_turn_arguments,
    list_ratios,
    print_times,
    serve,
    take_turns,
)


class Case(NamedTuple):
    """What is timed."""

    routine: str
    shape: tuple[int, int]
    quick: tuple[int, int]
    """Shape with `--quick`."""
    sides: tuple[str, ...]
    """Others than ours."""
    rank: int = 0
    decay: float = 0.0


_PCA_SIDES = ("sklearn_full", "sklearn_covariance_eigh", "sklearn_randomized")

CASES = {
    "randomized_svd": Case(
        "randomized_svd", (10_000, 2000), (90, 60), ("sklearn", "torch"), 50, 1.0
    ),
    "randomized_svd_slow": Case(
        "randomized_svd", (10_000, 2000), (90, 60), ("sklearn", "torch"), 50, 0.5
    ),
    "tall_skinny_svd": Case(
        "svd", (20_000, 256), (80, 8), ("devices", "scipy", "numpy")
    ),
    "thin_svd": Case("svd", (500, 500), (12, 12), ("scipy", "numpy")),
    "pca_tall": Case("pca", (10_000, 256), (80, 8), _PCA_SIDES, 20, 0.5),
    "pca_wide": Case("pca", (5000, 1000), (60, 40), _PCA_SIDES, 20, 0.5),
    "kmeans": Case("kmeans", (50_000, 64), (200, 4), ("devices", "sklearn"), 100),
    "robust_pca": Case(
        "robust_pca", (20_800, 200), (60, 12), ("numpy_float64", "numpy_float32")
    ),
}

Row = tuple[str, str, Times, dict[str, float]]
"""Case, side, the case's times and the side's errors."""


def work(side: str, case: str, threads: int, folder: str) -> None:
    """A side's process: times its call whenever it is asked to."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    data = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
    routine, rank = CASES[case].routine, int(data.pop("rank"))
    call = make_call(routine, side, data["a"], rank, threads)
    start, results = time.perf_counter(), [call()]
    # Three calls warm up; the slowest sides, that compile nothing, need but one.
    while len(results) < 3 and (routine == "kmeans" or time.perf_counter() < start + 5):
        results.append(call())
    serve(call, measure(routine, data, results))


def compare(name: str, arguments: argparse.Namespace) -> list[Row]:
    """Times the sides of a case in turns and prints the ratios."""
    case = CASES[name]
    shape = case.quick if arguments.quick else case.shape
    rank = min(case.rank, min(shape) // 4) if arguments.quick else case.rank
    wanted = arguments.sides.split(",") if arguments.sides else case.sides
    sides = {}
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(case.routine, shape, rank, case.decay)
        for label, array in {**data, "rank": np.array(rank)}.items():
            np.save(Path(folder) / label, array)
        for side in ("jaxdl", *(side for side in wanted if side in case.sides)):
            python = arguments.torch_python if side == "torch" else sys.executable
            if side == "torch" and not _has_torch(python):
                print(f"{name}: no PyTorch in {python}, left out (--torch-python)")
                continue
            options = ["--threads", str(arguments.threads), "--folder", folder, name]
            command = [python, __file__, "--worker", side, *options]
            sides[side] = Side(command, threads=arguments.threads)
        times = take_turns(sides, arguments)
    print_times(name, times)
    return [(name, side, times, sides[side].report) for side in sides]


def _has_torch(python: str) -> bool:
    probe = [python, "-c", "import torch"]
    return not subprocess.run(probe, stderr=subprocess.DEVNULL).returncode


def print_table(rows: list[Row]) -> None:
    """One line per case and side: time, ratios to ours, errors."""
    print(f"\n{'case':<20} {'side':<24} {'ms':>9} {'wall':>6} {'CPU':>6}  errors")
    for case, side, times, errors in rows:
        wall = 1e3 * median(row[0] for row in times[side])
        ratios = [median(list_ratios(times, side, column)) for column in (0, 1)]
        shown = ", ".join(f"{name} {value:.6g}" for name, value in errors.items())
        print(
            f"{case:<20} {side:<24} {wall:9.1f} {ratios[0]:6.2f} {ratios[1]:6.2f}  "
            f"{shown}"
        )


def main() -> None:
    """Reads the command line and compares case by case."""
    parser = argparse.ArgumentParser(description="Times decompositions beside others.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--sides", help="of the others, with commas; default: all")
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    add_turn_arguments(parser)
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    if arguments.worker:
        worker, case = arguments.worker, arguments.cases[0]
        work(worker, case, arguments.threads, arguments.folder)
        return
    if arguments.quick:
        arguments.rounds, arguments.calls, arguments.idle = 1, 1, 0
    rows = []
    for case in arguments.cases or CASES:
        rows += compare(case, arguments)
    print_table(rows)


if __name__ == "__main__":
    main()
