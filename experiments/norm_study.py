"""Which activations does each norm pool, and what do small batches do to it?

Trains one network with several norms and batch sizes and compares the curves:

    python experiments/norm_study.py configs/norm_study/quick.yaml

The run folder holds `pooled.png` (the cube picture, measured on the layers),
`curves.png`, `table.csv` and, in `variants/`, a classifier run for each norm and batch
size. --resume continues an interrupted study; --help lists the fields.

quick.yaml (600 digits) takes about a minute on 2 CPU cores. Its training losses end at
0.095 with BatchNorm and 0.025 with GroupNorm in batches of 2, at 0.033 and 0.063 in
batches of 32 (1 seed). cifar10_short.yaml compares four norms.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.comparison_configs import NormStudyConfig as Config


def main(argv: list[str]) -> int:
    """Runs the study; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.comparison import compare_classifiers
    from jaxdl.recipes.demonstrations import draw_pooled_axes
    from jaxdl.recipes.runs import open_run
    from jaxdl.train import StopRequest

    def draw(results, folder):
        draw_pooled_axes(folder / "pooled.png")

    with StopRequest() as stop, open_run(config, experiment="norm_study") as run:
        return compare_classifiers(
            config, run, stop, title="Norms by batch size", draw=draw
        )


if __name__ == "__main__":
    run_script(main)
