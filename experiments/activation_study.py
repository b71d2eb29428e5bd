"""What does the choice of the activation do to gradients on their way back?

Draws every activation and its derivative, and measures the gradient that reaches each
of twenty dense layers:

    python experiments/activation_study.py configs/activation_study/quick.yaml

Expected: sigmoid loses the gradient by orders of magnitude; tanh, ReLU and its
relatives keep it within one with the Kaiming gain. quick.yaml takes under a minute on
2 CPU cores. Any field can be set on the command line (dense.depth=50), --help lists
them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.study_configs import ActivationStudyConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.activation_study import study_activations
    from jaxdl.recipes.runs import open_run

    with open_run(config, experiment="activation_study") as run:
        return study_activations(config, run)


if __name__ == "__main__":
    run_script(main)
