import math

import numpy as np
import pytest

from jaxdl.config import describe_fields, dump_config, load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes.search_config import SearchConfig
from jaxdl.recipes.search_space import (
    Dimension,
    read_space,
    sample_trials,
    write_override,
)

SPACE = {
    "rate": Dimension(low=1e-3, high=1.0, scale="log"),
    "decay": Dimension(low=-2.0, high=6.0),
    "width": Dimension(low=4, high=64, scale="log", integer=True),
    "depth": Dimension(low=-1, high=2, integer=True),
    "kind": Dimension(values=("a", None, 3, [1, 2])),
}
MANY = 4000


@pytest.fixture(scope="module")
def columns():
    trials = sample_trials(SPACE, num_trials=MANY, seed=3)
    return {key: [trial[key] for trial in trials] for key in SPACE}


def assert_uniform(places):
    """Moments of a uniform distribution in [0, 1], within four deviations."""
    assert abs(np.mean(places) - 1 / 2) < 4 * math.sqrt(1 / 12 / MANY)
    assert abs(np.var(places) - 1 / 12) < 4 * math.sqrt(1 / 180 / MANY)
    assert 0 <= min(places) < 0.01 and 0.99 < max(places) <= 1


def test_sample_trials_draws_evenly_on_either_scale(columns):
    assert_uniform((np.log10(columns["rate"]) + 3) / 3)
    assert_uniform((np.array(columns["decay"]) + 2) / 8)


@pytest.mark.parametrize(
    ("key", "chances"),
    [
        ("width", {k: math.log((k + 1) / k, 65 / 4) for k in range(4, 65)}),
        ("depth", dict.fromkeys([-1, 0, 1, 2], 1 / 4)),
        ("kind", dict.fromkeys(["'a'", "None", "3", "[1, 2]"], 1 / 4)),
    ],
)
def test_sample_trials_draws_whole_numbers_and_values_by_their_chances(
    columns, key, chances
):
    found = [repr(v) for v in columns[key]] if key == "kind" else columns[key]
    assert set(found) <= set(chances)
    for value, chance in chances.items():
        deviation = math.sqrt(chance * (1 - chance) / MANY)
        assert abs(found.count(value) / MANY - chance) < 4.5 * deviation, value
    if key != "kind":
        assert {type(value) for value in found} == {int}


def test_sample_trials_draws_keys_independently(columns):
    places = [np.log(columns["rate"]), columns["decay"], columns["depth"]]
    off_diagonal = np.corrcoef(places)[np.triu_indices(3, 1)]
    assert np.abs(off_diagonal).max() < 4 / math.sqrt(MANY)


def test_sample_trials_is_a_function_of_seed_trial_and_key():
    trials = sample_trials(SPACE, num_trials=5, seed=0)
    assert trials == sample_trials(SPACE, num_trials=5, seed=0)
    assert trials == sample_trials(SPACE, num_trials=50, seed=0)[:5]
    assert trials != sample_trials(SPACE, num_trials=5, seed=1)
    backwards = {key: SPACE[key] for key in reversed(SPACE)}
    assert trials == sample_trials(backwards, num_trials=5, seed=0)
    (alone,) = sample_trials({"rate": SPACE["rate"]}, num_trials=1, seed=0)
    assert alone["rate"] == trials[0]["rate"]
    assert sample_trials(SPACE, num_trials=0, seed=0) == []


@pytest.mark.parametrize("place", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("key", SPACE)
def test_draw_stays_between_the_ends(key, place):
    dimension = SPACE[key]
    value = dimension.draw(place)
    if dimension.values:
        assert value in dimension.values
    else:
        assert dimension.low <= value <= dimension.high
        ends = {0.0: dimension.low, 1 - 2**-53: dimension.high}
        if place in ends:
            assert value == pytest.approx(ends[place], rel=1e-12)


def test_to_number_tells_equal_values_of_other_types_apart():
    dimension = Dimension(values=(1, True, "1", None))
    assert [dimension.to_number(value) for value in dimension.values] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "value",
    [0.1, 1e-300, 1e16, 3, True, None, "relu", "null", "True", "1e-3", "#5", "a: b"]
    + [
        "tfds:mnist",
        "2 epochs",
        "größe 😀",
        'say "no"',
        "",
        [1, "x", [None]],
        {"a": 1},
    ],
)
def test_write_override_reads_back(value):
    word = write_override("space", {"key": value})
    with pytest.raises(ConfigError):  # a space of anything is none, but it is read
        load_config(SearchConfig, None, [word, "metric=''"])
    word = write_override("overrides", {"key": value})
    config = load_config(SearchConfig, None, [word, "space={a: {values: [1]}}"])
    assert config.overrides == {"key": value}
    assert type(config.overrides["key"]) is type(value)


@pytest.mark.parametrize("text", ["relu", "tfds:mnist", "a/b-c_d.e+1"])
def test_write_override_leaves_plain_words_without_quotes(text):
    assert write_override("key", text) == f"key={text}"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (5, "a: wanted {low, high} or {values}, got 5"),
        ({}, "a: values: wanted values, or low and high"),
        ({"low": 1}, "a: low: wanted values, or low and high"),
        ({"values": []}, "a: values: wanted values, or low and high"),
        ({"lwo": 1, "values": [1]}, "a: lwo: unknown key. Did you mean 'low'?"),
        ({"low": "x", "high": 2}, 'a: low: wanted float or null, got "x"'),
        ({"low": 2, "high": 1}, "a: low: 2 is not below high, 1"),
        ({"low": 1, "high": 1}, "a: low: 1 is not below high, 1"),
        (
            {"low": 0, "high": 1, "scale": "log"},
            "a: low: a log scale needs numbers above 0, got 0",
        ),
        (
            {"low": 1, "high": 2, "scale": "logarithmic"},
            'a: scale: wanted linear or log, got "logarithmic"',
        ),
        (
            {"low": 1, "high": 2.5, "integer": True},
            "a: high: wanted a whole number, got 2.5",
        ),
        ({"values": [1], "high": 2}, "a: high: goes with low and high, not with val"),
        ({"values": [1], "scale": "log"}, "a: scale: goes with low and high, not"),
        ({"values": ["x", "x", 1]}, 'a: values: has "x" more than once'),
    ],
)
def test_read_space_refuses_in_one_line(entry, message):
    with pytest.raises(ConfigError) as error:
        read_space({"ok": {"values": [1]}, "a": entry})
    assert len(error.value.messages) == 1
    assert str(error.value).startswith(message)


SPACE_TEXT = "space={optimizer.learning_rate: {low: 0.001, high: 1}}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "space: is empty, wanted a key to vary"),
        (["space={a: 5}"], "space: a: wanted {low, high}"),
        (["space={run.name: {values: [x]}}"], "space: run.name: is set by the search"),
        ([SPACE_TEXT, "overrides={run: {folder: x}}"], "overrides: run.folder: is set"),
        (
            [SPACE_TEXT, "overrides={optimizer: {learning_rate: 1}}"],
            "overrides: optimizer.learning_rate: each trial has its own, see space",
        ),
        ([SPACE_TEXT, "run.num_trials=0"], "run.num_trials: wanted int >= 1, got 0"),
        ([SPACE_TEXT, "goal=max"], "goal: wanted maximise or minimise"),
        (["space=7"], "space: wanted dict, got 7"),
    ],
)
def test_search_config_refuses_in_one_line(words, message):
    with pytest.raises(ConfigError) as error:
        load_config(SearchConfig, None, words)
    assert len(error.value.messages) == 1
    assert message in str(error.value)


def test_search_config_round_trips_and_documents_its_fields(tmp_path):
    words = ["space={a: {low: 1e-05, high: 1e+20}, b: {values: [null, '1e-3', true]}}"]
    config = load_config(SearchConfig, None, words)
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(SearchConfig, tmp_path / "config.yaml") == config
    assert config.metric.split(".")[1] == "validation"
    for field in describe_fields(SearchConfig):
        assert field.doc.endswith(".") and len(field.doc) < 80, field.key
