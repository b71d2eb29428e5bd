"""How much of the classes can a line tell apart in what a network sees?

Trains linear classifiers on the frozen features of a network, and of the same network
before its training:

    python experiments/linear_probe.py RUN_FOLDER
    python experiments/linear_probe.py RUN_FOLDER crops.random=true
    python experiments/linear_probe.py RUN_FOLDER data.source=cifar10 data.path=cifar10

RUN_FOLDER is that of pretrain_barlow_twins.py or of train_classifier.py; the images are
those it was trained on, unless others are given: any number of classes, resized to
those of the run. Normalisation uses the statistics of the training throughout. One
classifier is trained by gradient descent as in the protocol of the paper and scored
after its last step, the other is a ridge regression. With crops.random=true the descent
sees crops and flips, and features are computed anew in each step; else they are
computed once, which takes seconds on the digits.
"""

from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.probes_config import LinearProbeConfig
from jaxdl.recipes.source_run import read_data_defaults


def main(argv: list[str]) -> int:
    """Runs the probe; the result is the exit status."""
    path, _, config = read_run_command_line(
        LinearProbeConfig, argv, doc=__doc__, read_defaults=read_data_defaults
    )
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.recipes.linear_probe import study_linear_probe
    from jaxdl.recipes.probe_subject import open_subject
    from jaxdl.recipes.runs import open_run

    subject = open_subject(path, config)
    with open_run(config, experiment="linear_probe") as run:
        return study_linear_probe(config, subject, run)


if __name__ == "__main__":
    run_script(main)
