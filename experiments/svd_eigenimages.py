"""What do the principal components of images show, and which images are there twice?

Rebuilds images from few components, compares nearest neighbours by scores with those
by pixels, and finds near-duplicates within and across the splits:

    python experiments/svd_eigenimages.py configs/svd_eigenimages/quick.yaml

Expected: a few components hold most of the variance; neighbours by some 16 scores are
of the query's class as often as those by all pixels. quick.yaml takes about 15 seconds
on 2 CPU cores, mnist.yaml and fashion_mnist.yaml a minute or two. Any field can be set
on the command line (duplicates.threshold=0.99), --help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_eigenimages_config import SvdEigenimagesConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_eigenimages import study_eigenimages

    with open_run(config, experiment="svd_eigenimages") as run:
        return study_eigenimages(config, run)


if __name__ == "__main__":
    run_script(main)
