"""What moves in a video of a camera that stands still?

Takes the frames, as rows of a matrix, apart into one of low rank, the background, and
a sparse one, the foreground, by robust PCA, beside the nearest matrix of rank 1:

    python experiments/svd_background.py configs/svd_background/quick.yaml

Expected: on the made clip, whose two lamps flicker each by itself, robust PCA finds
the moving shapes with an F-score above 0.99, rank 1 with one of 0.82. quick.yaml takes
about 10 seconds on 2 CPU cores, escalator.yaml about 20. Your own clip: clip.path=FILE
of frames (.npz, .npy) or a folder of images. Any field can be set on the command line
(mask.multiple=4), --help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_background_config import BackgroundConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_background import study_background

    with open_run(config, experiment="svd_background") as run:
        return study_background(config, run)


if __name__ == "__main__":
    run_script(main)
