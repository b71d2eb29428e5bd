import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from jaxdl.config import describe_fields, dump_config, load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes import study_configs
from jaxdl.recipes.command_line import read_command_line
from jaxdl.recipes.runs import open_run
from jaxdl.recipes.study import finish_study, write_table
from jaxdl.recipes.study_configs import (
    ActivationStudyConfig,
    InitStudyConfig,
    ReceptiveFieldConfig,
)
from jaxdl.train import RunFolder

SCHEMAS = (InitStudyConfig, ActivationStudyConfig, ReceptiveFieldConfig)


def read_table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_write_table_keeps_every_digit_and_leaves_gaps(tmp_path):
    rows = [{"a": 1 / 3, "b": None}, {"c": 'x, "y"\n', "a": np.float32(0.1)}]
    write_table(rows, tmp_path / "table.csv")
    first, second = read_table(tmp_path / "table.csv")
    assert list(first) == ["a", "b", "c"]
    assert float(first["a"]) == 1 / 3 and first["b"] == first["c"] == ""
    assert second["c"] == 'x, "y"\n'
    assert np.float32(second["a"]) == np.float32(0.1)


def finish(run, table, **options):
    console = Console(width=60, record=True, quiet=False, file=open("/dev/null", "w"))
    with console.file:
        finish_study(run, table=table, title="title", console=console, **options)
    return console.export_text()


def test_finish_study_writes_and_shows_the_table(tmp_path):
    run = RunFolder(tmp_path)
    table = [{"name": "[red]", "number": 1.23456}, {"name": "b", "number": None}]
    summary = {"nan": float("nan"), "list": (np.float32(0.5), np.int64(2), [np.inf])}
    text = finish(run, table, summary=summary)
    assert [row["name"] for row in read_table(tmp_path / "table.csv")] == ["[red]", "b"]
    expected = {"nan": None, "list": [0.5, 2, [None]]}
    assert json.loads(run.summary.read_text()) == expected
    assert run.environment.exists()
    assert "title" in text and "[red]" in text and "1.23" in text
    assert text.rstrip().endswith(f"run folder: {tmp_path}")


def test_finish_study_shows_other_rows_if_told(tmp_path):
    text = finish(RunFolder(tmp_path), [{"a": 1}], summary={}, shown=[{"b": 23}])
    assert "23" in text and "a" not in text.split("run folder")[0].split()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_open_run_of_a_study_does_not_overwrite_a_finished_one(schema, tmp_path):
    config = load_config(schema, None, [f"run.folder={tmp_path}", "run.name=a"])
    for _ in range(2):  # an unfinished one is begun again
        with open_run(config, experiment="study") as run:
            assert load_config(schema, run.config, []) == config
    run.summary.write_text("{}")
    with pytest.raises(ConfigError, match="already holds a run; choose another name"):
        with open_run(config, experiment="study"):
            pass


def test_read_command_line_of_a_study_does_not_offer_to_resume(capsys):
    argv = ["/dev/null", "--resume"]
    with pytest.raises(ConfigError, match="unrecognized arguments: --resume"):
        read_command_line(InitStudyConfig, argv)
    with pytest.raises(SystemExit):
        read_command_line(InitStudyConfig, ["--help"])
    assert "resume" not in capsys.readouterr().out


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_field_has_one_line_of_documentation(schema):
    for field in describe_fields(schema):
        assert field.doc.endswith("."), field.key
        assert "\n" not in field.doc and len(field.doc) < 80, field.key


@pytest.mark.parametrize("schema", SCHEMAS)
def test_defaults_round_trip(schema, tmp_path):
    config = load_config(schema)
    hash(config)
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(schema, tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("schema", "overrides", "message"),
    [
        (InitStudyConfig, ["dense.width=0"], "dense.width: wanted int >= 1"),
        (
            InitStudyConfig,
            ["dense.initializers=[kaiming]"],
            r'dense.initializers: wanted list of .*, got \["kaiming"\]',
        ),
        (
            InitStudyConfig,
            ["dense.initializers=[torchvision]"],
            "dense.initializers: 'torchvision' initialises whole networks",
        ),
        (InitStudyConfig, ["network.name=resnet51"], "network.name:.*'resnet50'"),
        (InitStudyConfig, ["images.source=noisy"], "wanted noise, .*'noise'"),
        (InitStudyConfig, ["images.source=folder"], "needs images.path"),
        (InitStudyConfig, ["images.path=x"], "images.path: noise has no folder"),
        (ActivationStudyConfig, ["dense.depth=1"], "dense.depth: wanted int >= 2"),
        (ActivationStudyConfig, ["run.resume=true"], "run.resume: unknown key"),
        (ReceptiveFieldConfig, ["stack.kernel_size=4"], "wanted an odd number, got 4"),
        (
            ReceptiveFieldConfig,
            ["weights=[a.npz]"],
            "weights: got 1 files for 2 networks",
        ),
    ],
)
def test_bad_study_config_gives_one_clear_line(schema, overrides, message):
    with pytest.raises(ConfigError, match=message) as error:
        load_config(schema, None, overrides)
    assert len(error.value.messages) == 1


def test_study_configs_load_without_importing_jax():
    code = (
        f"import sys; import {study_configs.__name__};"
        "assert not {'jax', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
