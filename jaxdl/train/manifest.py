"""The last file written into a checkpoint: what it holds, and the proof of it.

Orbax restores flipped bits without a word, so every file's SHA-256 is kept here and
checked before anything is restored. A folder without a manifest was never finished.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

MANIFEST_NAME = "manifest.json"


def write_json(path: Path, value: Any) -> None:
    """Replaces a JSON file at once: a reader sees the old one or the new one.

    Args:
      path: the file to replace.
      value: what `json.dumps` takes, without NaN or infinity.
    """
    text = json.dumps(value, indent=1, allow_nan=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_folder(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder except its manifest, by relative path."""
    return {
        str(path.relative_to(folder)): hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_NAME
    }


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Hashes a folder's files and commits them with `content` as its manifest."""
    for path in folder.rglob("*"):
        if path.is_file():
            _sync(path)
    _write_sealed(folder, {**content, "files": hash_folder(folder)})


def update_manifest(folder: Path, **changes: Any) -> None:
    """Replaces entries of a manifest; the files keep the hashes they were sealed with.

    Raises:
      ValueError: see `read_manifest`.
    """
    _write_sealed(folder, {**read_manifest(folder), **changes})


def read_manifest(folder: Path) -> dict[str, Any]:
    """A folder's manifest, checked against its own digest.

    Raises:
      ValueError: it is missing, is not JSON, or was changed.
    """
    path = folder / MANIFEST_NAME
    try:
        content = json.loads(path.read_text())
        digest = content.pop("sha256")
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{path}: unreadable ({error})") from None
    if digest != _digest(content):
        raise ValueError(f"{path}: its sha256 differs")
    return content


def verify_folder(folder: Path) -> dict[str, Any]:
    """A folder's manifest, after every file has been checked against it.

    Raises:
      ValueError: names the first file that is missing, unreadable or different.
    """
    manifest = read_manifest(folder)
    for name, digest in manifest["files"].items():
        path = folder / name
        try:
            found = hash_file(path)
        except FileNotFoundError:
            raise ValueError(f"{path}: missing") from None
        except OSError as error:
            raise ValueError(f"{path}: unreadable ({error})") from None
        if found != digest:
            raise ValueError(f"{path}: its sha256 differs")
    return manifest


def _write_sealed(folder: Path, body: dict[str, Any]) -> None:
    write_json(folder / MANIFEST_NAME, {**body, "sha256": _digest(body)})


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
