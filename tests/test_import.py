"""What `import cornu` costs and what it loads."""

from pathlib import Path

from processes import run_python

# Imported when a file is written or read, or never.
HEAVY = (
    "h5py",
    "scipy",
    "tensorflow",
    "jax",
    "torch",
    "keras",
    "ml_dtypes",
    "pandas",
    "matplotlib",
)

_IMPORT = """
import time
import numpy
start = time.perf_counter()
import cornu
cornu.__version__
print(time.perf_counter() - start)
"""

_TRAINING = """
import sys
import numpy as np
numpy_alone = set(sys.modules)
import cornu
imported = set(sys.modules) - numpy_alone
model = cornu.Sequential([cornu.Input((4,)), cornu.layers.Dense(3, "relu"), cornu.layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
model.predict(np.ones((2, 4)), verbose=0)
for names in (imported, set(sys.modules)):
    print(*sorted({name.partition(".")[0] for name in names}))
"""


def test_import_costs_little_more_than_numpy():
    assert min(float(run_python(_IMPORT)) for _ in range(5)) < 0.060


def test_neither_import_nor_training_loads_what_is_heavy():
    for line in run_python(_TRAINING).splitlines():
        assert "cornu" in line.split()
        assert set(line.split()).isdisjoint(HEAVY)


def test_importing_loads_no_layer():
    modules = run_python("import sys, cornu; print(*sys.modules)").split()
    assert {name for name in modules if name.startswith("cornu")} == {"cornu", "cornu.lazy"}


def test_the_compiled_module_is_small():
    from cornu import _cornu

    assert Path(_cornu.__file__).stat().st_size <= 8 * 2**20
