"""Forecast bytes against compiled programs, and the arithmetic of the study."""

import dataclasses
import functools

import pytest

from jaxdl.config import find_conflicts, load_config
from jaxdl.costs import ring_seconds
from jaxdl.errors import ConfigError
from jaxdl.recipes.scaling_forecast import build_network, forecast_layout
from jaxdl.recipes.scaling_programs import (
    build_programs,
    build_subject,
    count_step_flops,
    list_wanted_exchanges,
    time_programs,
)
from jaxdl.recipes.scaling_study import list_rows
from jaxdl.recipes.scaling_study_config import ScalingStudyConfig
from jaxdl.recipes.scaling_words import describe_scaling
from tests.scripts import ROOT, run_main

QUICK = ROOT / "configs/scaling_study/quick.yaml"
SMALL = ("model.name=mlp", "data.image_size=null", "data.batch_size=16")


def load(*words):
    return load_config(ScalingStudyConfig, QUICK, [*SMALL, *words])


@functools.cache
def build(*words):
    """A subject, its cases and their programs."""
    config = load(*words)
    subject, cases = build_subject(config), config.list_cases()
    return subject, cases, build_programs(subject, cases, say=lambda text: None)


LAYOUTS = ("study.strong=[optimizer,model]", "study.weak=[]")


def check_bytes(subject, cases, programs):
    for case in cases:
        report = programs[case.program].exchanges
        wanted = list_wanted_exchanges(subject, case)
        assert wanted.sent_bytes() == report.sent_bytes(), case.describe()
        assert (report.count() > 0) == (case.devices > 1)


def test_forecast_bytes_are_those_of_compiled_programs():
    check_bytes(*build(*LAYOUTS))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("small_cnn", ("model.norm=batch", "data.image_size=16")),
        ("resnet8_cifar", ()),
        ("vgg11_bn", ("data.image_size=32",)),
    ],
)
def test_forecast_bytes_of_networks_with_norms_are_exact(model, words):
    layouts = ("study.strong=[data,optimizer,model,combined]", "study.weak=[data]")
    devices = ("study.devices=[1,4]", f"model.name={model}")
    check_bytes(*build(*words, *layouts, *devices))


def test_list_rows_compares_with_one_device():
    subject, cases, programs = build(*LAYOUTS)
    time_programs(programs, rounds=2, steps=1)
    for program in programs.values():
        assert len(program.seconds) == 2
        program.seconds = [0.25 if len(program.exchanges.collectives) else 0.2]
    forecasts = {
        ("strong", layout): forecast_layout(
            subject, cases[0], base_seconds=0.2, base_batch=16
        )
        for layout in ("optimizer", "model")
    }
    rows = list_rows(subject, cases, programs, forecasts, flops_per_image=1e6)
    alone, two = rows[0], rows[1]
    assert (alone["efficiency"], alone["forecast_byte_error"]) == (1, None)
    # Simulated devices share their cores: throughput against one, not against two.
    assert two["images_per_second"] == 16 / 0.25
    assert two["efficiency"] == pytest.approx(0.8)
    assert two["forecast_byte_error"] == 0
    shares = [row["optimizer_bytes"] for row in rows if row["layout"] == "optimizer"]
    assert shares[0] > 7 * shares[-1]
    assert alone["replicated_work"] == 0 <= two["replicated_work"] < 0.2
    assert alone["memory_bytes"] > alone["parameters_bytes"] + alone["optimizer_bytes"]
    circumstances = {
        "device_kind": "cpu",
        "network": "mlp",
        "shares_cores": True,
        "cores": 2,
        "devices_per_node": 8,
        "inside_bandwidth": 3e11,
        "between_bandwidth": 2e11,
    }
    text = " ".join(describe_scaling(rows, [], circumstances))
    assert "share the same 2 CPU cores" in text
    assert "efficiency 80 % on 2, 80 % on 4, 80 % on 8" in text
    assert "to 0 %: optimizer, model" in text


def test_count_step_flops_of_dense_layers_is_three_times_the_forward_pass():
    subject, cases, _ = build(*LAYOUTS)
    widths = (64, 512, 512, 10)
    products = [a * b for a, b in zip(widths, widths[1:], strict=False)]
    # The gradient of the images is not asked for.
    macs = 3 * sum(products) - products[0]
    assert count_step_flops(subject, cases[0]) == 2 * 16 * macs


def test_forecast_layout_is_computing_and_exchanging():
    subject, _, _ = build(*LAYOUTS)
    words = ("study.forecast_devices=[16,64]", "study.weak=[data]", "study.strong=[]")
    config = load(*words)
    subject = dataclasses.replace(subject, config=config)
    case = config.list_cases()[0]
    found = forecast_layout(subject, case, base_seconds=0.2, base_batch=16)
    assert [one.case.devices for one in found] == [1, 2, 4, 8, 16, 64]
    two = found[1]
    link = build_network(config.links).inside
    sizes = [one.payload_bytes for one in two.exchanges.collectives]
    seconds = sum(ring_seconds("all-reduce", n, link, group_size=2) for n in sizes)
    assert two.step_seconds == pytest.approx(0.2 + seconds)
    assert two.efficiency == pytest.approx(0.2 / (0.2 + seconds))
    assert two.waiting_share == pytest.approx(seconds / (0.2 + seconds))
    # There and back, each time a message to the other device.
    latency = len(sizes) * 2 * link.latency_seconds
    assert two.latency_share == pytest.approx(latency / seconds)


def test_forecast_layout_ends_where_the_batch_does():
    subject, cases, _ = build(*LAYOUTS)
    found = forecast_layout(subject, cases[0], base_seconds=0.2, base_batch=16)
    assert found[-1].case.devices == 16
    # Half of the batch on each of two: the step is computed in half the time.
    assert found[1].compute_seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data.batch_size=20",), "a batch of 20 does not divide into 8 devices"),
        (("study.devices=[2,4]",), "wanted 1 as the first, got 2"),
        (("study.devices=[1,4,2]",), r"wanted rising ones, got \[1, 4, 2\]"),
        (("study.devices=[1,16]",), "16 devices wanted, 8 are simulated"),
        (("study.forecast_devices=[20]",), "20 devices don't fill nodes of 8"),
        (("study.strong=[]", "study.weak=[]"), "no layout to measure"),
    ],
)
def test_a_study_that_can_not_be_is_refused_by_its_config(words, message):
    with pytest.raises(ConfigError, match=message):
        load(*words)


def test_more_devices_than_there_are_and_layers_that_do_not_divide_are_named(tmp_path):
    words = (QUICK, *SMALL, f"run.folder={tmp_path}", "study.simulated_devices=0")
    changes = ("study.devices=[1,1000]", "data.batch_size=1000", "study.strong=[data]")
    status, message = run_main("scaling_study", *words, *changes)
    assert status and message.startswith("study.devices: 1000 wanted, there are 8")
    changes = ("study.devices=[1,3]", "study.strong=[model]", "study.weak=[]")
    status, message = run_main("scaling_study", *words, *changes)
    assert "model on 3 devices, batch 16: fc1/bias has 512 outputs" in message
    assert len(message.splitlines()) == 1


def test_cases_of_a_study_are_those_that_exist():
    config = load("study.strong=[combined]", "study.weak=[model]")
    shapes = [(c.data, c.model, c.batch_size) for c in config.list_cases()]
    assert shapes == [
        *((1, 1, 16), (2, 2, 16), (4, 2, 16)),
        *((1, 1, 16), (1, 2, 32), (1, 4, 64), (1, 8, 128)),
    ]
    assert not list(find_conflicts(config))
