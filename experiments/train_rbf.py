"""Which images does this network take a new one to be like?

Trains a classifier whose head measures distances to learned centres, and draws what it
sees:

    python experiments/train_rbf.py configs/train_rbf/quick.yaml

A short plain training comes first, then k-means finds centres among the embeddings,
then everything is trained together. The run folder holds the usual curves and
checkpoints, maps of what lies around a centre, the embeddings over the training, the
training images most similar to test images under the learned metric, the centres that
decided, and one page with all of it, `report.html`, that opens without a network. Any
field can be set on the command line (head.num_centers=30), --resume continues an
interrupted run.
quick.yaml takes half a minute on 2 CPU cores; the README lists the other configs.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.rbf_config import RBFConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.rbf_training import train_rbf
    from jaxdl.recipes.runs import open_run
    from jaxdl.train import StopRequest

    with StopRequest() as stop, open_run(config, experiment="train_rbf") as run:
        return train_rbf(config, run, stop)


if __name__ == "__main__":
    run_script(main)
