"""Python in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import keras_balanced_siamese as kbs

FOLDERS = [Path(kbs.__file__).parents[1], Path(__file__).parent]


def environment(**variables):
    """The variables of this process; the package and the helpers of the tests are importable."""
    before = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, FOLDERS), *before]), **variables}


def start(*arguments, **variables):
    """Start Python and return at once, so that the caller can work meanwhile; `output` waits."""
    command = [sys.executable, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment(**variables), text=True, **pipes)


def output(process):
    """Wait for the process, and return what it printed."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    return out
