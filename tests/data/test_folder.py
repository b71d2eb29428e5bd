import os
import warnings

import numpy as np
import pytest

from jaxdl.data import load_folder
from jaxdl.errors import DataError


def first_values(split):
    return split.read(np.arange(len(split)))["images"][:, 0, 0, 0].tolist()


def test_load_folder_sorts_classes_and_files(make, tmp_path):
    root = make.write_classes(tmp_path / "pets", ("owl", "Cat", "dog"))
    dataset = load_folder(path=root, image_size=8)
    assert dataset.name == "pets" and list(dataset.splits) == ["train"]
    assert dataset.class_names == ("Cat", "dog", "owl")
    train = dataset.splits["train"]
    assert train.files[:3] == ("Cat/0.png", "Cat/1.png", "dog/0.png")
    assert first_values(train) == [20, 21, 40, 41, 0, 1]
    batch = train.read(np.array([5, 0]))
    assert batch["labels"].dtype == np.int32 and batch["labels"].tolist() == [2, 0]
    assert batch["images"].dtype == np.uint8


def test_load_folder_does_not_depend_on_the_order_of_listing(
    make, tmp_path, monkeypatch
):
    root = make.write_classes(tmp_path / "pets", ("a", "b", "c"))
    expected = load_folder(path=root)
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listdir(path))[::-1])
    reversed_ = load_folder(path=root)
    assert reversed_.class_names == expected.class_names
    assert reversed_.fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_load_folder_reads_split_folders(make, tmp_path, validation):
    for name, count in {"train": 3, validation: 2, "test": 1}.items():
        make.write_classes(tmp_path / "data" / name, num_images=count)
    dataset = load_folder(path=tmp_path / "data")
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 6, "validation": 4, "test": 2}
    assert dataset.splits["validation"].describe(0).endswith(f"{validation}/bird/0.png")
    assert dataset.image_shape == (64, 64, 3)


def test_load_folder_takes_train_as_a_class_among_vehicles(make, tmp_path):
    root = make.write_classes(tmp_path / "vehicles", ("bus", "train"))
    assert load_folder(path=root).class_names == ("bus", "train")


def test_load_folder_takes_extensions_in_any_case(make, tmp_path):
    root = make.write_classes(tmp_path / "data")
    for kind in ("JPG", "jpeg", "Png", "webp"):
        data = make.encode(make.random_pixels(9, 9, 3), "PNG")
        (root / "cat" / f"z.{kind}").write_bytes(data)
    assert len(load_folder(path=root).splits["train"]) == 8


def test_load_folder_reads_odd_names(make, tmp_path):
    root = make.write_classes(tmp_path / "data", ("a b", "ünï\ncode"))
    train = load_folder(path=root, image_size=4).splits["train"]
    assert first_values(train) == [0, 1, 20, 21]
    assert "\n" not in train.describe(2) and "\\n" in train.describe(2)


def test_load_folder_ignores_hidden_files_and_root_notes_silently(make, tmp_path):
    root = make.write_classes(tmp_path / "data")
    (root / "README.md").write_text("about")
    (root / "cat" / ".DS_Store").write_bytes(b"x")
    (root / ".git").mkdir()
    assert len(load_folder(path=root).splits["train"]) == 4


@pytest.mark.parametrize(
    "stray, message",
    [
        ("cat/notes.txt", r"ignored in .*cat: notes\.txt, which are not \.jpg"),
        ("loose.png", r"ignored in .*: loose\.png, which are images outside any class"),
        ("cat/more/1.png", r"ignored in .*cat: more, which"),
    ],
)
def test_load_folder_warns_of_strays(make, tmp_path, stray, message):
    root = make.write_classes(tmp_path / "data")
    (root / stray).parent.mkdir(exist_ok=True)
    (root / stray).write_bytes(b"")
    with pytest.warns(UserWarning, match=message):
        dataset = load_folder(path=root)
    assert len(dataset.splits["train"]) == 4


def test_load_folder_warns_once_of_many_strays(make, tmp_path):
    root = make.write_classes(tmp_path / "data")
    for i in range(5):
        (root / "cat" / f"{i}.txt").write_text("")
    with pytest.warns(UserWarning, match=r"0\.txt, 1\.txt, 2\.txt and 2 more") as seen:
        load_folder(path=root)
    assert len(seen) == 1


def test_load_folder_warns_of_folders_next_to_train(make, tmp_path):
    make.write_classes(tmp_path / "data" / "train")
    make.write_classes(tmp_path / "data" / "extra")
    with pytest.warns(UserWarning, match="extra, which are neither train, val nor"):
        load_folder(path=tmp_path / "data")


def test_load_folder_ignores_links_upwards_and_follows_others(make, tmp_path):
    root = make.write_classes(tmp_path / "data", ("bird",))
    elsewhere = make.write_classes(tmp_path / "more", ("cat",))
    (root / "cat").symlink_to(elsewhere / "cat", target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    (root / "itself").symlink_to(root / "itself")
    (root / "bird" / "loop").symlink_to(root / "bird", target_is_directory=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "ignored in .*bird: loop")
        dataset = load_folder(path=root)
    assert dataset.class_names == ("bird", "cat")
    assert len(dataset.splits["train"]) == 4


def test_folder_fingerprint_follows_names_sizes_and_labels(make, tmp_path):
    root = make.write_classes(tmp_path / "data", ("a", "b"))

    def fingerprint():
        return load_folder(path=root).splits["train"].fingerprint()

    prints = [fingerprint()]
    assert fingerprint() == prints[0]
    (root / "a" / "0.png").rename(root / "a" / "9.png")
    prints.append(fingerprint())
    (root / "a" / "9.png").rename(root / "b" / "9.png")
    prints.append(fingerprint())
    with open(root / "b" / "9.png", "ab") as file:
        file.write(b"x")
    prints.append(fingerprint())
    assert len(set(prints)) == 4


def test_folder_fingerprint_does_not_depend_on_the_place(make, tmp_path):
    first, second = (make.write_classes(tmp_path / name / "data") for name in "ab")
    assert (
        load_folder(path=first).fingerprint() == load_folder(path=second).fingerprint()
    )


def test_folder_split_notices_files_that_go_away(make, tmp_path):
    root = make.write_classes(tmp_path / "data")
    train = load_folder(path=root).splits["train"]
    (root / "cat" / "1.png").unlink()
    expected = r"can't read image: .*cat/1\.png \(class 'cat'\): No such file"
    with pytest.raises(DataError, match=expected):
        train.read(np.array([0, 3]))
    with pytest.raises(DataError, match=expected):
        train.fingerprint()
