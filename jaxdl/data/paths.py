"""Where a dataset lies, and how its paths look in a message."""

import os
from pathlib import Path

from jaxdl.errors import DataError

DATA_DIR_VARIABLE = "JAXDL_DATA_DIR"


def resolve_path(path: str | os.PathLike[str]) -> Path:
    """Finds a dataset's file or folder, as given or under `$JAXDL_DATA_DIR`.

    Args:
      path: Absolute, relative to the working directory, or relative to the
        folder that the environment variable `JAXDL_DATA_DIR` names; `~` is
        expanded. The working directory wins.

    Returns:
      A path that exists.

    Raises:
      DataError: Nothing exists at any of the places tried (all are named).

    Example:
      >>> resolve_path("/").is_dir()
      True
    """
    as_given = Path(path).expanduser()
    tried = [as_given.absolute()]
    data_dir = os.environ.get(DATA_DIR_VARIABLE)
    if data_dir and not as_given.is_absolute():
        tried.append(Path(data_dir).expanduser().absolute() / as_given)
    for candidate in tried:
        # os.path.exists, unlike Path.exists, also survives a NUL or a path too long.
        if os.path.exists(candidate):
            return candidate
    places = " and ".join(show_path(candidate) for candidate in tried)
    hint = "" if data_dir else f" (${DATA_DIR_VARIABLE} is not set)"
    raise DataError(f"no such file or folder: tried {places}{hint}")


def require_path(
    path: str | os.PathLike[str] | None, *, source: str, wanted: str
) -> Path:
    """Resolves the path of a source that can't do without one.

    Args:
      path: As the user gave it, or None.
      source: The source's name, for the message.
      wanted: What the path should lead to, for the message.

    Returns:
      A path that exists.

    Raises:
      DataError: The path is None, or nothing exists there.

    Example:
      >>> require_path("/", source="folder", wanted="a folder").is_dir()
      True
    """
    if path is None:
        raise DataError(f"source {source!r} needs a path: {wanted}")
    return resolve_path(path)


def show_path(path: str | os.PathLike[str]) -> str:
    r"""A path as one line of text, whatever characters are in it.

    Example:
      >>> show_path("cats/1.jpg")
      'cats/1.jpg'
      >>> print(show_path("cats/new\nline.jpg"))
      'cats/new\nline.jpg'
    """
    text = str(path)
    return text if text.isprintable() else repr(text)


def show_reason(error: BaseException) -> str:
    """An exception's message as one line, or its type when it has none.

    Example:
      >>> show_reason(OSError(2, "No such file or directory", "a.png"))
      'No such file or directory'
      >>> show_reason(EOFError())
      'EOFError'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
