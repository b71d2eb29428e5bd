"""What does a trained classifier score on a split?

    python experiments/evaluate.py RUN_FOLDER split=test batch_size=512
    python experiments/evaluate.py exported.safetensors
    python experiments/evaluate.py resnet18.pth model.name=resnet18 data.source=...

RUN_FOLDER is one of train_classifier.py or train_rbf.py, or a variant of a study. One
pass, every example once: the numbers do not depend on the batch size or on the number
of devices. A weights file is one exported from a run, which needs no more words, or
.safetensors, .npz or .pth in PyTorch's layout. Takes seconds on the digits.
"""

from jaxdl.recipes.command_line import read_run_command_line, run_script
from jaxdl.recipes.configs import EvaluationConfig
from jaxdl.recipes.weights_options import is_weights_file, read_weights_defaults


def main(argv: list[str]) -> int:
    """Runs the evaluation; the result is the exit status."""
    path, _, config = read_run_command_line(
        EvaluationConfig,
        argv,
        doc=__doc__,
        place="RUN_FOLDER|WEIGHTS_FILE",
        read_defaults=read_weights_defaults,
    )
    # Imported late: a mistake on the command line is reported before JAX has loaded.
    from jaxdl.recipes.build import build_dataset, build_mesh
    from jaxdl.recipes.trained import evaluate_run, load_classifier
    from jaxdl.recipes.weights_file import load_weights_file

    mesh = build_mesh(config.mesh)
    dataset = None
    if is_weights_file(path):
        dataset = build_dataset(config.data)
        trained = load_weights_file(
            path,
            mesh,
            model=config.model,
            augment=config.augment,
            data=config.data,
            dataset=dataset,
        )
    else:
        trained = load_classifier(path, mesh, checkpoint=config.checkpoint)
    evaluate_run(
        trained,
        mesh,
        split=config.split,
        batch_size=config.batch_size,
        dataset=dataset,
    )
    return 0


if __name__ == "__main__":
    run_script(main)
