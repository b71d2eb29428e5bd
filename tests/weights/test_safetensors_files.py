"""Our own files: the same bits back, and one line for every kind of damage."""

import json
import os

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxdl.errors import CheckpointError
from jaxdl.trees import named_leaves
from jaxdl.weights import load_safetensors, read_safetensors_header, save_safetensors

CONFIG = {"step": 3, "mean": [0.5], "name": "Füße", "none": None}


@pytest.fixture
def variables():
    generator = np.random.default_rng(0)
    draw = lambda *shape: generator.standard_normal(shape).astype(np.float32)
    return {
        "params": {
            "conv": {"kernel": jnp.asarray(draw(3, 3, 2, 4)), "bias": jnp.zeros(4)},
            "head": {"kernel": jnp.asarray(draw(4, 2)).astype(jnp.bfloat16)},
        },
        "batch_stats": {"norm": {"mean": jnp.asarray([0.1, jnp.nan, -0.0, jnp.inf])}},
    }


@pytest.fixture
def file(tmp_path, variables):
    path = tmp_path / "net.safetensors"
    save_safetensors(path, variables, model_name="net", config=CONFIG)
    return path


def test_round_trip_is_bit_exact(file, variables):
    saved = load_safetensors(file)
    assert saved.model_name == "net" and saved.config == CONFIG
    before, after = named_leaves(variables), named_leaves(saved.variables)
    assert before.keys() == after.keys()
    for path, leaf in after.items():
        assert isinstance(leaf, jax.Array) and leaf.dtype == before[path].dtype, path
        assert leaf.shape == before[path].shape
        assert np.asarray(leaf).tobytes() == np.asarray(before[path]).tobytes(), path


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "int16", "int32", "uint32", "float16", "bfloat16"]
    + ["float32", "complex64"],
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_round_trip_keeps_dtype_and_shape(tmp_path, dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"params": {"x": array}}, model_name="net")
    leaf = load_safetensors(path).variables["params"]["x"]
    assert leaf.dtype == array.dtype and leaf.shape == shape
    assert np.asarray(leaf).tobytes() == array.tobytes()


def test_arrays_in_another_order_of_axes_are_kept(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"params": {"x": array}}, model_name="net")
    leaf = load_safetensors(path).variables["params"]["x"]
    np.testing.assert_array_equal(leaf, array)


def test_sharded_arrays_are_written_whole(tmp_path):
    mesh = jax.make_mesh((8,), ("data",))
    sharding = jax.NamedSharding(mesh, jax.P("data"))
    array = jax.device_put(np.arange(16, dtype=np.float32), sharding)
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"params": {"x": array}}, model_name="net")
    np.testing.assert_array_equal(load_file(path)["params/x"], np.arange(16))


def test_file_is_readable_by_others(file, variables):
    arrays = load_file(file)
    assert set(arrays) == set(named_leaves(variables))
    assert arrays["params/head/kernel"].dtype == ml_dtypes.bfloat16


def test_header_is_read_without_the_arrays(file):
    header = read_safetensors_header(file)
    assert header == ("net", CONFIG)
    save_safetensors(file, {"params": {"x": np.ones(1)}}, model_name="line")
    assert read_safetensors_header(file) == ("line", None)


def test_failed_write_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match="could not be written.*No space left"):
        save_safetensors(file, {"params": {"x": np.ones(1)}}, model_name="net")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_missing_folder_gives_one_line(tmp_path):
    path = tmp_path / "no" / "x.safetensors"
    with pytest.raises(CheckpointError) as error:
        save_safetensors(path, {"params": {"x": np.ones(1)}}, model_name="net")
    assert str(path) in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "config", "message"),
    [
        ({}, None, "no variables"),
        ({"params": {}}, None, "params: can't keep dict"),
        ({"params": {"a/b": np.ones(1)}}, None, "a/b: .* without a slash"),
        ({"params": {"": np.ones(1)}}, None, "names as keys"),
        ({"params": [np.ones(1)]}, None, "params/0: wanted dictionaries"),
        ({"params": {1: np.ones(1)}}, None, "params/1: wanted dictionaries"),
        ({"params": {"x": 1.0}}, None, "params/x: can't keep float"),
        ({"params": {"x": np.array(["a"])}}, None, "params/x: can't keep <U1"),
        ({"params": {"x": np.ones(1)}}, {"x": object()}, "config is not JSON"),
        ({"params": {"x": np.ones(1)}}, {"x": float("nan")}, "config is not JSON"),
    ],
)
def test_save_safetensors_refuses(tmp_path, variables, config, message):
    path = tmp_path / "x.safetensors"
    with pytest.raises(ValueError, match=message):
        save_safetensors(path, variables, model_name="net", config=config)
    assert not path.exists()


def test_save_safetensors_refuses_keys(tmp_path):
    with pytest.raises(ValueError, match=r"params/x: can't keep key<fry>"):
        save_safetensors(
            tmp_path / "x", {"params": {"x": jax.random.key(0)}}, model_name="net"
        )


def header_of(**changes):
    header = {"format": "jaxdl", "format_version": "1"}
    header |= {"model_name": "net", "config": "null", **changes}
    return {key: value for key, value in header.items() if value is not None}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (header_of(format="pt"), "was not written by save_safetensors; load_torch"),
        (None, "was not written by save_safetensors"),
        (header_of(format_version="2"), "header is damaged .*format_version 2"),
        (header_of(model_name=None), "header has no 'model_name'"),
        (header_of(config=None), "header has no 'config'"),
        (header_of(config="{"), "header is damaged"),
        (header_of(config=json.dumps([1])), "config is no JSON object"),
    ],
)
def test_load_safetensors_checks_the_header(tmp_path, header, message):
    path = tmp_path / "x.safetensors"
    save_file({"params/x": np.ones(1, np.float32)}, path, metadata=header)
    with pytest.raises(CheckpointError, match=message) as error:
        load_safetensors(path)
    assert str(error.value).startswith(str(path))


def test_load_safetensors_refuses_to_narrow_numbers(tmp_path):
    path = tmp_path / "x.safetensors"
    save_safetensors(path, {"params": {"x": np.ones(1)}}, model_name="net")
    with pytest.raises(CheckpointError, match="params/x is float64.*jax_enable_x64"):
        load_safetensors(path)


DAMAGE = {
    "cut short": lambda content: content[:-5],
    "cut in the header": lambda content: content[:40],
    "empty": lambda content: b"",
    "text": lambda content: b"<html>not found</html>" * 9,
    "longer": lambda content: content + b"more",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file_gives_one_line(file, damage):
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    with pytest.raises(CheckpointError) as error:
        load_safetensors(file)
    assert str(error.value).startswith(f"{file}: no safetensors file")
    assert len(str(error.value).splitlines()) == 1
