"""What a run of a radial basis function network leaves to look at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import ArraySplit, Split, Subset
from jaxdl.layers import RADIAL_KERNELS, RBFHead
from jaxdl.linalg import pca, transform
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.fit import Fit, collect_outputs, scalars
from jaxdl.recipes.rbf import init_rbf_totals, make_rbf_evaluation
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.rbf_scores import (
    Described,
    compare_metrics,
    count_classes,
    measure_distances,
    measure_separation,
    nearest_accuracy,
    purity,
    unknown_scores,
)
from jaxdl.recipes.trained import DatasetCard
from jaxdl.report import (
    EmbeddingSnapshot,
    RadialProfile,
    plot_activations,
    plot_center_map,
    plot_confusion,
    plot_curves,
    plot_decision,
    plot_embeddings,
    plot_purity,
    plot_retrieval,
    plot_unknown_scores,
    write_embedding_animation,
    write_rbf_page,
)
from jaxdl.train import (
    RunFolder,
    TrainState,
    evaluate,
    make_evaluation_step,
    read_rows,
    write_json,
)
from jaxdl.trees import count_parameters

_SHOWN_POINTS = 800
"""Validation images whose embeddings are kept over the training."""

_CLOSEST = 4
"""Training images that stand for a centre that decided."""

_QUERIES = 1000
"""Test images whose neighbours are counted."""


def make_embedding_watch(
    classifier: Classifier, run: RunFolder
) -> Callable[..., dict[str, float]]:
    """Keeps the embeddings of held-out images and the centres, at each evaluation.

    Args:
      classifier: the network.
      run: the folder to keep them in.

    Returns:
      See `Task.watch`; measures the purity of the centres.
    """

    def watch(step, params, model_state, outputs):
        del model_state
        folder = run.path / "embeddings"
        folder.mkdir(exist_ok=True)
        parts = classifier.model.head.read_parts(params["head"])
        np.savez(
            folder / f"{step:08d}.npz",
            points=outputs["embeddings"][:_SHOWN_POINTS],
            labels=outputs["label"][:_SHOWN_POINTS],
            centers=np.asarray(parts.centers),
        )
        counts = count_classes(
            Described(**{name: outputs[name] for name in Described._fields}),
            classifier.num_classes,
        )
        return {"purity": purity(counts)}

    return watch


def write_rbf_report(
    fit: Fit,
    config: RBFConfig,
    classifier: Classifier,
    card: DatasetCard,
    state: TrainState,
) -> bool:
    """Scores the test split, draws the figures, writes the summary and the page.

    Args:
      fit: the finished run.
      config: the resolved config.
      classifier: the network.
      card: of the dataset.
      state: the last state.

    Returns:
      False when a stop was asked for before it was done.
    """
    last_step, best_step = int(state.step), fit.store.best_step()
    best_step = last_step if best_step is None else best_step
    results, described = {}, None
    for name, step in (("best", best_step), ("final", last_step)):
        if name == "final" and step == best_step:
            results[name] = results["best"]
            continue
        params, model_state = fit.load_weights(step)
        outputs, on_outputs = collect_outputs(len(fit.dataset.splits["test"]))
        scored = fit.score(
            "test", params=params, model_state=model_state, on_outputs=on_outputs
        )
        if scored is None:
            return False
        results[name] = fit.results_at(step, scored[0])
        confusion = scored[1]["classes"].confusion
        described = Described(**{key: outputs[key] for key in Described._fields})
    assert described is not None
    count = min(config.report.num_examples, len(fit.dataset.splits["train"]))
    places = _spread(len(fit.dataset.splits["train"]), count)
    bank = Subset(fit.dataset.splits["train"], places)
    unknown = _make_unknown(fit.dataset.splits["test"])
    known = [
        _describe(fit, classifier, split, params, model_state)
        for split in (bank, unknown)
    ]
    if fit.stop.requested or None in known:
        return False
    scores = _write_figures(
        fit, config, classifier, card, params, described, bank, known
    )
    path = fit.folder.path
    plot_curves(read_rows(fit.folder.metrics), path / "curves.png")
    plot_confusion(confusion, card.class_names, path / "confusion.png")
    summary = {
        **results,
        **scores,
        "images_per_second": fit.speed(),
        "parameters": count_parameters(state.params),
        "num_steps": last_step,
        "num_examples": card.num_examples,
    }
    write_json(fit.folder.summary, summary)
    page = write_rbf_page(path, summary=_shorten(summary))
    fit.display.show(last_step, "test", scalars(results["final"]["test"]))
    fit.display.say(f"page: {page}")
    return True


def _write_figures(
    fit: Fit,
    config: RBFConfig,
    classifier: Classifier,
    card: DatasetCard,
    params: Any,
    test: Described,
    bank: Split,
    known: list[Any],
) -> dict[str, Any]:
    """Draws all that the test images, the bank and the head tell; their numbers."""
    head: RBFHead = classifier.model.head
    parts = jax.device_get(head.read_parts(params["head"]))
    train, unknown = known
    path, section, names = fit.folder.path, config.report, card.class_names
    images = bank.read(np.arange(len(bank)))["images"]
    counts = count_classes(train, classifier.num_classes)
    queries = test.take(_spread(len(test.label), min(_QUERIES, len(test.label))))
    far = unknown_scores(unknown, parts), unknown_scores(test, parts)
    auroc = measure_separation(far[1], far[0])
    scores = {
        "purity": purity(counts),
        "nearest_center_accuracy": nearest_accuracy(counts, test),
        "unknown_auroc": auroc,
        "precision": compare_metrics(
            queries, train, head, parts, count=section.num_similar
        ),
    }
    _plot_snapshots(path, names)
    _plot_maps(path, config, head, parts, train, images, counts, names)
    _plot_queries(fit, config, head, parts, test, train, images, names)
    plot_purity(counts, names, path / "purity.png")
    plot_activations(train.activations, train.label, names, path / "activations.png")
    plot_unknown_scores(
        far[1],
        far[0],
        path / "unknown.png",
        auroc=auroc,
        known_name="test images",
        unknown_name="the same with shuffled pixels",
        xlabel="distance to the nearest centre, in widths",
    )
    return scores


def _plot_snapshots(path: Path, class_names: Any) -> None:
    """All steps under the projection of the last one."""
    kept = [np.load(file) for file in sorted((path / "embeddings").glob("*.npz"))]
    steps = [int(file.stem) for file in sorted((path / "embeddings").glob("*.npz"))]
    last = jnp.asarray(kept[-1]["points"])
    if last.shape[1] < 2:
        return
    axes = pca(last, 2)
    flat = lambda rows: np.asarray(transform(axes, jnp.asarray(rows)))
    snapshots = [
        EmbeddingSnapshot(step, flat(one["points"]), flat(one["centers"]))
        for step, one in zip(steps, kept, strict=True)
    ]
    labels, title = kept[-1]["labels"], "embeddings of validation images"
    figure = path / "embeddings.png"
    plot_embeddings(snapshots, labels, class_names, figure, title=title)
    if len(snapshots) > 1:
        animation = path / "embeddings.gif"
        write_embedding_animation(
            snapshots, labels, class_names, animation, title=title
        )


def _plot_maps(path, config, head, parts, train, images, counts, class_names) -> None:
    """Maps of the centres with most images."""
    kernel = RADIAL_KERNELS[head.kernel]
    chosen = np.argsort(-counts.sum(1), kind="stable")[: config.report.num_maps]
    for center in chosen.tolist():
        distances = train.squared_distances[:, center]
        radii = np.linspace(0, float(np.sqrt(distances.max())) * 1.01 + 1e-6, 400)
        heights = kernel(
            jnp.asarray(radii[:, None] ** 2, jnp.float32),
            jnp.asarray(parts.widths[center : center + 1]),
        )
        plot_center_map(
            images,
            train.label,
            distances,
            RadialProfile(radii, np.asarray(heights)[:, 0]),
            class_names,
            path / f"center_map_{center}.png",
            title=f"centre {center}",
            order=config.report.order,
            max_radius=float(np.sqrt(np.quantile(distances, 0.6))),
            seed=config.run.seed,
        )


def _plot_queries(fit, config, head, parts, test, train, images, class_names) -> None:
    """Similar images of a few test images, and how one of each kind was decided."""
    is_wrong = test.prediction != test.label
    rows = _spread(len(test.label), min(config.report.num_queries, len(test.label)))
    split, path = fit.dataset.splits["test"], fit.folder.path
    plot_retrieval(
        split.read(rows)["images"],
        test.label[rows],
        images,
        train.label,
        np.sqrt(
            measure_distances(test.embeddings[rows], train.embeddings, head, parts)
        ),
        class_names,
        path / "retrieval.png",
        metric=f"learned {head.metric} distance",
        num_images=config.report.num_similar,
    )
    closest = np.argsort(train.squared_distances, axis=0, kind="stable")[:_CLOSEST].T
    shown = {"right": np.flatnonzero(~is_wrong), "wrong": np.flatnonzero(is_wrong)}
    for kind, found in shown.items():
        if not len(found):
            continue
        # The least sure of the right ones, the surest of the wrong ones.
        sign = 1 if kind == "right" else -1
        row = found[np.argmin(sign * test.confidence[found])]
        plot_decision(
            split.read(np.array([row]))["images"][0],
            test.activations[row],
            np.asarray(parts.kernel),
            np.asarray(parts.bias),
            images[closest],
            class_names,
            path / f"decision_{kind}.png",
            true_label=int(test.label[row]),
        )


def _describe(
    fit: Fit, classifier: Classifier, split: Split, params: Any, model_state: Any
) -> Described | None:
    outputs, on_outputs = collect_outputs(len(split))
    totals = evaluate(
        make_evaluation_step(make_rbf_evaluation(classifier)),
        init_rbf_totals(classifier.num_classes),
        params,
        model_state,
        split,
        mesh=fit.mesh,
        batch_size=fit.plan.eval_batch_size,
        num_workers=fit.plan.num_workers,
        should_stop=lambda: fit.stop.requested,
        on_outputs=on_outputs,
    )
    if totals is None:
        return None
    return Described(**{name: outputs[name] for name in Described._fields})


def _shorten(summary: dict[str, Any]) -> dict[str, Any]:
    """The numbers that the page begins with."""
    final = summary["final"]
    names = ("purity", "nearest_center_accuracy", "unknown_auroc", "precision")
    return {
        "test_accuracy": final["test"]["accuracy"],
        "validation_accuracy": final["validation"]["accuracy"],
        **{name: summary[name] for name in names},
        "parameters": summary["parameters"],
        "num_steps": summary["num_steps"],
        "seconds": final["seconds"],
    }


def _make_unknown(split: Split) -> ArraySplit:
    """Images of no class: those of a split with their pixels in another order."""
    rows = split.read(np.arange(min(len(split), _QUERIES)))
    images = rows["images"]
    flat = images.reshape(len(images), -1, images.shape[-1])
    shuffled = np.random.default_rng(0).permuted(flat, axis=1)
    return ArraySplit(shuffled.reshape(images.shape), rows["labels"], name="shuffled")


def _spread(num_examples: int, count: int) -> np.ndarray:
    return np.linspace(0, num_examples - 1, count).round().astype(np.int64)
