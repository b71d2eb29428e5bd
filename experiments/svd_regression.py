"""How much should a linear regression be held back, and what do copies do to it?

Least squares, ridge for all strengths from one decomposition with exact leave-one-out
errors, and regression on principal components; then the same with a feature twice:

    python experiments/svd_regression.py configs/svd_regression/quick.yaml

Expected: on the diabetes data all methods end up within about 1 % in test error, as
442 patients are many for ten features, at very different coefficients; of a feature
that is there twice the shortest solution gives each half, while the normal equations
give large numbers of opposite sign, or none. quick.yaml takes about 10 seconds on 2 CPU
cores. Own data: data.path=table.csv data.target=price; --help lists all fields.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_regression_config import SvdRegressionConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_regression import study_regression

    with open_run(config, experiment="svd_regression") as run:
        return study_regression(config, run)


if __name__ == "__main__":
    run_script(main)
