"""How do throughput and efficiency change over devices and layouts, and what limits it?

The training step of `train_classifier.py` on 1, 2, 4, 8 devices, whose batch, optimiser
state, parameters or layers are split (data, optimizer, everything, model, combined),
measured, and forecast for as many as you like:

    python experiments/scaling_study.py configs/scaling_study/quick.yaml

Expected of quick.yaml, on devices that are simulated on 2 cores: bytes forecast from
the layout equal to those of the compiled programs for all layouts but `everything`,
2.4 MB per step on 8 devices for data parallel, memory per device from 20 MB to 3 to 7
MB, and half of the throughput of one device where 8 share a batch of 64. Without 8
devices of your own they share the cores: efficiency is then against one device on the
same cores. --help lists all fields.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.scaling_study_config import ScalingStudyConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.scaling_study import study_scaling

    with open_run(config, experiment="scaling_study") as run:
        return study_scaling(config, run)


if __name__ == "__main__":
    run_script(main)
