"""What can a unit deep in a network see, and what does it really look at?

Lists the theoretical receptive fields of networks, measures the effective ones, and
compares stacks of small kernels with single large ones:

    python experiments/receptive_field.py configs/receptive_field/quick.yaml

Expected: three 3x3 convolutions see 7x7 pixels with 27 C^2 weights instead of 49 C^2;
the field grows with depth, the part that counts only with its root. quick.yaml takes
under a minute on 2 CPU cores. Any field can be set on the command line
(effective=[resnet8_cifar]), --help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.study_configs import ReceptiveFieldConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.receptive_field import study_receptive_fields
    from jaxdl.recipes.runs import open_run

    with open_run(config, experiment="receptive_field") as run:
        return study_receptive_fields(config, run)


if __name__ == "__main__":
    run_script(main)
