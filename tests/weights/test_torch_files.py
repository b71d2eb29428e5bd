"""Files of tensors in PyTorch's layout: each kind, and each kind of trouble."""

import io
import os
import pickle
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxdl.errors import CheckpointError
from jaxdl.weights import from_torch_state, load_torch, read_tensors, save_safetensors
from tests.weights.reference_cases import draw_state

NAME = "resnet8_cifar"


@pytest.fixture(scope="module")
def state():
    return draw_state(NAME)


@pytest.fixture
def files(tmp_path, state):
    """A good file of each format by its suffix; those of PyTorch only if installed."""
    paths = {suffix: tmp_path / f"net{suffix}" for suffix in (".npz", ".safetensors")}
    np.savez(paths[".npz"], **state)
    save_file(state, paths[".safetensors"], metadata={"format": "pt"})
    return paths


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_load_torch_reads_without_pytorch(files, state, suffix, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert_same(load_torch(files[suffix], NAME), from_torch_state(state, NAME))


def test_load_torch_reads_pytorchs_own_files(tmp_path, state):
    torch = pytest.importorskip("torch")
    tensors = {f"module.{k}": torch.from_numpy(a) for k, a in state.items()}
    expected = from_torch_state(state, NAME)
    for suffix in (".pth", ".pt", ".th", ".bin"):
        path = tmp_path / f"net{suffix}"
        torch.save({"state_dict": tensors, "best_prec1": 91.7}, path)
        assert_same(load_torch(path, NAME), expected)


def test_load_torch_never_runs_code(tmp_path, state):
    torch = pytest.importorskip("torch")

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "net.pth"
    torch.save({"state_dict": {"x": Bomb()}}, path)
    with pytest.raises(CheckpointError, match="more than tensors"):
        load_torch(path, NAME)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="net.pth"):
        load_torch(path, NAME)
    assert not (tmp_path / "ran").exists()


def test_load_torch_refuses_what_is_no_state_dict(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pth"
    torch.save(torch.zeros(3), path)
    with pytest.raises(CheckpointError, match="holds a Tensor, wanted a state_dict"):
        load_torch(path, NAME)


@pytest.mark.parametrize("damage", ["cut", "text"])
def test_damaged_pytorch_file_gives_one_line(tmp_path, state, damage):
    torch = pytest.importorskip("torch")
    path = tmp_path / "net.pth"
    torch.save({key: torch.from_numpy(a) for key, a in state.items()}, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"text" * 9)
    check_refused(path, "no PyTorch file, or a damaged one")


def check_refused(path, *words):
    with pytest.raises(CheckpointError) as error:
        load_torch(path, NAME)
    message = str(error.value)
    assert message.startswith(str(path)) and len(message.splitlines()) == 1, message
    for word in words:
        assert word in message


def test_pytorch_file_without_pytorch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "net.pth"
    path.write_bytes(b"PK\x03\x04")
    check_refused(path, "pip install 'jaxdl[torch]'", ".safetensors", ".npz")


def test_pytorch_is_asked_for_weights_only(tmp_path, monkeypatch):
    calls = []
    load = lambda path, **options: calls.append(options) or {"x": np.ones(1)}
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load))
    path = tmp_path / "net.pth"
    path.write_bytes(b"PK\x03\x04")
    assert list(read_tensors(path)) == ["x"]
    assert calls == [{"map_location": "cpu", "weights_only": True}]


def with_object(content):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([{}], object))
    return buffer.getvalue()


def with_flipped_bit(content):
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    return bytes(changed)


DAMAGE = {
    "cut short": (lambda c: c[:-50], "or a damaged one"),
    "empty": (lambda c: b"", "is empty"),
    "web page": (lambda c: b"\n<!DOCTYPE html><html>404</html>", "is a web page"),
    "page without type": (lambda c: b"<HTML><body>log in</body>", "is a web page"),
    "pointer": (
        lambda c: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "is a Git LFS pointer",
    ),
    "text": (lambda c: b"some text " * 20, "or a damaged one"),
}
NPZ_DAMAGE = {
    "one array": (lambda c: npy_bytes(), "one array without a name"),
    "pickle": (lambda c: pickle.dumps({"a": 1}), "or a damaged one"),
    "objects": (with_object, "Object arrays cannot be loaded"),
    "flipped bit": (with_flipped_bit, "or a damaged one"),
}


def npy_bytes():
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(suffix, damage) for suffix in (".npz", ".safetensors") for damage in DAMAGE]
    + [(".npz", damage) for damage in NPZ_DAMAGE],
)
def test_damaged_file_gives_one_line(files, suffix, damage):
    change, words = (DAMAGE | NPZ_DAMAGE)[damage]
    path = files[suffix]
    path.write_bytes(change(path.read_bytes()))
    check_refused(path, words)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
def test_missing_file_gives_one_line(tmp_path, suffix):
    check_refused(tmp_path / f"no{suffix}", "No such file or directory")
    (tmp_path / f"folder{suffix}").mkdir()
    check_refused(tmp_path / f"folder{suffix}", "Is a directory")


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".h5", ".npy", ""])
def test_other_formats_are_refused(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(pickle.dumps({"a": 1}))
    check_refused(path, f"unknown format '{suffix}'", "other pickles can run code")


def test_file_of_our_own_points_to_its_reader(tmp_path):
    path = tmp_path / "net.safetensors"
    save_safetensors(path, {"params": {"x": np.ones(1)}}, model_name=NAME)
    check_refused(path, "load_safetensors reads it")


def test_misfit_names_the_file(files):
    with pytest.raises(CheckpointError) as error:
        load_torch(files[".npz"], "resnet18")
    assert str(error.value).startswith(f"{files['.npz']}: the tensors are not those of")


def test_load_torch_passes_its_options_on(files, state):
    key = jax.random.key(0)
    loaded, report = load_torch(
        files[".npz"], NAME, strict=False, num_classes=3, key=key
    )
    assert loaded["params"]["head"]["bias"].shape == (3,)
    assert set(report.kept) == {"params/head/bias", "params/head/kernel"}
    with pytest.raises(ValueError, match="unknown model_name"):
        load_torch(files[".npz"], "resnet21")
    with pytest.raises(ValueError, match="strict=False needs"):
        load_torch(files[".npz"], NAME, strict=False)


@pytest.mark.parametrize("name", ["resnet20-12fca82f", "resnet56-4bfd9763"])
def test_original_files_equal_their_copies(data_dir, name):
    pytest.importorskip("torch")
    folder = Path(data_dir) / "resnet_cifar10_weights"
    short = name.partition("-")[0]
    a = load_torch(folder / f"{name}.th", f"{short}_cifar")
    assert_same(a, load_torch(folder / f"{short}.npz", f"{short}_cifar"))
