"""Figures of a trained head: around its centres, similar images, decisions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxdl.data import Split
from jaxdl.layers import RADIAL_KERNELS, RBFHead, RBFParts
from jaxdl.recipes.rbf_config import RBFReportSection
from jaxdl.recipes.rbf_scores import Described, measure_distances
from jaxdl.report import (
    QueryImage,
    RadialProfile,
    plot_center_map,
    plot_decision,
    plot_retrieval,
)

_CLOSEST = 4
"""Training images that stand for a centre that decided."""


class Examples(NamedTuple):
    """Images and what the network says of them, in the same order.

    Attributes:
      split: the images.
      described: one row per image.
    """

    split: Split
    described: Described

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at these rows."""
        return self.split.read(rows)["images"]


class HeadFigures(NamedTuple):
    """What the figures of a head are made of.

    Attributes:
      path: the folder to draw into.
      head: the layer.
      parts: its parameters, on the host.
      train: training images to place, to find, to stand for centres.
      test: the test split.
      class_names: one per class.
    """

    path: Path
    head: RBFHead
    parts: RBFParts
    train: Examples
    test: Examples
    class_names: Sequence[str]

    def draw(self, section: RBFReportSection, *, seed: int) -> None:
        """Draws all of them.

        Args:
          section: how many, and how.
          seed: of angles, and of the choice among too many images.
        """
        images = self.train.read(np.arange(len(self.train.described.label)))
        self._plot_maps(section, images, seed)
        self._plot_retrieval(section, images)
        self._plot_decisions(images)

    def _plot_maps(
        self, section: RBFReportSection, images: np.ndarray, seed: int
    ) -> None:
        """Maps of the centres with most images, and test images that end there."""
        nearest = self.train.described.squared_distances.argmin(1)
        sizes = np.bincount(nearest, minlength=len(self.parts.centers))
        chosen = np.argsort(-sizes, kind="stable")[: section.num_maps]
        for center in chosen.tolist():
            distances = self.train.described.squared_distances[:, center]
            queries = self._choose_test_images(section, center)
            farthest = max(
                [distances.max(), *(one.squared_distance for one in queries)]
            )
            plot_center_map(
                images,
                self.train.described.label,
                distances,
                self._make_profile(center, float(np.sqrt(farthest))),
                self.class_names,
                self.path / f"center_map_{center}.png",
                title=f"centre {center}",
                order=section.order,
                queries=queries,
                max_radius=float(np.sqrt(np.quantile(distances, 0.6))),
                seed=seed,
            )

    def _make_profile(self, center: int, farthest: float) -> RadialProfile:
        """The activation of a centre, a little farther than the farthest image."""
        radii = np.linspace(0, 1.01 * farthest + 1e-6, 400)
        heights = RADIAL_KERNELS[self.head.kernel](
            jnp.asarray(radii[:, None] ** 2, jnp.float32),
            jnp.asarray(self.parts.widths[center : center + 1]),
        )
        return RadialProfile(radii, np.asarray(heights)[:, 0])

    def _choose_test_images(
        self, section: RBFReportSection, center: int
    ) -> list[QueryImage]:
        """Test images to which no centre is nearer; those of `retrieval.png` first."""
        test = self.test.described
        found = np.flatnonzero(test.squared_distances.argmin(1) == center)
        asked = np.intersect1d(self._choose_queries(section), found)
        others = np.random.default_rng(0).permutation(np.setdiff1d(found, asked))
        rows = np.concatenate([asked, others])[: section.num_test_images]
        return [
            QueryImage(
                image,
                float(test.squared_distances[row, center]),
                label=int(test.label[row]),
            )
            for row, image in zip(rows.tolist(), self.test.read(rows), strict=True)
        ]

    def _choose_queries(self, section: RBFReportSection) -> np.ndarray:
        count = len(self.test.described.label)
        return spread(count, min(section.num_queries, count))

    def _plot_retrieval(self, section: RBFReportSection, images: np.ndarray) -> None:
        """Similar and dissimilar images of a few test images."""
        rows = self._choose_queries(section)
        test, train = self.test.described, self.train.described
        distances = measure_distances(
            test.embeddings[rows], train.embeddings, self.head, self.parts
        )
        plot_retrieval(
            self.test.read(rows),
            test.label[rows],
            images,
            train.label,
            np.sqrt(distances),
            self.class_names,
            self.path / "retrieval.png",
            metric=f"learned {self.head.metric} distance",
            num_images=section.num_similar,
        )

    def _plot_decisions(self, images: np.ndarray) -> None:
        """How the least sure right image and the surest wrong one were decided."""
        test, distances = self.test.described, self.train.described.squared_distances
        closest = np.argsort(distances, axis=0, kind="stable")[:_CLOSEST].T
        is_wrong = test.prediction != test.label
        for kind, rows, sign in (
            ("right", np.flatnonzero(~is_wrong), 1),
            ("wrong", np.flatnonzero(is_wrong), -1),
        ):
            if not len(rows):
                continue
            row = rows[np.argmin(sign * test.confidence[rows])]
            plot_decision(
                self.test.read(np.array([row]))[0],
                test.activations[row],
                np.asarray(self.parts.kernel),
                np.asarray(self.parts.bias),
                images[closest],
                self.class_names,
                self.path / f"decision_{kind}.png",
                true_label=int(test.label[row]),
            )


def spread(num_examples: int, count: int) -> np.ndarray:
    """Positions spread evenly over a split, both ends among them.

    Args:
      num_examples: of the split.
      count: how many, at most as many.

    Returns:
      int64, ascending.

    Example:
      >>> spread(9, 3).tolist()
      [0, 4, 8]
    """
    return np.linspace(0, num_examples - 1, count).round().astype(np.int64)
