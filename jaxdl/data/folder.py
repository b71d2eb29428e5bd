"""Folders of images, one sub-folder per class."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from jaxdl.data.dataset import Dataset
from jaxdl.data.image import check_image_size, decode_image
from jaxdl.data.paths import require_path, show_path, show_reason
from jaxdl.data.split import check_indices
from jaxdl.errors import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
DEFAULT_IMAGE_SIZE = 64
_SPLIT_FOLDERS = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


class FolderSplit:
    """A split whose images are files, decoded each time they are read.

    Example:
      >>> from PIL import Image
      >>> import tempfile
      >>> root = Path(tempfile.mkdtemp())
      >>> (root / "cat").mkdir()
      >>> Image.new("RGB", (9, 9)).save(root / "cat" / "1.png")
      >>> split = FolderSplit(root, ["cat/1.png"], [0], ("cat",), image_size=8)
      >>> split.read(np.array([0]))["images"].shape
      (1, 8, 8, 3)
    """

    def __init__(
        self,
        root: Path,
        files: Sequence[str],
        labels: Sequence[int],
        class_names: Sequence[str],
        *,
        image_size: int,
    ):
        """Keeps the list; no file is opened yet.

        Args:
          root: The folder that the files are relative to.
          files: One path per example.
          labels: One class per example, in [0, len(class_names)).
          class_names: For messages.
          image_size: Height and width of the images, in pixels.

        Raises:
          ValueError: image_size is below 1.
        """
        check_image_size(image_size)
        self.root = root
        self.files = tuple(files)
        self.labels = np.array(labels, np.int32)
        self.class_names = tuple(class_names)
        self.image_shape = (image_size, image_size, 3)
        self.num_bytes = len(self.files) * image_size * image_size * 3

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Integer[np.ndarray, "batch"]) -> dict[str, np.ndarray]:
        """Decodes the files one after another; see `Split.read`."""
        indices = check_indices(indices, len(self), name=show_path(self.root))
        images = np.empty((len(indices), *self.image_shape), np.uint8)
        for row, index in enumerate(indices):
            images[row] = self._decode(int(index))
        return {"images": images, "labels": self.labels[indices]}

    def describe(self, index: int) -> str:
        """The file's path."""
        return show_path(self.root / self.files[index])

    def fingerprint(self) -> str:
        """The SHA-256 of all relative paths, sizes in bytes, and labels."""
        digest = hashlib.sha256()
        for index in sorted(range(len(self)), key=self.files.__getitem__):
            try:
                size = os.stat(self.root / self.files[index]).st_size
            except OSError as error:
                where, reason = self._locate(index), show_reason(error)
                raise DataError(f"can't read image: {where}: {reason}") from None
            name = self.files[index]
            digest.update(f"{name!r} {size} {self.labels[index]}\n".encode())
        return digest.hexdigest()

    def _decode(self, index: int) -> np.ndarray:
        where = self._locate(index)
        try:
            data = (self.root / self.files[index]).read_bytes()
        except OSError as error:
            reason = show_reason(error)
            raise DataError(f"can't read image: {where}: {reason}") from None
        return decode_image(data, image_size=self.image_shape[0], where=where)

    def _locate(self, index: int) -> str:
        class_name = self.class_names[self.labels[index]]
        return f"{self.describe(index)} (class {class_name!r})"


def load_folder(
    *, path: str | os.PathLike[str] | None = None, image_size: int | None = None
) -> Dataset:
    """Lists a folder of JPEG, PNG and WebP images in class sub-folders.

    The classes are the sub-folders' names, sorted. Files are taken by extension, in
    any case, sorted by name; hidden files are ignored silently, others and folders
    inside a class with a warning.

    Args:
      path: Holds either one folder per class, or `train` and maybe `val` (or
        `validation`) and `test`, each with the same class folders.
      image_size: Height and width that images are resized and cropped to, in
        pixels; 64 when None.

    Returns:
      The splits that are there, or train alone; RGB.

    Raises:
      DataError: No path, no class folders, a single or an empty class, classes that
        differ between splits, or a folder that can't be listed.
      ValueError: image_size is below 1.

    Example:
      >>> load_folder()
      Traceback (most recent call last):
      jaxdl.errors.DataError: source 'folder' needs a path: a folder with one \
sub-folder of images per class
    """
    wanted = "a folder with one sub-folder of images per class"
    root = require_path(path, source="folder", wanted=wanted)
    size = DEFAULT_IMAGE_SIZE if image_size is None else image_size
    check_image_size(size)
    splits, classes = {}, {}
    for name, folder in _find_splits(root).items():
        classes[name], files, labels = _list_classes(folder)
        splits[name] = FolderSplit(
            folder, files, labels, classes[name], image_size=size
        )
        _check_same_classes(root, classes, name)
    return Dataset(root.absolute().name, splits, classes["train"])


def _find_splits(root: Path) -> dict[str, Path]:
    """Maps split names to folders; {"train": root} when there are only classes."""
    folders = _list_folders(root)
    # "train" may be a class too, next to "bus" and "car": it then holds no folders.
    only_splits = set(folders) <= set(_SPLIT_FOLDERS)
    if "train" not in folders or not (only_splits or _list_folders(root / "train")):
        if folders and only_splits:
            raise DataError(
                f"no train folder in {show_path(root)}, only {', '.join(folders)}"
            )
        return {"train": root}
    if {"val", "validation"} <= set(folders):
        raise DataError(f"both val and validation in {show_path(root)}: keep one")
    others = [name for name in folders if name not in _SPLIT_FOLDERS]
    _warn_ignored(root, others, "are neither train, val nor test")
    return {
        split: root / name for name, split in _SPLIT_FOLDERS.items() if name in folders
    }


def _list_classes(folder: Path) -> tuple[tuple[str, ...], list[str], list[int]]:
    class_names = _list_folders(folder)
    if not class_names:
        raise DataError(
            f"no class folders in {show_path(folder)}: it needs one sub-folder of "
            "images per class"
        )
    if len(class_names) == 1:
        raise DataError(
            f"a single class folder, {class_names[0]!r}, in {show_path(folder)}: "
            "nothing to tell apart"
        )
    strays = [name for name in _list_names(folder) if _is_image(name)]
    loose = [name for name in strays if name not in class_names]
    _warn_ignored(folder, loose, "are images outside any class folder")
    files, labels = [], []
    for label, class_name in enumerate(class_names):
        names = _list_images(folder / class_name)
        files += [f"{class_name}/{name}" for name in names]
        labels += [label] * len(names)
    return tuple(class_names), files, labels


def _list_images(folder: Path) -> list[str]:
    names = _list_names(folder)
    inner = set(_list_folders(folder))
    images = [name for name in names if _is_image(name) and name not in inner]
    if not images:
        hint = " (folders inside a class are not searched)" if inner else ""
        raise DataError(f"empty class folder: {show_path(folder)} has no images{hint}")
    others = sorted(set(names) - set(images))
    _warn_ignored(folder, others, f"are not {', '.join(EXTENSIONS)}")
    return images


def _list_names(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        reason = show_reason(error)
        raise DataError(f"can't list folder {show_path(folder)}: {reason}") from None
    return sorted(name for name in names if not name.startswith("."))


def _list_folders(folder: Path) -> list[str]:
    """Sub-folders by name; a link to the folder itself or above it is no class."""
    inside = os.path.realpath(folder)
    folders = []
    for name in _list_names(folder):
        path = folder / name
        if os.path.isdir(path):
            target = os.path.realpath(path)
            if os.path.commonpath([inside, target]) != target:
                folders.append(name)
    return folders


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _check_same_classes(
    root: Path, classes: dict[str, tuple[str, ...]], name: str
) -> None:
    missing = sorted(set(classes["train"]) - set(classes[name]))
    added = sorted(set(classes[name]) - set(classes["train"]))
    if missing or added:
        facts = [f"{name} lacks {', '.join(missing)}"] if missing else []
        facts += [f"{name} adds {', '.join(added)}"] if added else []
        raise DataError(
            f"class folders of train and {name} differ in {show_path(root)}: "
            + "; ".join(facts)
        )


def _warn_ignored(folder: Path, names: Sequence[str], reason: str) -> None:
    if names:
        shown = ", ".join(show_path(name) for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        # stacklevel: load_folder's caller, by way of the functions above.
        warnings.warn(
            f"ignored in {show_path(folder)}: {shown}{more}, which {reason}",
            stacklevel=4,
        )
