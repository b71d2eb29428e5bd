"""How good is a picture of low rank, for the numbers that it takes?

One singular value decomposition of each colour channel gives the error of all ranks;
marks show what the usual rules choose (shares of energy, a signal-to-noise ratio,
Gavish and Donoho's threshold), a sheet shows the pictures:

    python experiments/svd_compression.py configs/svd_compression/quick.yaml

Expected: 99 % of the energy look blurred, as the mean brightness is most of the
energy. quick.yaml takes about 10 seconds on 2 CPU cores. Other pictures:
picture.path=photo.jpg; --help lists all fields.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_compression_config import SvdCompressionConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_compression import study_compression

    with open_run(config, experiment="svd_compression") as run:
        return study_compression(config, run)


if __name__ == "__main__":
    run_script(main)
