"""How do I take a trained network out of its run folder?

    python experiments/export_weights.py RUN_FOLDER OUT.safetensors checkpoint=best

Writes one file with the weights and, in its header, the network, the classes, the
preparation of images and where the data came from: all that evaluate.py and predict.py
need to know. Takes seconds.
"""

from jaxdl.errors import ConfigError
from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.configs import ExportConfig


def main(argv: list[str]) -> int:
    """Runs the export; the result is the exit status."""
    folder, files, config = read_run_command_line(
        ExportConfig, argv, doc=__doc__, files="OUT.safetensors"
    )
    if len(files) > 1 or not files[0].endswith(".safetensors"):
        raise ConfigError(
            "command line: wanted one OUT.safetensors to write, got "
            f"{', '.join(map(repr, files))}"
        )
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.parallel import make_mesh
    from jaxdl.recipes.trained import load_classifier
    from jaxdl.recipes.weights_file import export_weights

    trained = load_classifier(folder, make_mesh(data=1), checkpoint=config.checkpoint)
    export_weights(trained, files[0])
    print(f"{files[0]}: {trained.config.model.name}, weights of {trained.origin}")
    return 0


if __name__ == "__main__":
    run_script(main)
