# Works on a fresh machine with Python >= 3.11:   make demo    make test
#
#   TORCH=torch==2.13.0   which torch to install (a requirement, a wheel's path or address)
#   TORCH_INDEX=ADDRESS   where to take it from (PyTorch's installation page has one for CPU builds)
#   PYTHON=python3.12     which interpreter to start from
#
# Without TORCH, a torch >= 2.10 of the interpreter itself is used; where it has none,
# $(DEFAULT_TORCH) is installed.

DEFAULT_TORCH := torch==2.13.0
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	command -v "$$p"; break; fi; done)
BIN := .venv/bin
# A virtual environment made from another one sees the system's packages, not the other one's.
PURELIB := 'import sysconfig; print(sysconfig.get_path("purelib"))'
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test test-torch test-libraries test-vectors gallery test-gpu lint format bench bench-tensorflow bench-analysis bench-page bench-memory sweep clean FORCE
.DELETE_ON_ERROR:

demo: .venv/.test
	@rm -rf demo && mkdir -p demo
	$(BIN)/placeaudit trace --simulate cuda -o demo/run --html demo/report.html \
		examples/image_classifier/train.py
	@echo "The report is demo/report.html; open it in a browser."

test: .venv/.test
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

# Another torch, in an environment of its own:   make test-torch TORCH=torch==2.10.0
# (what torch is installed from can be named by TORCH_INDEX, as above).  Writes its row of
# reports/torch_versions.md.
TORCH_ENV := .venv-$(subst =,-,$(notdir $(TORCH)))
test-torch:
	@test -n "$(TORCH)" || { echo "which torch?  make test-torch TORCH=torch==2.10.0" >&2; exit 1; }
	@test -f '$(TORCH_ENV)/.made' || { \
		"$(PYTHON)" -m venv --clear '$(TORCH_ENV)' && \
		'$(TORCH_ENV)/bin/python' -m pip --disable-pip-version-check install --quiet \
			$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)' && \
		'$(TORCH_ENV)/bin/python' -m pip install --quiet --upgrade 'pip>=25.1' && \
		touch '$(TORCH_ENV)/.made'; }
	@'$(TORCH_ENV)/bin/python' -m pip --disable-pip-version-check install --quiet \
		--editable . --group test
	'$(TORCH_ENV)/bin/python' tests/torch_versions/run.py -- -n auto $(PYTEST_ARGS)

# Training by libraries on top of torch: transformers, accelerate, Lightning, skorch.
test-libraries: .venv/.libraries
	$(BIN)/python -m pytest tests/integration/test_libraries.py $(PYTEST_ARGS)

# Vectors and optimizer plug-ins of declearn.
test-vectors: .venv/.vectors
	$(BIN)/python -m pytest tests/integration/test_vectors.py tests/scenarios \
		-k "vectors or declearn" $(PYTEST_ARGS)

# Every example with the real libraries (declearn, Heat under mpirun, …); where all pass, the README's
# gallery is written from their results.
gallery: .venv/.scenarios
	$(BIN)/python -m pytest -n auto tests/scenarios --junitxml .venv/scenarios.xml $(PYTEST_ARGS)
	$(BIN)/python tests/scenarios/gallery.py .venv/scenarios.xml

# On a machine with an NVIDIA device: is everything that is assumed of one true of this one?
test-gpu: .venv/.test
	$(BIN)/python -m pytest tests/gpu $(PYTEST_ARGS)

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.test
	$(BIN)/python tests/benchmarks/run.py

# What recording costs in TensorFlow, written to reports/tensorflow_costs.md.
bench-tensorflow: .venv/.test
	$(BIN)/python tests/benchmarks/tensorflow_costs.py

bench-analysis: .venv/.test
	$(BIN)/python tests/benchmarks/analysis.py

bench-page: .venv/.test
	$(BIN)/python tests/benchmarks/page.py

# Memory and disk that recording takes over long runs, written to reports/memory.md.
bench-memory: .venv/.test
	$(BIN)/python tests/benchmarks/memory.py

# PyTorch's own samples of every operator on simulated CUDA, written to reports/operators.md.
# SWEEP_ARGS="--samples 3" is a quick one.
sweep: .venv/.test
	$(BIN)/python tests/sweeps/operators.py $(SWEEP_ARGS)

# Precision and recall of every rule on tests/corpus/, written to reports/corpus.md.
score: .venv/.test
	$(BIN)/python tests/corpus/score.py

clean:
	rm -rf .venv .venv-torch* demo build dist .mypy_cache .pytest_cache .ruff_cache

# torch comes first and alone, so that pip takes the build the user's own configuration offers;
# nothing that is installed later asks for it again.
.venv/.torch: .venv/.torch-choice
	@test -n "$(PYTHON)" || { echo "placeaudit needs Python >= 3.11; none was found (PYTHON=...)" >&2; exit 1; }
	@rm -rf .venv/bin .venv/lib
	@if [ -z "$(TORCH)" ] && "$(PYTHON)" -c \
		'import torch, sys; sys.exit(tuple(map(int, torch.__version__.split(".")[:2])) < (2, 10))' \
		2>/dev/null; then \
		echo "using the torch of $(PYTHON)"; \
		"$(PYTHON)" -m venv --system-site-packages .venv && \
		"$(PYTHON)" -c $(PURELIB) > "$$($(BIN)/python -c $(PURELIB))/parent.pth" && \
		$(BIN)/python -m pip --disable-pip-version-check uninstall --quiet --yes setuptools && \
		$(BIN)/python -c 'import torch'; \
	else \
		"$(PYTHON)" -m venv .venv && \
		echo "installing $(or $(TORCH),$(DEFAULT_TORCH))" && \
		$(INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(or $(TORCH),$(DEFAULT_TORCH))'; \
	fi
	@touch $@

# Holds the choice made; changes only when another TORCH is asked for.
.venv/.torch-choice: FORCE
	@mkdir -p .venv
	@if [ ! -f $@ ] || { [ -n "$(TORCH)" ] && [ "$$(cat $@)" != "$(TORCH)" ]; }; then \
		printf '%s\n' '$(TORCH)' > $@; fi

# pip installs dependency groups from 25.1 on.
.venv/.test: .venv/.torch pyproject.toml
	@echo "installing placeaudit and what its tests need"
	@$(INSTALL) --upgrade 'pip>=25.1'
	@$(INSTALL) --editable . --group test
	@touch $@

.venv/.libraries: .venv/.test
	@$(INSTALL) --group libraries
	@touch $@

# Heat holds torch back, and needs the torchvision that belongs to the torch that is there.
TORCHVISION := 'import torch; print("torchvision==0.%d.*" % (int(torch.__version__.split(".")[1]) + 15))'
.venv/.scenarios: .venv/.test
	@$(INSTALL) --group scenarios
	@$(INSTALL) --no-deps 'heat>=1.8,<2'
	@$(INSTALL) --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) \
		"$$($(BIN)/python -c $(TORCHVISION))"
	@touch $@

.venv/.vectors: .venv/.test
	@$(INSTALL) --group vectors
	@touch $@

# --ignore-installed: the tools' own commands must be here even where a parent environment has them.
.venv/.lint: .venv/.test
	@$(INSTALL) --ignore-installed --group lint
	@touch $@
