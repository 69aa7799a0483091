"""The demo reaches the accuracy that it promises, and its saved model predicts the same bits."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from processes import environment

DEMO = Path(__file__).parents[1] / "demo" / "digits.py"


def test_digits(tmp_path):
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, DEMO],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = re.search(r"Accuracy on held-out images: (\d\.\d+)", done.stdout)
    assert float(accuracy[1]) >= 0.98
    assert "predicts bit-equal: True" in done.stdout
    assert (tmp_path / "demo-output" / "digits.keras").exists()
    plans = done.stdout.split("The plan of a training step:")[1].split("The plan of a prediction:")
    assert "ConvKernelGradient" in plans[0]
    assert "Gradient" not in plans[1]
