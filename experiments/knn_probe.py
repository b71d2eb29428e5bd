"""Do images of a class lie close together in what a network sees?

Lets the nearest training images vote for the class of each test image, by the cosine of
their features, for several numbers of neighbours and weights of votes:

    python experiments/knn_probe.py RUN_FOLDER
    python experiments/knn_probe.py RUN_FOLDER data.source=cifar10 data.path=cifar10

RUN_FOLDER is that of pretrain_barlow_twins.py or of train_classifier.py; the images are
those it was trained on, unless others are given. Nothing is trained. The run folder
holds a table, a map of test images by their features (map.method=pca or tsne), and test
images beside those nearest to them. Takes seconds on the digits.
"""

from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.probes_config import NeighborProbeConfig
from jaxdl.recipes.source_run import read_data_defaults


def main(argv: list[str]) -> int:
    """Runs the probe; the result is the exit status."""
    path, _, config = read_run_command_line(
        NeighborProbeConfig, argv, doc=__doc__, read_defaults=read_data_defaults
    )
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.recipes.neighbor_probe import study_neighbor_probe
    from jaxdl.recipes.probe_subject import open_subject
    from jaxdl.recipes.runs import open_run

    subject = open_subject(path, config)
    with open_run(config, experiment="knn_probe") as run:
        return study_neighbor_probe(config, subject, run)


if __name__ == "__main__":
    run_script(main)
