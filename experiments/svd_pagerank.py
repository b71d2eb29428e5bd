"""Which nodes of a directed graph matter?

Ranks nodes by how often a random surfer comes by, and compares scores and speed of
convergence with float64:

    python experiments/svd_pagerank.py configs/svd_pagerank/quick.yaml

Expected: errors below 1e-6 in all, the same order of the first 20 as in float64, and
fewer iterations than the bound 2 damping^t asks for. quick.yaml takes about 5 seconds
on 2 CPU cores, wiki_vote.yaml about as long. Your own graph: graph.path=FILE, two names
of nodes per line. Any field can be set on the command line (ranking.damping=0.5),
--help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_pagerank_config import PageRankConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_pagerank import study_pagerank

    with open_run(config, experiment="svd_pagerank") as run:
        return study_pagerank(config, run)


if __name__ == "__main__":
    run_script(main)
