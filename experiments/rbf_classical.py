"""What do three ways to train an RBF network give?

Networks on vectors, here the pixels of images: centres drawn among the examples and
output weights by the pseudo-inverse (one phase), centres by k-means first (two phases),
then gradient descent on everything (three phases). Centres are found among all images
or among those of each class; a prediction can also end at the nearest centre. The same
networks are fitted to a function:

    python experiments/rbf_classical.py configs/rbf_classical/quick.yaml

Expected: each phase helps most where centres are few. Digits, 10 centres, 3 seeds: test
accuracy 0.82 +- 0.03, 0.87 +- 0.02, 0.92 +- 0.01, and 0.95 with a centre per class; 80
centres: from 0.967 to 0.981 in all, and 0.976 by the class of the nearest centre of
each class alone. Sine through 20 examples with a centre each: at most 0.001 off in
between. quick.yaml takes 45 seconds on 2 CPU cores, most of them to compile, mnist.yaml
4 minutes. Any field can be set on the command line (function.name=runge), --help lists
them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.rbf_classical_config import RBFClassicalConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.rbf_classical import study_classical
    from jaxdl.recipes.runs import open_run

    with open_run(config, experiment="rbf_classical") as run:
        return study_classical(config, run)


if __name__ == "__main__":
    run_script(main)
