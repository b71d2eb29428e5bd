"""What a run of a radial basis function network leaves to look at."""

from typing import Any

import jax

from jaxdl.data import ArraySplit, Split, Subset
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.fit import Fit, collect_outputs, scalars
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.rbf_figures import Examples, HeadFigures, spread
from jaxdl.recipes.rbf_scores import (
    Described,
    compare_metrics,
    count_classes,
    measure_separation,
    measure_use,
    nearest_accuracy,
    purity,
    unknown_scores,
)
from jaxdl.recipes.rbf_snapshots import plot_snapshots
from jaxdl.recipes.rbf_unknown import shuffle_pixels
from jaxdl.report import (
    plot_activations,
    plot_confusion,
    plot_curves,
    plot_purity,
    plot_unknown_scores,
    tell_center_use,
    tell_nearest_center,
    tell_unknown,
    write_rbf_page,
)
from jaxdl.train import TrainState, evaluate, read_rows, write_json
from jaxdl.trees import count_parameters

_QUERIES = 1000
"""Test images whose neighbours are counted, and whose pixels are shuffled."""

_USE = (
    "purity",
    "used_centers",
    "effective_centers",
    "largest_center_share",
    "adjusted_mutual_information",
)
"""Numbers about the assignment of training images to centres."""


def write_rbf_report(
    fit: Fit,
    config: RBFConfig,
    classifier: Classifier,
    card: DatasetCard,
    state: TrainState,
    *,
    unknown: ArraySplit | None = None,
) -> bool:
    """Scores the test split, draws the figures, writes the summary and the page.

    Args:
      fit: the finished run.
      config: the resolved config.
      classifier: the network.
      card: of the dataset.
      state: the last state.
      unknown: images of another dataset, from `load_unknown`.

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
    split = fit.dataset.splits["train"]
    bank = Subset(
        split, spread(len(split), min(config.report.num_examples, len(split)))
    )
    shuffled = shuffle_pixels(fit.dataset.splits["test"], num_images=_QUERIES)
    others = [shuffled] if unknown is None else [shuffled, unknown]
    known = [_describe(fit, one, params, model_state) for one in (bank, *others)]
    found = [one for one in known if one is not None]
    if fit.stop.requested or len(found) < len(known):
        return False
    parts = jax.device_get(classifier.model.head.read_parts(params["head"]))
    test = Examples(fit.dataset.splits["test"], described)
    figures = HeadFigures(
        fit.folder.path,
        classifier.model.head,
        parts,
        Examples(bank, found[0]),
        test,
        card.class_names,
    )
    rows = {split.name: one for split, one in zip(others, found[1:], strict=True)}
    scores = _write_figures(config, figures, rows)
    plot_curves(read_rows(fit.folder.metrics), fit.folder.path / "curves.png")
    plot_confusion(confusion, card.class_names, fit.folder.path / "confusion.png")
    summary = {
        **results,
        **scores,
        "images_per_second": fit.speed(),
        "parameters": count_parameters(state.params),
        "num_steps": last_step,
        "num_examples": card.num_examples,
    }
    write_json(fit.folder.summary, summary)
    page = write_rbf_page(
        fit.folder.path,
        summary=_shorten(summary),
        notes=_tell(summary, num_centers=len(parts.centers)),
    )
    fit.display.show(last_step, "test", scalars(results["final"]["test"]))
    fit.display.say(f"page: {page}")
    return True


def _write_figures(
    config: RBFConfig, figures: HeadFigures, unknown: dict[str, Described]
) -> dict[str, Any]:
    """Draws all that the test images, the bank and the head tell; their numbers."""
    head, parts, path = figures.head, figures.parts, figures.path
    train, test = figures.train.described, figures.test.described
    section, names = config.report, figures.class_names
    counts = count_classes(train, len(names))
    queries = test.take(spread(len(test.label), min(_QUERIES, len(test.label))))
    plot_snapshots(
        path, names, tsne_images=config.report.tsne_images, seed=config.run.seed
    )
    figures.draw(section, seed=config.run.seed)
    plot_purity(counts, names, path / "purity.png")
    plot_activations(train.activations, train.label, names, path / "activations.png")
    return {
        "purity": purity(counts),
        **measure_use(counts)._asdict(),
        "nearest_center_accuracy": nearest_accuracy(counts, test),
        "unknown_auroc": _compare_unknown(figures, unknown),
        "precision": compare_metrics(
            queries, train, head, parts, count=section.num_similar
        ),
    }


def _compare_unknown(
    figures: HeadFigures, unknown: dict[str, Described]
) -> dict[str, float]:
    """How well distances tell each kind of unknown images from those of the test."""
    near = unknown_scores(figures.test.described, figures.parts)
    far = {name: unknown_scores(one, figures.parts) for name, one in unknown.items()}
    areas = {name: measure_separation(near, scores) for name, scores in far.items()}
    plot_unknown_scores(
        near,
        far,
        figures.path / "unknown.png",
        auroc=areas,
        known_name="test images",
        xlabel="distance to the nearest centre, in widths",
    )
    return areas


def _describe(
    fit: Fit, split: Split, params: Any, model_state: Any
) -> Described | None:
    """What the network says of a split; None when a stop was asked for."""
    outputs, on_outputs = collect_outputs(len(split))
    totals = evaluate(
        fit.task.evaluation_step,
        fit.task.empty_totals,
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
    names = (*_USE, "nearest_center_accuracy", "unknown_auroc", "precision")
    return {
        "test_accuracy": final["test"]["accuracy"],
        "validation_accuracy": final["validation"]["accuracy"],
        **{name: summary[name] for name in names},
        "parameters": summary["parameters"],
        "num_steps": summary["num_steps"],
        "seconds": final["seconds"],
    }


def _tell(summary: dict[str, Any], *, num_centers: int) -> dict[str, str]:
    """What the page says of this run, by the figures that show it."""
    use = tell_center_use(
        num_centers=num_centers, **{name: summary[name] for name in _USE}
    )
    ending = tell_nearest_center(
        nearest_center_accuracy=summary["nearest_center_accuracy"],
        accuracy=summary["final"]["test"]["accuracy"],
    )
    return {
        "purity": f"{use}\n\n{ending}",
        "unknown": tell_unknown(summary["unknown_auroc"]),
    }
