"""What does a trained classifier score on a split?

    python experiments/evaluate.py RUN_FOLDER split=test batch_size=512

One pass, every example once: the numbers do not depend on the batch size or on the
number of devices. Takes seconds on the digits. --help lists the fields.
"""

from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.configs import EvaluationConfig


def main(argv: list[str]) -> int:
    """Runs the evaluation; the result is the exit status."""
    folder, _, config = read_run_command_line(EvaluationConfig, argv, doc=__doc__)
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.recipes.build import build_mesh
    from jaxdl.recipes.trained import evaluate_run, load_classifier

    mesh = build_mesh(config.mesh)
    trained = load_classifier(folder, mesh, checkpoint=config.checkpoint)
    evaluate_run(trained, mesh, split=config.split, batch_size=config.batch_size)
    return 0


if __name__ == "__main__":
    run_script(main)
