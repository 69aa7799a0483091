"""Python programs that tests run in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

_SOURCES = str(Path(__file__).parents[1] / "python")


def start_python(code, **environment):
    """Starts a program that finds this package first; its output is piped."""
    path = os.pathsep.join(filter(None, (_SOURCES, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def run_python(code, **environment):
    """Runs a program to its end and returns what it prints; it must succeed."""
    process = start_python(code, **environment)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, f"status {process.returncode}\n{output}\n{errors}"
    return output
