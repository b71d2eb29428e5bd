"""Runs scripts on what a user got wrong, and checks what they say."""

from PIL import Image

from tests.scripts import ROOT, run_main

QUICK = ROOT / "configs" / "train_classifier" / "quick.yaml"


def run_quick(tmp_path, *overrides):
    status, message = run_main(
        "train_classifier", QUICK, "mesh.data=1", f"run.folder={tmp_path}", *overrides
    )
    return status, message


def check(status, message, wanted, words):
    assert status == wanted, message
    lines = message.splitlines()
    assert len(lines) == 1, message
    for word in words:
        assert word in lines[0]


def write_classes(root, *, count=8):
    for label, name in enumerate(("ape", "bee", "cow")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (80 * label, i, 9)).save(root / name / f"{i}.png")


def replace(run, old, new):
    text = (run / "config.yaml").read_text()
    assert old in text
    (run / "config.yaml").write_text(text.replace(old, new))
