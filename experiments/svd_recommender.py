"""How well can ratings be predicted that users have not given yet?

Four methods that people call SVD, and biases alone, on the same ratings held out:
(a) a truncated decomposition of what biases leave, (b) biases and factors by
stochastic gradient descent, (c) soft-impute, (d) alternating least squares:

    python experiments/svd_recommender.py configs/svd_recommender/quick.yaml

Expected: on made ratings of rank 5 with noise 0.5, errors (root mean square) of 1.1
for biases and at most 0.525 for (b) and (d). quick.yaml takes about 15 seconds on 2 CPU
cores. Your own ratings: ratings.path=FILE, a CSV with a header or MovieLens' u.data.
Any field can be set on the command line (factorization.rank=20), --help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_recommender_config import RecommenderConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_recommender import study_recommenders

    with open_run(config, experiment="svd_recommender") as run:
        return study_recommenders(config, run)


if __name__ == "__main__":
    run_script(main)
