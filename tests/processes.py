"""Python programs that tests run in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

_SOURCES = str(Path(__file__).parents[1] / "python")


def environment(**variables):
    """Returns the environment of a program that finds this package first."""
    path = os.pathsep.join(filter(None, (_SOURCES, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **variables}


def start_python(code, **variables):
    """Starts a program with these environment variables; its output is piped."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    )


def run_python(code, **variables):
    """Runs a program to its end and returns what it prints; it must succeed."""
    process = start_python(code, **variables)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, f"status {process.returncode}\n{output}\n{errors}"
    return output
