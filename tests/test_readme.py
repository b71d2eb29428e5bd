"""What the README says is so: its example runs, its commands and links exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jaxdl.errors import ConfigError
from jaxdl.recipes.command_line import read_command_line
from jaxdl.recipes.configs import ClassifierConfig

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"`?(python experiments/[^`\n]+?)(?:\s+#.*|`|\n)", README)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run_example(code):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_readme_examples_do_what_they_say():
    training, network = blocks("python")
    # Ten classes: chance is 0.1; 64 images.
    assert float(run_example(training).rsplit(":", 1)[1]) > 0.8
    maps, macs = run_example("import jax\n" + network).splitlines()
    assert "'stage4': (1, 7, 7, 2048)" in maps
    assert macs == "4.09 G multiply-accumulates"


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_commands_exist(command):
    _, script, *arguments = shlex.split(command)
    assert (ROOT / script).is_file()
    if script.endswith("train_classifier.py") and arguments != ["--help"]:
        file, *overrides = arguments
        read_command_line(ClassifierConfig, [str(ROOT / file), *overrides])


def test_readme_shows_the_true_messages():
    mistakes = ["optimizer.learing_rate=0.1", "data.batch_size=abc"]
    file = ROOT / "configs/train_classifier/quick.yaml"
    with pytest.raises(ConfigError) as error:
        read_command_line(ClassifierConfig, [str(file), *mistakes])
    (shown,) = blocks("text")
    assert shown.splitlines() == [f"jaxdl: {line}" for line in error.value.messages]


def test_readme_lists_every_config():
    for file in (ROOT / "configs").rglob("*.yaml"):
        assert str(file.relative_to(ROOT)) in README


def test_readme_lists_every_room():
    for path in (ROOT / "jaxdl").iterdir():
        if path.is_dir() and not path.name.startswith("__"):
            assert f"`jaxdl/{path.name}/`" in README


def test_pages_name_make_targets_that_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert set(re.findall(r"\bmake ([a-z-]+) ", text)) - {"it"} <= targets


@pytest.mark.parametrize("page", PAGES)
def test_pages_link_to_files_that_exist(page):
    for target in re.findall(r"\]\(([\w./-]+)\)", (ROOT / page).read_text()):
        assert (ROOT / target).exists()
