# Each target sets up what it needs in .venv (Python) and target/ (Rust).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find rust Cargo.toml Cargo.lock -name '*.rs' -o -name 'Cargo.*' 2>/dev/null)
MODULE := python/cornu/_cornu.abi3.so

.PHONY: demo test test-rust test-emulated test-python bench bench-kernels lint fmt build clean

demo: $(VENV)/demo $(MODULE)
	$(BIN)/python demo/digits.py

test: test-rust test-python

# The tests of kernels step through the instruction sets themselves; the whole suite runs once more at each lower level.
test-rust: $(VENV)/base
	for isa in avx512 avx2 scalar; do \
		CORNU_MAX_ISA=$$isa PYO3_PYTHON=$(abspath $(BIN))/python cargo test --workspace --quiet || exit 1; \
	done

# The tests of kernels on a processor without AVX, under qemu-user (Debian's package of that name), whose own threads do not survive
# a fork.
test-emulated:
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="qemu-x86_64 -cpu Nehalem" \
		cargo test --package cornu-simd --package cornu-kernels --quiet -- --skip a_forked_child

test-python: $(VENV)/test $(MODULE)
	KERAS_BACKEND=jax JAX_PLATFORMS=cpu $(BIN)/python -m pytest tests -n auto --dist loadfile

bench: $(VENV)/bench $(MODULE)
	$(BIN)/python -m benches

bench-kernels: $(VENV)/bench $(MODULE)
	$(BIN)/python -m benches.kernels

lint: $(VENV)/test $(MODULE)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd python && $(abspath $(BIN))/python -m mypy.stubtest cornu._cornu

fmt: $(VENV)/test
	cargo fmt --all
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

build: $(MODULE)

# The module beside the package's sources, so that they can be edited and run in place.
$(MODULE): $(RUST) | $(VENV)/base
	PYO3_PYTHON=$(abspath $(BIN))/python cargo build --release --package cornu-python --quiet
	cp target/release/lib_cornu.so $@.new 2>/dev/null || cp target/release/lib_cornu.dylib $@.new
	mv $@.new $@

# One stamp for each set of requirements; `python/` is put on the path of the environment.
$(VENV)/base: requirements/base.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/base.txt
	$(BIN)/python -c "import pathlib, site; pathlib.Path(site.getsitepackages()[0], 'cornu.pth').write_text('$(abspath python)')"
	touch $@

$(VENV)/%: requirements/%.txt | $(VENV)/base
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/$*.txt
	touch $@

clean:
	rm -rf $(VENV) target $(MODULE)
