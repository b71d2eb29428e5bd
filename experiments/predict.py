"""Which classes does a trained network see in these images?

    python experiments/predict.py RUN_FOLDER IMAGE... top=5
    python experiments/predict.py WEIGHTS_FILE IMAGE... model.name=resnet50

Prints the most probable classes of each image file (JPEG, PNG or WebP), prepared as
in training. The classes of a weights file have names if it was exported from a run,
numbers otherwise. Of a run of train_rbf.py it also prints which centre is nearest, the
class that the network gives to that centre, and how many of its widths away the image
is: far ones are unknown. Takes seconds.
"""

from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.configs import PredictionConfig
from jaxdl.recipes.weights_options import is_weights_file, read_weights_defaults


def main(argv: list[str]) -> int:
    """Runs the prediction; the result is the exit status."""
    path, images, config = read_run_command_line(
        PredictionConfig,
        argv,
        doc=__doc__,
        files="IMAGE",
        place="RUN_FOLDER|WEIGHTS_FILE",
        read_defaults=read_weights_defaults,
    )
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.parallel import make_mesh
    from jaxdl.recipes.trained import load_classifier, predict_files
    from jaxdl.recipes.weights_file import load_weights_file

    mesh = make_mesh(data=1)
    if is_weights_file(path):
        trained = load_weights_file(
            path, mesh, model=config.model, augment=config.augment
        )
    else:
        trained = load_classifier(path, mesh, checkpoint=config.checkpoint)
    predict_files(trained, images, top=config.top)
    return 0


if __name__ == "__main__":
    run_script(main)
