"""Print a row of the table "Tested with" for the environment that runs this file: LANE TESTS..."""

import os
import platform
import sys
from importlib.metadata import version

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}

lane, tests = sys.argv[1:]
backend = os.environ["KERAS_BACKEND"]
packages = f"{BACKENDS[backend]} {version(backend).split('+')[0]}"
if lane == "addons":
    packages += f", tensorflow-addons {version('tensorflow-addons')}"
cells = [lane, platform.python_version(), version("keras"), packages, version("numpy"), tests]
print(f"| {' | '.join(cells)} |")
