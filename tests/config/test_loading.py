import subprocess
import sys
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, dump_config, load_config
from jaxdl.errors import ConfigError


@dataclass(frozen=True, config=STRICT)
class Inner:
    rate: float = Field(default=0.1, gt=0)
    kind: Literal["linear", "cubic"] = "linear"
    name: str | None = None
    sizes: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    scale: Literal["measured"] | tuple[float, ...] = "measured"
    flag: bool = False


@dataclass(frozen=True, config=STRICT)
class Schema:
    seed: int = Field(default=0, ge=0)
    inner: Inner = Inner()

    def find_conflicts(self):
        if self.seed == 13 and self.inner.flag:
            return [Conflict(("inner.flag", "seed"), "not with seed 13")]
        return []


@dataclass(frozen=True, config=STRICT)
class Demanding:
    size: int


@pytest.fixture
def load(tmp_path):
    """Loads a text as a file, then overrides."""

    def load(text, *overrides):
        file = tmp_path / "config.yaml"
        content = text if isinstance(text, bytes) else text.encode()
        file.write_bytes(content)
        return load_config(Schema, file, overrides)

    return load


def test_load_config_without_file_gives_the_defaults():
    assert load_config(Schema) == Schema()


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "inner:\n", "inner: ~\n", "inner: {}"]
)
def test_load_config_of_nothing_gives_the_defaults(load, text):
    assert load(text) == Schema()


def test_load_config_file_wins_over_defaults_and_override_over_file(load):
    config = load("seed: 1\ninner:\n  rate: 2\n", "inner.rate=3", "inner.kind=cubic")
    assert (config.seed, config.inner.rate, config.inner.kind) == (1, 3.0, "cubic")


def test_load_config_last_override_wins():
    assert load_config(Schema, None, ["seed=1", "seed=2"]).seed == 2


def test_load_config_override_may_be_a_section():
    config = load_config(Schema, None, ["inner={rate: 5, name: a}", "inner.name=b"])
    assert (config.inner.rate, config.inner.name) == (5.0, "b")


def test_load_config_result_is_frozen_and_hashable():
    config = load_config(Schema, None, ["inner.sizes=[1, 2]", "inner.scale=[1, 0.5]"])
    assert hash(config) == hash(
        load_config(Schema, None, ["inner={sizes: [1,2], scale: [1,.5]}"])
    )
    with pytest.raises(AttributeError):
        config.seed = 3


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 1e-3),
        ("1E-3", 1e-3),
        ("1.0e-3", 1e-3),
        ("1e3", 1000.0),
        ("+2.5", 2.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("3", 3.0),
    ],
)
def test_load_config_reads_numbers_as_python_does(load, written, value):
    from_file = load(f"inner: {{rate: {written}}}").inner.rate
    from_override = load("", f"inner.rate={written}").inner.rate
    assert from_file == from_override == value
    assert type(from_file) is type(from_override) is float


@pytest.mark.parametrize(
    "written", ["no", "on", "007", "010", "1:30", "1.10", "true", "2024-01-01", "1e-3"]
)
def test_load_config_takes_text_as_it_is_written(load, written):
    assert load(f"inner:\n  name: {written}\n").inner.name == written
    assert load("", f"inner.name={written}").inner.name == written
    assert load(f"inner:\n  labels: [{written}]\n").inner.labels == (written,)


@pytest.mark.parametrize("written", ["null", "~"])
def test_load_config_null_is_none_unless_quoted(load, written):
    assert load("inner: {name: a}", f"inner.name={written}").inner.name is None
    assert load("", f"inner.name='{written}'").inner.name == written


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\xef\xbb\xbf---\n"])
def test_load_config_accepts_a_byte_order_mark(load, start):
    assert load(start + b"seed: 4\n").seed == 4


def test_load_config_accepts_windows_line_ends(load):
    assert load("seed: 4\r\ninner:\r\n  rate: 2\r\n") == Schema(4, Inner(2.0))


def test_load_config_reports_all_mistakes_in_order_of_place(load, tmp_path):
    with pytest.raises(ConfigError) as error:
        load(
            "seed: -1\nsed: 2\ninner:\n  rate: x\n  rat: 1\n",
            "inner.sizes=[a]",
            "inner.kind=cubik",
        )
    file = tmp_path / "config.yaml"
    assert error.value.exit_status == 2
    assert str(error.value).splitlines() == [
        f"{file}:1: seed: wanted int >= 0, got -1",
        f"{file}:2: sed: unknown key. Did you mean 'seed'?",
        f'{file}:4: inner.rate: wanted float > 0, got "x"',
        f"{file}:5: inner.rat: unknown key. Did you mean 'inner.rate'?",
        'command line: inner.kind: wanted linear or cubic, got "cubik". '
        "Did you mean 'cubic'?",
        'command line: inner.sizes: wanted list of int, got ["a"]',
    ]


def test_load_config_reports_a_conflict_where_it_was_written(load, tmp_path):
    with pytest.raises(ConfigError) as error:
        load("seed: 13\n", "inner.flag=true")
    assert str(error.value) == "command line: inner.flag: not with seed 13"
    with pytest.raises(ConfigError) as error:
        load("seed: 13\ninner:\n  flag: true\n")
    file = tmp_path / "config.yaml"
    assert str(error.value) == f"{file}:3: inner.flag: not with seed 13"


def test_load_config_reports_conflicts_along_with_other_mistakes():
    with pytest.raises(ConfigError) as error:
        load_config(Schema, None, ["seed=13", "inner.flag=true", "inner.rate=0"])
    assert len(error.value.messages) == 2


def test_load_config_reports_no_conflict_of_a_field_that_is_wrong_anyway():
    with pytest.raises(ConfigError) as error:
        load_config(Schema, None, ["seed=13", "inner.flag=yes"])
    assert error.value.messages == (
        'command line: inner.flag: wanted true or false, got "yes"',
    )


def test_load_config_reports_a_missing_field():
    with pytest.raises(ConfigError, match="size: missing; wanted int"):
        load_config(Demanding)
    assert load_config(Demanding, None, ["size=3"]).size == 3


def test_load_config_reports_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="absent.yaml: no such file"):
        load_config(Schema, tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(Schema, tmp_path)
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(Schema, "a\0b.yaml")
    with pytest.raises(ConfigError, match="can't be read: File name too long"):
        load_config(Schema, tmp_path / ("x" * 5000))


def test_load_config_reports_a_file_without_permission(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ConfigError, match="can't be read: Permission denied"):
        load_config(Schema, tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"seed: \xff", ["config.yaml:1:", "not UTF-8"]),
        (b"a: 1\n\nseed: \xff", ["config.yaml:3:", "not UTF-8"]),
        (b"# " + b"x" * 70_000, ["larger than 65536 bytes"]),
        (b"seed: 1\x00", ["special characters are not allowed"]),
        (b'"": 1', ["config.yaml:1: wanted plain names"]),
        (b"inner:\n\trate: 1", ["config.yaml:2:", "cannot start any token"]),
        (b"seed: [1", ["config.yaml:1:", "expected ',' or ']'"]),
        (b"seed: 1\n  rate: 2", ["config.yaml:2:", "mapping values"]),
        (b"- seed", ["wanted sections"]),
        (b"seed", ["wanted sections"]),
        (b"42", ["wanted sections"]),
        (b"a: 1\n---\nb: 2", ["config.yaml:2:", "another document"]),
        (b"seed: &x 1\ninner: {rate: *x}", ["config.yaml:2:", "aliases are refused"]),
        (b"<<: {seed: 1}", ["config.yaml:1: <<: unknown key"]),
        (b"? [a]\n: 1", ["config.yaml:1:", "plain names"]),
        (b"? {a: 1}\n: 1", ["config.yaml:1:", "plain names"]),
        (b"1: 2", ["config.yaml:1: 1: unknown key"]),
        (b'"a\\nb": 2', ['config.yaml:1: "a\\nb": unknown key']),
        (b"seed: " + b"[" * 9_000, ["config.yaml:1:", "nested too deep"]),
        (b"seed: " + b"{a: " * 9_000, ["config.yaml:1:", "nested too deep"]),
        (b"inner: 3", ["config.yaml:1: inner:", "a section with the keys rate, kind"]),
        (b"inner: [rate]", ["config.yaml:1: inner:", "a section"]),
        (b"seed: {rate: 1}", ["config.yaml:1: seed:", 'got {"rate": 1}']),
        (b'inner:\n  name: "a\\tb"', ["config.yaml:2: inner.name:", "printed"]),
        (b'inner:\n  name: "\\ud800"', ["config.yaml:2: inner.name:", "printed"]),
        (b'inner:\n  name: "\\UFFFFFFFF"', ["config.yaml"]),
        (b"seed: .nan", ["seed: wanted int >= 0"]),
        (b"inner: {rate: .inf}", ["inner.rate: wanted float > 0"]),
        (b"inner: {rate: 1e999}", ["inner.rate: wanted float > 0, got Infinity"]),
        (b"seed: 010", ['seed: wanted int >= 0, got "010"']),
        (b"seed: 1:30", ['seed: wanted int >= 0, got "1:30"']),
        (b"seed: 1_000", ['seed: wanted int >= 0, got "1_000"']),
        (b"seed: 0x10", ['seed: wanted int >= 0, got "0x10"']),
        (b"seed: 1.0", ["seed: wanted int >= 0, got 1.0"]),
        (b"seed: true", ["seed: wanted int >= 0, got true"]),
        (b'seed: "3"', ['seed: wanted int >= 0, got "3"']),
        (b"seed: null", ["seed: wanted int >= 0, got null"]),
        (b"seed:", ["seed: wanted int >= 0, got null"]),
        (b"seed: " + b"9" * 5_000, ["seed: wanted int >= 0"]),
        (b"inner: {flag: no}", ['inner.flag: wanted true or false, got "no"']),
        (b"inner: {flag: 1}", ["inner.flag: wanted true or false, got 1"]),
        (b"inner: {name: [a]}", ['inner.name: wanted text or null, got ["a"]']),
        (b"inner: {sizes: 1}", ["inner.sizes: wanted list of int, got 1"]),
        (b"inner: {sizes: [1, 2.5]}", ["inner.sizes: wanted list of int"]),
        (b"inner: {scale: mesured}", ["inner.scale:", "Did you mean 'measured'?"]),
    ],
)
def test_load_config_refuses_in_one_line(load, content, words):
    with pytest.raises(ConfigError) as error:
        load(content)
    assert len(str(error.value).splitlines()) == 1
    for word in words:
        assert word in str(error.value)


_PAYLOADS = [
    "!!python/object/apply:os.system ['touch canary']",
    "!!python/object/new:os.system ['touch canary']",
    "!!python/name:os.system",
    "!!python/name:os.system x",
    "!!python/module:os",
    "!!python/object:os.system {}",
    "!!python/tuple [1]",
    "!!binary aGVsbG8=",
    "!!set {a}",
    "!!timestamp 2024-01-01",
    "!!int abc",
    "!local x",
    "!<tag:example.com,2000:x> y",
    "${oc.env:HOME}",
    "${seed}",
    "a${inner.rate}b",
    "'${env}'",
    "{_target_: 'os.system(touch canary)'}",
    "*alias",
    "__import__('os').system('touch canary')",
    "=os.system",
]


@pytest.mark.parametrize("payload", _PAYLOADS)
def test_load_config_runs_and_fills_in_nothing(load, payload, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for attempt in [
        lambda: load(f"seed: {payload}\n"),
        lambda: load(f"inner: {payload}\n"),
        lambda: load("", f"seed={payload}"),
        lambda: load("", f"inner.rate={payload}"),
    ]:
        with pytest.raises(ConfigError) as error:
            attempt()
        assert len(error.value.messages) == 1
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", ['"seed"', "wanted key=value"]),
        ("seed=", ['"seed="', "wanted key=value"]),
        ("seed= ", ["wanted key=value"]),
        ("=3", ["wanted key=value"]),
        ("", ["wanted key=value"]),
        ("seed:3", ["wanted key=value"]),
        ("sede=3", ["sede: unknown key. Did you mean 'seed'?"]),
        ("rate=3", ["rate: unknown key. Did you mean 'inner.rate'?"]),
        ("innr.rate=3", ["innr.rate: unknown key. Did you mean 'inner.rate'?"]),
        ("seed.x=3", ["seed.x: unknown key"]),
        ("inner.rate.x=3", ["inner.rate.x: unknown key"]),
        ("inner.=3", ["inner.: unknown key"]),
        (".=3", [".: unknown key"]),
        ("inner=3", ["inner: wanted a section with the keys rate, kind"]),
        ("inner.name=#5", ['inner.name: "#5" needs quotes']),
        ("inner.name=@x", ["inner.name: can't read", "try quotes"]),
        ("inner.name='x", ["inner.name: can't read"]),
        ("inner.name=a: b", ['inner.name: wanted text or null, got {"a": "b"}']),
        ("inner={rate: 1, rate: 2}", ["inner.rate: written twice; keep one"]),
        ("inner.name=\udcff", ["inner.name: can't read"]),
        ("x" * 200 + "=1", ["unknown key"]),
        ("a\nb=1", ['"a\\nb": unknown key']),
    ],
)
def test_load_config_refuses_an_override_in_one_line(override, words):
    with pytest.raises(ConfigError) as error:
        load_config(Schema, None, [override])
    (line,) = str(error.value).splitlines()
    assert line.startswith("command line: ")
    for word in words:
        assert word in line


_yaml_characters = st.text("seedinrat:-[]{}&*!|>'\"%@`#,?~.=$\\ \n\t019", max_size=60)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.one_of(st.binary(max_size=80), _yaml_characters.map(str.encode)))
def test_load_config_fuzzed_file_gives_a_config_or_a_config_error(load, content):
    try:
        config = load(content)
    except ConfigError:
        return
    assert load(dump_config(config)) == config


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=40), _yaml_characters), max_size=3))
def test_load_config_fuzzed_overrides_give_a_config_or_a_config_error(words):
    prefixes = ["inner.name=", "inner.labels=", "seed="]
    overrides = [prefix + word for prefix, word in zip(prefixes, words, strict=False)]
    try:
        config = load_config(Schema, None, overrides)
    except ConfigError as error:
        assert str(error)
        assert all(len(message.splitlines()) == 1 for message in error.messages)
    else:
        assert isinstance(config, Schema)


def test_load_config_works_without_importing_jax():
    code = (
        "import sys; from pydantic.dataclasses import dataclass;"
        "from jaxdl.config import STRICT, load_config;"
        "S = dataclass(frozen=True, config=STRICT)(type('S', (),"
        " {'__annotations__': {'a': int}, 'a': 1, '__module__': '__main__'}));"
        "assert load_config(S, None, ['a=2']).a == 2;"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
