"""From which batch size on do larger batches stop to pay?

Trains the same classifier with several optimizers and batch sizes until its training
loss (or validation accuracy) reaches a target, with the learning rate grown by a rule
and warmed up, and measures the noise of its gradients on the way:

    python experiments/large_batch_study.py configs/large_batch_study/quick.yaml

The run folder holds `tradeoff.png` (steps and examples to the target against the batch
size, with the fitted trade-off), `noise_scale.png`, `curves.png`, `table.csv` and, in
`variants/`, a classifier run for each. Runs that don't reach the target are shown as
such. --resume continues an interrupted study; --help lists the fields.

quick.yaml (digits, SGD, LARS and LAMB, batches of 16 to 1024) takes about a minute on 2
CPU cores. All reach a training loss of 0.05. From 16 to 64 examples per step the steps
fall 3 to 4-fold, from 256 to 1024 2-fold; returns diminish from about 400 on (1 seed).
fashion_mnist.yaml compares the same optimizers on a larger dataset, with three seeds.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.large_batch_config import LargeBatchConfig as Config


def main(argv: list[str]) -> int:
    """Runs the study; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.comparison import compare_classifiers
    from jaxdl.recipes.large_batch_study import study_options
    from jaxdl.recipes.runs import open_run
    from jaxdl.train import StopRequest

    with StopRequest() as stop, open_run(config, experiment="large_batch_study") as run:
        return compare_classifiers(
            config,
            run,
            stop,
            title="Batch sizes and optimizers, to the same target",
            **study_options(config, run),
        )


if __name__ == "__main__":
    run_script(main)
