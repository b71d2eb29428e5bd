"""What does a network learn from images without labels?

Pre-trains a network with Barlow Twins: two views of each image shall have equal
embeddings whose entries are not correlated.

    python experiments/pretrain_barlow_twins.py configs/pretrain_barlow_twins/quick.yaml

Labels are used for nothing but to watch: a linear probe that learns along and the votes
of nearest neighbours, both scored on held-out images. The run folder holds the two
views, the loss and its parts, the correlations over the training, and the checkpoints
that linear_probe.py, knn_probe.py and semi_supervised.py take. --resume continues an
interrupted run, bit for bit. quick.yaml takes half a minute on 2 CPU cores; the README
lists the other configs.
"""

from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig as Config
from jaxdl.recipes.command_line import read_command_line, run_script


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.pretraining import pretrain_barlow_twins
    from jaxdl.recipes.runs import open_run
    from jaxdl.train import StopRequest

    name = "pretrain_barlow_twins"
    with StopRequest() as stop, open_run(config, experiment=name, stop=stop) as run:
        return pretrain_barlow_twins(config, run, stop)


if __name__ == "__main__":
    run_script(main)
