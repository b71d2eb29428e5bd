"""What does any function do, in three steps, and what has the SVD to do with it?

Draws functions on finite domains as onto, then a bijection, then one-to-one, and a
matrix as wide, then square, then tall:

    python experiments/svd_refactor.py configs/svd_refactor/quick.yaml

Expected: every product gives the matrix back to 1e-5 of its size or better, with the
planted rank in the middle; the SVD is the form whose outer parts are orthonormal and
whose square part is diagonal. quick.yaml takes about 10 seconds on 2 CPU cores. Any
field can be set on the command line (matrix.rank=5), --help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_refactor_config import SvdRefactorConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_refactor import study_refactoring

    with open_run(config, experiment="svd_refactor") as run:
        return study_refactoring(config, run)


if __name__ == "__main__":
    run_script(main)
