"""Does regularisation close the gap between an RBF head and a softmax head?

Trains one backbone with a softmax head, with a radial basis function head, and with
such a head that is held back in one of several ways, on the same images with the same
seeds:

    python experiments/rbf_study.py configs/rbf_study/quick.yaml

All heads get the same budget. An RBF head has a warm start (centers.warm_start: images
as they are, constant rate), then its centres are placed, then all is trained for
schedule.duration; a softmax head is trained for the sum of both by the one schedule.
Optimiser, batch size, augmentation, seeds and the order of images in each epoch are the
same, and so is `loss` but for the regulariser; counts of steps are in the table.

The run folder holds `heads.png` (test accuracies next to softmax), `gaps.png` (training
against test), `curves.png` (without the warm start), `table.csv`, `summary.json`
(differences to the softmax head of the same seed, with their standard errors) and, in
`variants/`, a run for each head and seed. --resume continues an interrupted study;
--help lists the fields.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.rbf_study_config import RBFStudyConfig as Config


def main(argv: list[str]) -> int:
    """Runs the study; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.comparison import compare_classifiers
    from jaxdl.recipes.rbf_study import (
        SHOWN,
        compare_seeds,
        draw_heads,
        train_head,
    )
    from jaxdl.recipes.runs import open_run
    from jaxdl.train import StopRequest

    labels = {variant.name: variant.label for variant in config.list_variants()}
    with StopRequest() as stop, open_run(config, experiment="rbf_study") as run:
        return compare_classifiers(
            config,
            run,
            stop,
            title="Heads with the same budget",
            metrics=(("validation", "loss"), ("validation", "error")),
            draw=lambda results, folder: draw_heads(results, labels, folder),
            train=train_head,
            extend=compare_seeds,
            shown=SHOWN,
        )


if __name__ == "__main__":
    run_script(main)
