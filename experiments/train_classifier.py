"""How well does this network classify these images?

Trains, evaluates, saves and plots an image classifier:

    python experiments/train_classifier.py configs/train_classifier/quick.yaml

Any field can be set on the command line (optimizer.learning_rate=0.05), --help lists
them all, --resume continues an interrupted run. quick.yaml takes about a minute on 2
CPU cores; the README lists the other configs with their times and numbers.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.configs import ClassifierConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.classifier import train_classifier
    from jaxdl.recipes.runs import open_run
    from jaxdl.train import StopRequest

    name = "train_classifier"
    with StopRequest() as stop, open_run(config, experiment=name, stop=stop) as run:
        return train_classifier(config, run, stop)


if __name__ == "__main__":
    run_script(main)
