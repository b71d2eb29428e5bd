"""A key that a config holds twice is refused: the last would win without a word."""

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes.search_config import SearchConfig


@dataclass(frozen=True, config=STRICT)
class Inner:
    rate: float = 0.1
    name: str | None = None
    needed: str | None = None

    def find_conflicts(self):
        """`name` needs `needed`."""
        if self.name is not None and self.needed is None:
            return [Conflict(("needed",), "missing, inner.name is given")]
        return []


@dataclass(frozen=True, config=STRICT)
class Schema:
    seed: int = 0
    inner: Inner = Inner()
    options: dict[str, dict[str, str]] = Field(default_factory=dict)
    stages: tuple[dict[str, str], ...] = ()


def read_mistakes(tmp_path, text, schema=Schema):
    """The lines without the file's name."""
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config(schema, file)
    assert error.value.exit_status == 2
    return [line.removeprefix(f"{file}:") for line in error.value.messages]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: 1\n\nseed: 2\n", "3: seed: written twice, first in line 1; keep one"),
        ("seed: 1\nseed: 1\n", "2: seed: written twice, first in line 1; keep one"),
        (
            "inner:\n  rate: 1\n  name: a\n  rate: 2\n  needed: b\n",
            "4: inner.rate: written twice, first in line 2; keep one",
        ),
        ("{seed: 1, seed: 2}", "1: seed: written twice, first in line 1; keep one"),
        ("seed: 1\n'seed': 2", "2: seed: written twice, first in line 1; keep one"),
        (
            "inner:\n  rate: 1\nseed: 3\ninner:\n  rate: 2\n",
            "4: inner: written twice, first in line 1; put all its keys under one",
        ),
        # What only the second copy has is not reported as missing.
        (
            "inner: {name: a}\ninner: {needed: b}\n",
            "2: inner: written twice, first in line 1; put all its keys under one",
        ),
        (
            "inner:\n  rate: 1\ninner.rate: 2\n",
            "3: inner.rate: written twice, first in line 2; keep one",
        ),
        (
            "inner.rate: 2\ninner:\n  rate: 1\n",
            "3: inner.rate: written twice, first in line 1; keep one",
        ),
        (
            "options:\n  a: {low: 1}\n  b: {low: 1}\n  a: {low: 2}\n",
            "4: options.a: written twice, first in line 2; keep one",
        ),
        (
            "options:\n  a:\n    low: 1\n    low: 2\n",
            "4: options.a.low: written twice, first in line 3; keep one",
        ),
        (
            "stages:\n- low: 1\n- low: 1\n  high: 2\n  low: 3\n",
            "5: stages.1.low: written twice, first in line 3; keep one",
        ),
        ("options: {1: {}, '1': {}}", "1: options.1: written twice, first in line 1; "),
    ],
)
def test_load_config_refuses_a_repeated_key_in_one_line(tmp_path, text, line):
    (found,) = read_mistakes(tmp_path, text)
    assert found.startswith(line)


def test_load_config_reports_each_repetition_of_a_key(tmp_path):
    assert read_mistakes(tmp_path, "seed: 1\nseed: 2\nseed: 3\n") == [
        "2: seed: written twice, first in line 1; keep one",
        "3: seed: written twice, first in line 1; keep one",
    ]


def test_load_config_takes_equal_names_in_different_mappings(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("options: {a: {low: 1e-3}, b: {low: 2}}\nstages: [{a: 1}, {a: 2}]")
    config = load_config(Schema, file, ["seed=1", "seed=2", "inner.rate=1e-3"])
    assert config.options == {"a": {"low": "1e-3"}, "b": {"low": "2"}}
    assert (config.stages, config.seed) == (({"a": "1"}, {"a": "2"}), 2)


def test_load_config_refuses_a_repeated_key_of_a_search_space(tmp_path):
    text = """\
experiment: train_classifier
config: configs/train_classifier/quick.yaml
metric: final.validation.accuracy
space:
  optimizer.learning_rate: {low: 1e-3, high: 1.0, scale: log}
  data.batch_size: {values: [16, 32]}
  optimizer.learning_rate: {low: 1e-4, high: 0.1, scale: log}
"""
    assert read_mistakes(tmp_path, text, SearchConfig) == [
        "7: space.optimizer.learning_rate: written twice, first in line 5; keep one"
    ]
