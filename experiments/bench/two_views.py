"""How fast are two random views of each image beside a Pillow pipeline?

    python experiments/bench/two_views.py

Ours runs with the batch split over as many CPU devices as there are threads; the Pillow
pipeline in as many processes, each with its share of the batch. Both start from bytes
in memory, take the same steps with the same probabilities, and make both views of every
image; ours ends with float32 in [0, 1], Pillow's with bytes in each process, which is
less to do. The sides take turns, and each turn waits until the machine is idle (--idle
0 doesn't). Printed are medians of times, ratios of them (above 1 where we are faster),
wall and CPU time apart, and at the end images/s (an image being two views) and the mean
and deviation of the pixels of all views, which are to agree but for chance.

    imagenet         BARLOW_TWINS_VIEWS, 32 images, 224 pixels of 256, antialiased
    imagenet_large   the same, 256 images: a third of our CPU time goes into memory
                     that the system hands out anew for every call
    cifar            CIFAR_VIEWS with the former's blur, 1024 images, 32 pixels of 32

Takes about 3 minutes on 2 idle CPU cores.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from turns import (
    Side,
    Times,
    add_turn_arguments,
    list_ratios,
    print_times,
    serve,
    take_turns,
)
from two_views_pillow import PillowPipeline, draw_images

ROOT = Path(__file__).parents[2]


class Case(NamedTuple):
    """What is timed."""

    views: str
    num_images: int
    source_size: int
    size: int


CASES = {
    "imagenet": Case("BARLOW_TWINS_VIEWS", 32, 256, 224),
    "imagenet_large": Case("BARLOW_TWINS_VIEWS", 256, 256, 224),
    "cifar": Case("CIFAR_VIEWS", 1024, 32, 32),
}
BLUR_PROBABILITIES = (1.0, 0.1)


def work(side: str, name: str, arguments: argparse.Namespace) -> None:
    """A side's process: times its call whenever it is asked to."""
    sys.path.insert(0, str(ROOT))
    case, threads = CASES[name], arguments.threads
    if arguments.quick:
        case = case._replace(num_images=2 * threads, source_size=16, size=12)
    images = draw_images(case.num_images, case.source_size)
    if side == "jaxdl":
        call = _make_ours(images, case, threads)
        serve(call, _measure(call(), call(), largest=1.0))
        return
    views = [dataclasses.asdict(view) for view in _find_views(case)]
    pipeline = PillowPipeline(images, views, size=case.size, processes=threads)
    pairs = []
    for _ in range(2):
        pipeline()
        pairs.append(pipeline.read_views())
    report = _measure(*pairs, largest=255.0)
    serve(pipeline, report, read_cpu_time=pipeline.read_cpu_time)


def _find_views(case: Case) -> list[Any]:
    from jaxdl import augment

    pairs = zip(getattr(augment, case.views), BLUR_PROBABILITIES, strict=True)
    return [dataclasses.replace(view, blur_probability=blur) for view, blur in pairs]


def _make_ours(images: np.ndarray, case: Case, threads: int) -> Callable[[], Any]:
    import jax

    jax.config.update("jax_num_cpu_devices", threads)
    from jaxdl.augment import make_two_views
    from jaxdl.parallel import batch_sharding, make_mesh

    first, second = _find_views(case)
    two_views = make_two_views((first, second), size=case.size)
    batch = jax.device_put(images, batch_sharding(make_mesh()))
    key = jax.random.key(0)

    def call():
        nonlocal key
        key, key_call = jax.random.split(key)
        return jax.block_until_ready(two_views(batch, key=key_call))

    return call


def _measure(*pairs: Any, largest: float) -> dict[str, float]:
    """Mean and deviation of the pixels of a few calls' first and second views."""
    report = {}
    for name, views in zip(("first", "second"), zip(*pairs, strict=True), strict=True):
        pixels = np.concatenate([np.asarray(view, np.float64) for view in views])
        report[f"{name} mean"] = pixels.mean() / largest
        report[f"{name} deviation"] = pixels.std() / largest
    return report


def compare(name: str, arguments: argparse.Namespace) -> tuple[Times, dict[str, Any]]:
    """Times both sides of a case in turns and prints the ratios."""
    options = ["--threads", str(arguments.threads), name]
    options += ["--quick"] if arguments.quick else []
    sides = {}
    for side in ("jaxdl", "pillow"):
        command = [sys.executable, __file__, "--worker", side, *options]
        sides[side] = Side(command, threads=arguments.threads)
    times = take_turns(sides, arguments)
    print_times(name, times)
    return times, {side: process.report for side, process in sides.items()}


def print_table(results: dict[str, Any], num_images: Callable[[str], int]) -> None:
    """One line per case and side: images/s, ratios to ours, the pixels' moments."""
    print(f"\n{'case':<15} {'side':<8} {'images/s':>9} {'wall':>6} {'CPU':>6}  pixels")
    for name, (times, reports) in results.items():
        for side, rows in times.items():
            speed = num_images(name) / median(row[0] for row in rows)
            ratios = [median(list_ratios(times, side, column)) for column in (0, 1)]
            shown = ", ".join(f"{key} {x:.3f}" for key, x in reports[side].items())
            print(
                f"{name:<15} {side:<8} {speed:9.0f} {ratios[0]:6.2f} "
                f"{ratios[1]:6.2f}  {shown}"
            )


def main() -> None:
    """Reads the command line and compares case by case."""
    parser = argparse.ArgumentParser(description="Times two views beside Pillow's.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    add_turn_arguments(parser)
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    if arguments.worker:
        work(arguments.worker, arguments.cases[0], arguments)
        return
    if arguments.quick:
        arguments.rounds, arguments.calls, arguments.idle = 1, 1, 0
    names = arguments.cases or list(CASES)
    results = {name: compare(name, arguments) for name in names}
    quick = 2 * arguments.threads
    count = lambda name: quick if arguments.quick else CASES[name].num_images
    print_table(results, count)


if __name__ == "__main__":
    main()
