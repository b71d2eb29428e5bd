"""How many parameters of a trained network can low-rank layers save, at what accuracy?

Factors the kernels of a network by several methods to several sizes, scores each
network as it is and after a short fine-tuning:

    python experiments/svd_compress_network.py configs/svd_compress_network/quick.yaml

quick.yaml trains ResNet-8 on the digits first. resnet20_cifar10.yaml takes a trained
ResNet-20 from $JAXDL_DATA_DIR, halves its last stage and keeps 0.908 of 0.917 (test
accuracy on CIFAR-10, spatial and activation-aware, fine-tuned). Any field can be set
on the command line (compression.shares=[0.5]), --help lists them all.
"""

from jaxdl.recipes.command_line import read_command_line, run_script
from jaxdl.recipes.svd_compress_network_config import CompressNetworkConfig as Config


def main(argv: list[str]) -> int:
    """Runs the experiment; the result is the exit status."""
    config = read_command_line(Config, argv, doc=__doc__)
    # Imported late: a mistake in the config is reported before JAX has loaded.
    from jaxdl.recipes.runs import open_run
    from jaxdl.recipes.svd_compress_network import study_network_compression

    with open_run(config, experiment="svd_compress_network") as run:
        return study_network_compression(config, run)


if __name__ == "__main__":
    run_script(main)
