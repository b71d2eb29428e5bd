"""What the head says of the same held-out images, kept and drawn over a training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from jaxdl.data import Split
from jaxdl.linalg import pca, transform
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.fit import collect_outputs
from jaxdl.recipes.rbf_scores import (
    Described,
    count_classes,
    measure_use,
    purity,
)
from jaxdl.recipes.task import Plan, Task
from jaxdl.report import (
    EmbeddingSnapshot,
    plot_embeddings,
    plot_neighborhoods,
    write_embedding_animation,
)
from jaxdl.train import RunFolder, StopRequest, TrainState, evaluate
from jaxdl.typing import Float

_KEPT = 800
"""Held-out images of a snapshot."""

_COLUMNS = 4
"""Steps whose neighbourhoods are drawn: t-SNE takes up to a second for each map."""

_PERPLEXITY = 30.0
_ITERATIONS = 500
_START = 1e-4
"""Deviation of the points a first map starts from: small, so that they can part."""


class Snapshot(NamedTuple):
    """The head at one step, by held-out images that are the same at all steps.

    Attributes:
      step: how many training steps had been done.
      labels: classes, (images,).
      embeddings: (images, embedding size).
      activations: (images, centers).
      centers: (centers, embedding size).
    """

    step: int
    labels: np.ndarray
    embeddings: np.ndarray
    activations: np.ndarray
    centers: np.ndarray


def make_embedding_watch(
    classifier: Classifier, run: RunFolder
) -> Callable[..., dict[str, float]]:
    """Keeps what the head says of held-out images, at each evaluation.

    Args:
      classifier: the network.
      run: the folder to keep it in.

    Returns:
      See `Task.watch`; measures the purity of the centres and how many are in use.
    """

    def watch(step, params, model_state, outputs):
        del model_state
        folder = run.path / "embeddings"
        folder.mkdir(exist_ok=True)
        parts = classifier.model.head.read_parts(params["head"])
        # Drawn, as some sources have their images in the order of the classes.
        count = len(outputs["label"])
        rows = np.random.default_rng(0).permutation(count)[:_KEPT]
        np.savez(
            folder / f"{step:08d}.npz",
            labels=outputs["label"][rows],
            embeddings=outputs["embeddings"][rows],
            activations=outputs["activations"][rows],
            centers=np.asarray(parts.centers),
        )
        counts = count_classes(
            Described(**{name: outputs[name] for name in Described._fields}),
            classifier.num_classes,
        )
        use = measure_use(counts)
        return {"purity": purity(counts), "effective_centers": use.effective_centers}

    return watch


def watch_start(
    task: Task,
    state: TrainState,
    split: Split,
    plan: Plan,
    stop: StopRequest,
    *,
    mesh: Mesh,
) -> None:
    """Lets the watch of a task see the state before the first step.

    Args:
      task: with a watch.
      state: on the mesh.
      split: the validation split.
      plan: how it is read.
      stop: asked before each batch; nothing is watched after a request.
      mesh: the devices.
    """
    assert task.watch is not None
    # An average of the parameters would be the same yet.
    params, model_state = state.params, state.model_state
    outputs, on_outputs = collect_outputs(len(split))
    totals = evaluate(
        task.evaluation_step,
        task.empty_totals,
        params,
        model_state,
        split,
        mesh=mesh,
        batch_size=plan.eval_batch_size,
        num_workers=plan.num_workers,
        should_stop=lambda: stop.requested,
        on_outputs=on_outputs,
    )
    if totals is not None:
        task.watch(int(state.step), params, model_state, outputs)


def read_snapshots(path: Path) -> list[Snapshot]:
    """The snapshots of a run, the first step first.

    Args:
      path: the run folder.

    Returns:
      What `make_embedding_watch` kept.
    """
    files = sorted((path / "embeddings").glob("*.npz"))
    names = Snapshot._fields[1:]
    snapshots = []
    for file in files:
        with np.load(file) as kept:
            snapshots.append(Snapshot(int(file.stem), *(kept[name] for name in names)))
    return snapshots


def plot_snapshots(
    path: Path, class_names: Sequence[str], *, tsne_images: int, seed: int
) -> None:
    """Draws the embeddings over the training, and the neighbourhoods at a few steps.

    Writes `embeddings.png` and `embeddings.gif`, all steps under the projection of the
    last one, and `neighborhoods.png`, maps of embeddings and activations by t-SNE.

    Args:
      path: the run folder.
      class_names: one per class.
      tsne_images: in the maps by t-SNE, at most; below 4 there are none.
      seed: of t-SNE.
    """
    snapshots = read_snapshots(path)
    _plot_projections(snapshots, class_names, path)
    count = min(tsne_images, len(snapshots[-1].labels))
    if count < 4:
        return  # neighbours need neighbours
    places = np.linspace(0, len(snapshots) - 1, min(len(snapshots), _COLUMNS))
    shown = [snapshots[place] for place in places.round().astype(int)]
    steps = [one.step for one in shown]
    with_centers = [
        np.concatenate([one.embeddings[:count], one.centers]) for one in shown
    ]
    embedded = map_neighbors(with_centers, seed=seed)
    active = map_neighbors([one.activations[:count] for one in shown], seed=seed)
    none = np.zeros((0, 2))
    plot_neighborhoods(
        {
            "embeddings": [
                EmbeddingSnapshot(step, points[:count], points[count:])
                for step, points in zip(steps, embedded, strict=True)
            ],
            "activations": [
                EmbeddingSnapshot(step, points, none)
                for step, points in zip(steps, active, strict=True)
            ],
        },
        snapshots[-1].labels[:count],
        class_names,
        path / "neighborhoods.png",
        title=f"neighbourhoods of {count} validation images, by t-SNE",
    )


def map_neighbors(
    tables: Sequence[Float[np.ndarray, "rows _"]], *, seed: int
) -> list[Float[np.ndarray, "rows 2"]]:
    """Maps of the same things at several times by t-SNE, alike where they can be.

    The first map starts from principal components, each other one from the map before
    it, and without early exaggeration: what did not move stays where it was.

    Args:
      tables: in the order of the times, the same thing in the same row; at least 4
        rows.
      seed: of what is added to the start, so that equal rows can part.

    Returns:
      Float32 coordinates; only who is next to whom has a meaning.

    Source:
      van der Maaten and Hinton 2008, JMLR 9:2579; started from principal components as
      Kobak and Linderman 2021, Nature Biotechnology 39:156, recommend.

    Example:
      >>> rows = np.random.default_rng(0).normal(size=(8, 5))
      >>> [one.shape for one in map_neighbors([rows, 2 * rows], seed=0)]
      [(8, 2), (8, 2)]
    """
    generator = np.random.default_rng(seed)
    components = _find_components(tables[0])
    start = components / max(float(components.std()), 1e-12)
    start = _START * (start + 0.01 * generator.normal(size=start.shape))
    maps: list[np.ndarray] = []
    for table in tables:
        method = TSNE(
            perplexity=min(_PERPLEXITY, (len(table) - 1) / 3),
            # Pulling all together first would tear up what the last map has found.
            early_exaggeration=1.0 if maps else 12.0,
            init=(maps[-1] if maps else start).astype(np.float32),  # pyright: ignore
            max_iter=_ITERATIONS,
            random_state=seed,
        )
        # Its threads wait for each other by spinning: where cores are shared, more of
        # them took 30 times as long.
        with threadpool_limits(1):
            maps.append(method.fit_transform(table).astype(np.float32))
    return maps


def _find_components(table: np.ndarray) -> np.ndarray:
    """The first two principal components; zeros for those that are not there."""
    centred = table.astype(np.float64) - table.mean(axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    components = (left * sizes)[:, :2]
    return np.pad(components, ((0, 0), (0, 2 - components.shape[1])))


def _plot_projections(
    snapshots: Sequence[Snapshot], class_names: Sequence[str], path: Path
) -> None:
    """All steps under the projection of the last one."""
    last = snapshots[-1]
    if last.embeddings.shape[1] < 2:
        return
    axes = pca(jnp.asarray(last.embeddings), 2)
    flat = lambda rows: np.asarray(transform(axes, jnp.asarray(rows)))
    shown = [
        EmbeddingSnapshot(one.step, flat(one.embeddings), flat(one.centers))
        for one in snapshots
    ]
    title = "embeddings of validation images"
    plot_embeddings(
        shown, last.labels, class_names, path / "embeddings.png", title=title
    )
    if len(shown) > 1:
        animation = path / "embeddings.gif"
        write_embedding_animation(
            shown, last.labels, class_names, animation, title=title
        )
