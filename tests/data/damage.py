"""Damages files on disk, and checks how they are refused."""

import pytest

from jaxdl.data import load_dataset, load_into_memory
from jaxdl.errors import DataError


def cut(file, size):
    file.write_bytes(file.read_bytes()[:size])


def repack(root, name, change):
    file = root / name
    file.write_bytes(change(file.read_bytes()))


def check_refusal(source, root, expected):
    with pytest.raises(DataError) as caught:
        for part in load_dataset(source, path=root).splits.values():
            load_into_memory(part)
    text = str(caught.value)
    assert expected.format(root=root) in text
    assert "\n" not in text and len(text) < 1000
    assert caught.value.exit_status == 3
