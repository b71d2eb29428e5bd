"""How should weights be drawn, so that a deep network passes its input on?

Compares the activations of six wide layers by initialiser, then the blocks of a
ResNet that was never trained:

    python experiments/init_study.py configs/init_study/quick.yaml

Expected: N(0, 0.01) collapses, N(0, 0.05) explodes, Kaiming (0.0221 at width 4096)
stays; in a ResNet the stream grows with every block of a stage unless the branches
start as zero. quick.yaml takes under a minute on 2 CPU cores. Any field can be set on
the command line (dense.activation=tanh), --help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.study_configs import InitStudyConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.init_study import study_initialization
    from jaxdl.recipes.runs import open_run

    with open_run(config, experiment="init_study") as run:
        return study_initialization(config, run)


if __name__ == "__main__":
    run_script(main)
