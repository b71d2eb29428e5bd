"""The timing scripts run; what they measure is not tested."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "experiments" / "bench"
SCRIPT = BENCH / "linalg.py"


def run_quick(*names, script=SCRIPT):
    command = [sys.executable, str(script), *names, "--quick", "--torch-python"]
    process = subprocess.run(
        [*command, sys.executable], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_linalg_bench_prints_times_and_errors():
    table = run_quick("thin_svd").split("\ncase")[1]
    lines = {line.split()[1]: line for line in table.splitlines()[1:]}
    assert set(lines) == {"jaxdl", "scipy", "numpy"}
    assert all("orthogonality" in line for line in lines.values())


@pytest.mark.slow
def test_linalg_bench_runs_every_case():
    table = run_quick().split("\ncase")[1]
    names = "randomized_svd tall_skinny_svd pca_tall pca_wide kmeans robust_pca"
    assert set(names.split()) <= {line.split()[0] for line in table.splitlines()[1:]}


def test_linalg_bench_names_unknown_cases():
    command = [sys.executable, str(SCRIPT), "thin"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "no case thin; there are randomized_svd" in process.stderr


def test_two_views_bench_prints_speeds_of_views_alike():
    script = SCRIPT.with_name("two_views.py")
    command = [sys.executable, str(script), "--quick"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    table = process.stdout.split("\ncase")[1]
    lines = [line.split() for line in table.splitlines()[1:]]
    cases = ("imagenet", "imagenet_large", "cifar")
    expected = [[case, side] for case in cases for side in ("jaxdl", "pillow")]
    assert [line[:2] for line in lines] == expected
    assert all(float(line[2]) > 0 for line in lines)


def test_barlow_twins_bench_prints_times_memory_and_errors():
    table = run_quick("256x8192", script=BENCH / "barlow_twins.py").split("\ncase")[1]
    lines = {line.split()[1]: line for line in table.splitlines()[1:]}
    assert {"auto", "correlation", "gram"} <= set(lines)
    assert all("MiB" in line and "gradient" in line for line in lines.values())


def test_scaling_bench_prints_speed_memory_and_exchanges():
    # With a peak, as a CPU is in no table.
    words = ["--quick", "--peak-flops", "1e12"]
    command = [sys.executable, str(BENCH / "scaling.py"), *words]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    speed, memory, own, exchanges = process.stdout.splitlines()
    assert "images/s" in speed and "MFU" in speed
    # Layers of 192 x 512, 512 x 512 and 512 x 1000.
    assert "parameters 3.5, optimizer 3.5" in memory and "temporaries" in memory
    assert own.startswith("  the device's own")
    assert exchanges.startswith("  exchanges: 0")
