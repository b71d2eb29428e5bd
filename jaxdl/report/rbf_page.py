"""The page about a radial basis function network, from the figures of its run."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxdl.report.page import PageImage, PageSection, write_page

_INTRODUCTION = """
This network embeds an image as a point and measures its distance to a number of
learned centres. Each centre answers with an activation that depends on the distance
alone, and the scores of the classes are weighted sums of the activations. So a
decision can be looked at: which centres are near, and which training images lie there?
"""


class PageFigure(NamedTuple):
    """A kind of figure that the page knows.

    Attributes:
        stem: Of its files: `stem.png`, `stem_3.png`, `stem_anything.gif`.
        title: Of its section.
        text: What it shows and how to read it.
    """

    stem: str
    title: str
    text: str


RBF_FIGURES: tuple[PageFigure, ...] = (
    PageFigure(
        "curves",
        "Training",
        "Loss and accuracy over the epochs. Held-out images tell how well the network "
        "does on what it has not seen; a wide gap to the training images means that it "
        "learned them by heart.",
    ),
    PageFigure(
        "embeddings",
        "Embeddings over training",
        "Each dot is an image, coloured by its class; crosses are centres. All "
        "pictures have the same scale and the same projection onto two directions. "
        "Groups of one colour that move apart, each around a cross, are what training "
        "is meant to do. What looks mixed may still be apart in directions that are "
        "not shown.",
    ),
    PageFigure(
        "neighborhoods",
        "Neighbours over training",
        "The same images by t-SNE, which looks at all directions at once and lays "
        "those next to each other that are near each other. Above are the embeddings, "
        "in which distances to the centres are taken; below the activations, all that "
        "the classes are decided by. Each map starts from the one to its left. Who is "
        "next to whom has a meaning; the size of a group and the distance between two "
        "have none.",
    ),
    PageFigure(
        "center_map",
        "Around a centre",
        "The cross in the middle is one centre. Every image stands exactly as far from "
        "it as the learned metric says; the direction has no meaning, or only sorts "
        "the classes. Circles are labelled with the distance r and the activation h "
        "there, which the background shows too. Frames have the colour of the class; "
        "red frames are test images that have no nearer centre, at their distance "
        "too.\n\n"
        "A good centre has images of one class close to it, and others far outside. "
        "Where there are too many images for the room, a random sample is shown.",
    ),
    PageFigure(
        "decision",
        "Why this class?",
        "Each centre adds its activation times a weight to the score of every class. "
        "The bars compare what the most decisive centres add to the predicted class "
        "and to the runner-up; beside them are the training images nearest to that "
        "centre. The line below accounts for all other centres, so the sums are the "
        "scores.",
    ),
    PageFigure(
        "retrieval",
        "Most and least similar images",
        "For each query on the left, the training images that are nearest and farthest "
        "under the metric, with their distances. A crossed image in a red frame speaks "
        "against the metric: near, but of another class, or far, but of the same "
        "class.",
    ),
    PageFigure(
        "purity",
        "What the centres stand for",
        "Each image belongs to the centre nearest to it. A bar shows the classes of a "
        "centre's images; purity is the share of the most frequent one. Several pure "
        "centres of one class are its sub-groups; a mixed centre lies between classes, "
        "and one without images is not used.",
    ),
    PageFigure(
        "activations",
        "Activations",
        "Rows are images in the order of their classes, columns are centres. Bright "
        "blocks along the diagonal mean that the centres follow the classes. A column "
        "that is bright everywhere tells little.",
    ),
    PageFigure(
        "unknown",
        "Known or unknown?",
        "An image that is far from all centres resembles nothing that was learned. The "
        "histograms show the distance to the nearest centre for images of known "
        "classes and for others. The area under the ROC curve is the chance that an "
        "unknown image lies farther away than a known one: 0.5 is guessing, 1 perfect, "
        "and below 0.5 the unknown images lie nearer.",
    ),
    PageFigure(
        "study",
        "Against a softmax head",
        "Test accuracy of each variant, several seeds each: small dots are single "
        "runs, large ones their mean, bars one deviation. The dashed line and the band "
        "are the softmax head on the same backbone. Differences smaller than the bars "
        "may be chance.",
    ),
)
"""In the order of the page."""


def write_rbf_page(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "A radial basis function network",
    summary: Mapping[str, Any] | None = None,
    captions: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
    extra: Sequence[PageSection] = (),
) -> Path:
    """Writes one HTML file with all the figures of a run that are there.

    Args:
        folder: With figures whose names begin as in `RBF_FIGURES`, and perhaps a
            `summary.json`.
        path: The file to write; by default `report.html` in the folder.
        title: Of the page.
        summary: For the table at the top; by default that of `summary.json`.
        captions: Words below a figure, by the name of its file.
        notes: What the figures of a kind say in this run, by the stem of the kind: a
            paragraph or more below its text. Those of kinds without a figure are left
            out.
        extra: Sections to put after the others.

    Returns:
        The path of the page.

    Raises:
        ValueError: There is no figure and no extra section, a caption is for a file
            that is no figure of the page, or a note for no kind of figure.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from jaxdl.report import plot_purity
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plot_purity(np.eye(2, dtype=int), ["a", "b"], f"{folder}/purity.png")
        ...     write_rbf_page(folder).name
        'report.html'
    """
    folder = Path(folder)
    captions, notes = captions or {}, notes or {}
    found = {figure.stem: _find(folder, figure.stem) for figure in RBF_FIGURES}
    names = {file.name for files in found.values() for file in files}
    unknown = sorted(set(captions) - names)
    if unknown or not (names or extra):
        problem = f"captions for {unknown}" if unknown else "no figure"
        raise ValueError(
            f"write_rbf_page: {problem}, in {folder} are {sorted(names)}, wanted names "
            f"that begin with one of {[figure.stem for figure in RBF_FIGURES]}"
        )
    strange = sorted(set(notes) - set(found))
    if strange:
        raise ValueError(
            f"write_rbf_page: notes for {strange}, wanted some of {list(found)}"
        )
    sections = [
        PageSection(
            figure.title,
            f"{figure.text}\n\n{notes.get(figure.stem, '')}",
            [_describe(file, figure, captions) for file in found[figure.stem]],
        )
        for figure in RBF_FIGURES
        if found[figure.stem]
    ]
    numbers = _read_summary(folder) if summary is None else summary
    target = folder / "report.html" if path is None else Path(path)
    write_page(
        target,
        title=title,
        summary=numbers,
        sections=[*sections, *extra],
        introduction=_INTRODUCTION,
    )
    return target


def _read_summary(folder: Path) -> Mapping[str, Any]:
    file = folder / "summary.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def _find(folder: Path, stem: str) -> list[Path]:
    """The figures of a kind, numbers in their names in the order of numbers."""
    pattern = re.compile(rf"{stem}(_.*)?\.(png|gif|jpg)")
    files = [file for file in folder.iterdir() if pattern.fullmatch(file.name)]
    return sorted(files, key=_sorting_key)


def _sorting_key(file: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", file.stem)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _describe(file: Path, figure: PageFigure, captions: Mapping[str, str]) -> PageImage:
    caption = captions.get(file.name, "")
    rest = file.stem.removeprefix(figure.stem).replace("_", " ").strip()
    alt = ": ".join(part for part in (figure.title, caption or rest) if part)
    return PageImage(file, alt, caption)
