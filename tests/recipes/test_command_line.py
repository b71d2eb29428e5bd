import sys

import pytest

from jaxdl.config import describe_fields
from jaxdl.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    JaxdlError,
    LockError,
    NonFiniteError,
)
from jaxdl.recipes.command_line import read_command_line, run_script


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "my config.yaml"
    file.write_text("run:\n  seed: 5\n")
    return str(file)


def test_read_command_line_reads_file_and_overrides(experiment_schema, file):
    argv = [file, "data.batch_size=64", "optimizer.learning_rate=1e-3"]
    config = read_command_line(experiment_schema, argv)
    assert config.run.seed == 5
    assert config.data.batch_size == 64
    assert config.optimizer.learning_rate == 1e-3
    assert not config.run.resume


@pytest.mark.parametrize("position", [0, 1, 2])
def test_read_command_line_takes_resume_anywhere(experiment_schema, file, position):
    argv = [file, "run.seed=6"]
    argv.insert(position, "--resume")
    config = read_command_line(experiment_schema, argv)
    assert config.run.resume and config.run.seed == 6


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["the config file is missing"]),
        (["--resume"], ["the config file is missing"]),
        (["run.seed=1"], ["the config file comes first", "'run.seed=1'"]),
        (["absent.yaml"], ["absent.yaml: no such file"]),
        (["FILE", "--run.seed=1"], ["--run.seed=1", "without dashes"]),
        (["FILE", "--rseume"], ["unrecognized arguments: --rseume", "--help"]),
        (["FILE", "--res"], ["unrecognized arguments: --res"]),
        (["FILE", "run.seed"], ['"run.seed": wanted key=value']),
        (["FILE", "other.yaml"], ['"other.yaml": wanted key=value']),
    ],
)
def test_read_command_line_refuses_in_one_line(experiment_schema, file, argv, words):
    argv = [file if word == "FILE" else word for word in argv]
    with pytest.raises(ConfigError) as error:
        read_command_line(experiment_schema, argv)
    assert len(str(error.value).splitlines()) == 1
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("columns", ["30", "80", "200"])
def test_help_lists_every_field(experiment_schema, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as end:
        read_command_line(experiment_schema, ["--help"], doc="Answers 100% of it.")
    assert end.value.code == 0
    text = capsys.readouterr().out
    words = " ".join(text.split())
    assert "Answers 100% of it." in text
    for field in describe_fields(experiment_schema):
        assert f"{field.key}={field.default} " in words
        assert f"{field.doc} [{field.type}]" in words


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (JaxdlError, 1),
        (ConfigError, 2),
        (DataError, 3),
        (NonFiniteError, 4),
        (CheckpointError, 5),
        (LockError, 6),
    ],
)
def test_run_script_ends_with_the_status_of_the_error(capsys, error, status):
    def main(argv):
        raise error("first\nsecond")

    with pytest.raises(SystemExit) as end:
        run_script(main)
    assert end.value.code == status
    captured = capsys.readouterr()
    assert captured.err == "jaxdl: first\njaxdl: second\n"
    assert captured.out == ""


def test_run_script_passes_arguments_and_status(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py", "a", "b"])
    seen = []

    def main(argv):
        seen.extend(argv)

    with pytest.raises(SystemExit) as end:
        run_script(main)
    assert seen == ["a", "b"] and not end.value.code


def test_run_script_ends_with_130_when_interrupted(capsys):
    def main(argv):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_script(main)
    assert end.value.code == 130
    assert capsys.readouterr().err == "jaxdl: interrupted\n"


def test_run_script_keeps_the_traceback_of_a_bug():
    def main(argv):
        raise KeyError("bug")

    with pytest.raises(KeyError):
        run_script(main)
