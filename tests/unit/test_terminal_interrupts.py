"""An interrupt reaches the jobs, and the jobs that they started."""

import subprocess
import sys

PARENT = """
import signal, subprocess, sys
from workflow_scripts.cxrcam.terminal.interrupts import stop_jobs
signal.signal(signal.SIGINT, stop_jobs)
code = "import time; print('job', flush=True); time.sleep(60)"
job = subprocess.Popen([sys.executable, "-c", code])
try:
    job.wait()
except KeyboardInterrupt:
    print("stopped by", job.wait(30))
"""


def test_an_interrupt_ends_the_jobs():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "job\n"
        run.send_signal(2)
        assert run.stdout.read() == "stopped by -15\n"
    assert run.returncode == 0
