"""Which classes does a trained network see in these images?

    python experiments/predict.py RUN_FOLDER IMAGE... top=5

Prints the most probable classes of each image file (JPEG, PNG or WebP), prepared as
in training. Takes seconds.
"""

from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.configs import PredictionConfig


def main(argv: list[str]) -> int:
    """Runs the prediction; the result is the exit status."""
    folder, images, config = read_run_command_line(
        PredictionConfig, argv, doc=__doc__, files="IMAGE"
    )
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.parallel import make_mesh
    from jaxdl.recipes.trained import load_classifier, predict_files

    trained = load_classifier(folder, make_mesh(data=1), checkpoint=config.checkpoint)
    predict_files(trained, images, top=config.top)
    return 0


if __name__ == "__main__":
    run_script(main)
