import importlib
import pkgutil

import numpy as np
import pytest
from PIL import Image

from jaxdl import report


@pytest.fixture
def figures(monkeypatch):
    """The figures as they were saved, to look into."""
    saved = []
    for info in pkgutil.iter_modules(report.__path__):
        module = importlib.import_module(f"jaxdl.report.{info.name}")
        save = getattr(module, "save_figure", None)
        if save is None or info.name == "figures":
            continue

        def keep(figure, path, save=save):
            saved.append(figure)
            save(figure, path)

        monkeypatch.setattr(module, "save_figure", keep)
    return saved


@pytest.fixture
def path(tmp_path):
    return tmp_path / "figure.png"


@pytest.fixture
def check_png():
    """A function that checks that a file is a picture of more than one colour."""

    def check_png(path):
        with Image.open(path) as image:
            assert image.format == "PNG"
            image.load()
            assert len(np.unique(np.asarray(image.convert("L")))) > 1

    return check_png
