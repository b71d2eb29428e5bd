"""How fast is the Barlow Twins loss beside its usual form in PyTorch?

    python experiments/bench/barlow_twins.py 256x8192 2048x2048

Loss and the gradients of both views, float32, of N x D embeddings: by the route that
our loss takes itself (`auto`), by either one, and as the authors' code writes it
(batch norms, the D x D matrix, sums on and off its diagonal) in PyTorch. Each side runs
in a process of its own; they take turns, and each turn waits until the machine is idle
(--idle 0 doesn't). Printed are medians of times, ratios to `auto` (above 1 where `auto`
is faster), wall and CPU time apart, and in a table at the end also:

    MiB        memory at the peak beside arguments and gradients. Ours: what the
               compiled program sets aside. PyTorch's: how much its process grows
               during a step, less the gradients.
    loss       error of the loss, relative, against float64
    gradient   error of the gradients, relative in the Frobenius norm, the larger

Without names, all cases run. PyTorch takes part where it is installed, or with
--torch-python, the path of a Python that has it; `torch_compile` only if asked for:
--sides torch,torch_compile.

Takes about 10 minutes on 2 idle CPU cores, most of it PyTorch's at 2048x8192.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from barlow_twins_sides import differentiate, make_ours, make_torch, make_views
from turns import Side, Times, add_turn_arguments, list_ratios, print_times, serve
from turns import take_turns as time_in_turns

CASES = {
    "256x2048": (256, 2048),
    "1024x2048": (1024, 2048),
    "2048x2048": (2048, 2048),
    "256x8192": (256, 8192),
    "1024x8192": (1024, 8192),
    "2048x8192": (2048, 8192),
}
SIDES = ("correlation", "gram", "torch", "torch_compile")

Row = tuple[str, str, Times, dict[str, float]]
"""Case, side, the case's times and what the side said of itself."""


def work(side: str, threads: int, folder: Path) -> None:
    """A side's process: measures errors and memory, then times its step when asked."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    load = lambda name: np.load(folder / f"{name}.npy")
    views = load("first"), load("second")
    if side.startswith("torch"):
        compiled = side == "torch_compile"
        step, memory = make_torch(*views, threads=threads, compiled=compiled)
    else:
        step, memory = make_ours(side, *views)
    for _ in range(2):
        step()
    loss, *grads = step()
    errors = [
        _relate(np.asarray(ours), load(f"{name}_grads"))
        for ours, name in zip(grads, ("first", "second"), strict=True)
    ]
    report = {
        "MiB": memory / 2**20,
        "loss": _relate(np.asarray(loss), load("loss")),
        "gradient": max(errors),
    }
    serve(step, report)


def _relate(ours: np.ndarray, best: np.ndarray) -> float:
    return float(np.linalg.norm(ours - best) / np.linalg.norm(best))


def compare(case: str, arguments: argparse.Namespace) -> list[Row]:
    """Times the sides of a case in turns and prints the ratios."""
    shape = [side // 32 for side in CASES[case]] if arguments.quick else CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        views = make_views(*shape)
        names = "first", "second", "loss", "first_grads", "second_grads"
        for name, array in zip(names, (*views, *differentiate(*views)), strict=True):
            np.save(Path(folder) / name, array)
        sides = {}
        for side in ("auto", *arguments.sides):
            ours = not side.startswith("torch")
            python = sys.executable if ours else arguments.torch_python
            command = [python, __file__, "--worker", side, "--folder", folder]
            command += ["--threads", str(arguments.threads)]
            sides[side] = Side(command, threads=arguments.threads)
        times = time_in_turns(sides, arguments)
    print_times(case, times)
    return [(case, side, times, sides[side].report) for side in sides]


def print_table(rows: list[Row]) -> None:
    """One line per case and side."""
    print(f"\n{'case':<12} {'side':<14} {'ms':>9} {'wall':>6} {'CPU':>6}  beside it")
    for case, side, times, report in rows:
        milliseconds = 1e3 * median(wall for wall, _ in times[side])
        wall, cpu = (median(list_ratios(times, side, column)) for column in (0, 1))
        shown = ", ".join(f"{name} {value:.3g}" for name, value in report.items())
        print(
            f"{case:<12} {side:<14} {milliseconds:9.1f} {wall:6.2f} {cpu:6.2f}  {shown}"
        )


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times the Barlow Twins loss.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument(
        "--sides", default="correlation,gram,torch", help=f"of {', '.join(SIDES)}"
    )
    parser.add_argument("--quick", action="store_true", help="small, to see it run")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    add_turn_arguments(parser)
    arguments = parser.parse_args()
    arguments.sides = [side for side in arguments.sides.split(",") if side]
    for wrong, known in (
        (set(arguments.cases) - set(CASES), CASES),
        (set(arguments.sides) - set(SIDES), SIDES),
    ):
        if wrong:
            parser.error(f"no {', '.join(sorted(wrong))}; there are {', '.join(known)}")
    if arguments.quick:
        arguments.rounds = arguments.calls = 1
        arguments.idle = 0
    return arguments


def main() -> None:
    """Reads the command line and compares case by case."""
    arguments = _read_arguments()
    if arguments.worker:
        work(arguments.worker, arguments.threads, arguments.folder)
        return
    probe = [arguments.torch_python, "-c", "import torch"]
    if subprocess.run(probe, stderr=subprocess.DEVNULL).returncode:
        print(f"no PyTorch in {probe[0]}, left out (--torch-python)")
        arguments.sides = [x for x in arguments.sides if not x.startswith("torch")]
    rows = []
    for case in arguments.cases or CASES:
        rows += compare(case, arguments)
    print_table(rows)


if __name__ == "__main__":
    main()
