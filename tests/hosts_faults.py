"""Runs a training script, and does something to this process before a step.

python -m tests.hosts_faults FAULT STEP SCRIPT ARGUMENT ...
"""

import faulthandler
import os
import runpy
import signal
import sys
import time

from jaxdl.errors import DataError
from jaxdl.train import StopRequest


def inject(fault, at_step):
    poll = StopRequest.poll

    def poll_with_fault(self, step=0):
        if step == at_step:
            if fault == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "hang":
                time.sleep(1e6)
            if fault == "fail":
                raise DataError("images/7.png: damaged")
            if fault == "break":
                raise RuntimeError("out of memory")
            if fault == "term" and self._received is None:
                os.kill(os.getpid(), signal.SIGTERM)
        return poll(self, step)

    StopRequest.poll = poll_with_fault


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)
    inject(sys.argv[1], int(sys.argv[2]))
    sys.argv = sys.argv[3:]
    runpy.run_path(sys.argv[0], run_name="__main__")
