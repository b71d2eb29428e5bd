"""What would a training cost in time, money, energy and CO2, on how many devices?

A forecast from the speed of one device, the bytes that devices exchange at each step,
and links with a latency and a bandwidth. Nothing is trained and no data are read:

    python experiments/cost_of_training.py configs/cost_of_training/quick.yaml

Expected: ResNet-50 for 90 epochs takes 13 hours, 16.6 kWh and 7.9 kg of CO2 on one
A100, and 22 seconds on 2,240 if the batch grows to 573,440 examples; if these share a
batch of 8,192, five in six wait. quick.yaml takes 2 seconds. summary.json
also has published efficiencies, and how far the forecast is off (by 2 to 15 points);
--help lists all fields.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.cost_of_training_config import CostOfTrainingConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.cost_of_training import forecast_costs
    from jaxdl.recipes.runs import open_run

    with open_run(config, experiment="cost_of_training") as run:
        return forecast_costs(config, run)


if __name__ == "__main__":
    run_script(main)
