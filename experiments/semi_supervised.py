"""What is pre-training worth where few images have labels?

Trains a network on few labelled images, as many of each class, from its pre-trained
weights with a new head, and from scratch:

    python experiments/semi_supervised.py RUN_FOLDER
    python experiments/semi_supervised.py RUN_FOLDER fractions=[0.01] num_seeds=5

RUN_FOLDER is that of pretrain_barlow_twins.py or of train_classifier.py; the images are
those it was trained on, unless others are given (data.source=... data.path=...). The
backbone and the head have a learning rate each; the defaults are those of the paper for
ImageNet, and few images want longer trainings (tuning.duration, scratch.duration).
Nothing is chosen by the test images: each training is scored after its last step. Takes
a few minutes on the digits.
"""

from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.probes_config import SemiSupervisedConfig
from jaxdl.recipes.source_run import read_data_defaults


def main(argv: list[str]) -> int:
    """Runs the study; the result is the exit status."""
    path, _, config = read_run_command_line(
        SemiSupervisedConfig, argv, doc=__doc__, read_defaults=read_data_defaults
    )
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.recipes.probe_subject import open_subject
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.semi_supervised import study_semi_supervised

    subject = open_subject(path, config)
    with open_run(config, experiment="semi_supervised") as run:
        return study_semi_supervised(config, subject, run)


if __name__ == "__main__":
    run_script(main)
