"""Scores 1 to 40 examples with several processes, and prints what was counted.

python -m tests.hosts_evaluation ADDRESS COUNT INDEX
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import ArraySplit
from jaxdl.parallel import Place, join_processes, leave_processes, make_mesh
from jaxdl.train import evaluate, make_evaluation_step

NUM_DEVICES = (1, 2, 4, 8)
BATCH_SIZE = 6


def make_split(num_examples):
    values = np.arange(num_examples, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return ArraySplit(values, np.arange(num_examples, dtype=np.int32) % 3, name="made")


def score(params, model_state, batch):
    mask, values = batch["mask"], batch["images"][:, 0, 0, 0].astype(jnp.float32)
    totals = {
        "count": jnp.sum(mask, dtype=jnp.int32),
        "labels": jnp.sum(jnp.where(mask, batch["labels"], 0), dtype=jnp.int32),
        "values": jnp.sum(jnp.where(mask, params * values, 0.0)),
    }
    return totals, {"value": values}


def count_all():
    """Totals and outputs by devices per process and number of examples."""
    found, step = [], make_evaluation_step(score)
    for num_devices in NUM_DEVICES:
        by_process = {}
        for device in jax.devices():
            by_process.setdefault(device.process_index, []).append(device)
        devices = [d for same in by_process.values() for d in same[:num_devices]]
        mesh = make_mesh(devices=devices)
        for num_examples in range(1, 41):
            outputs = np.full(num_examples, -1.0)
            times = np.zeros(num_examples, int)

            def on_outputs(indices, rows, outputs=outputs, times=times):
                outputs[indices] = rows["value"]
                times[indices] += 1

            totals = evaluate(
                step,
                {"count": np.int32(0), "labels": np.int32(0), "values": np.float32(0)},
                np.float32(0.5),
                {},
                make_split(num_examples),
                mesh=mesh,
                batch_size=BATCH_SIZE,
                on_outputs=on_outputs,
            )
            totals = {name: np.asarray(value).item() for name, value in totals.items()}
            row = {"outputs": outputs.tolist(), "times": times.tolist()}
            found.append(
                {"devices": num_devices, "examples": num_examples, **totals, **row}
            )
    return found


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", max(NUM_DEVICES))
    join_processes(Place(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print("FOUND", json.dumps(count_all()), flush=True)
    leave_processes()
