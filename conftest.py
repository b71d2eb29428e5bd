"""Lets the examples of one file of the library be run alone."""

import contextlib
import importlib
from pathlib import Path

LIBRARY = Path(__file__).parent / "jaxdl"


def pytest_collect_file(file_path):
    """Imports a package before pytest imports one of its files.

    pytest imports the package, which imports the file, and then the file once more: of
    each of its classes there would be two, and what one returns is not the other.
    """
    if LIBRARY in file_path.parents:
        package = file_path.parent.relative_to(LIBRARY.parent)
        # What can't be imported is reported where it is collected.
        with contextlib.suppress(ImportError):
            importlib.import_module(".".join(package.parts))
