# `make run` and `make test` do all the set-up each, in .venv of the checkout; once it is done they start at once.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin/python
COMPILE := $(BIN) -m piptools compile -q --strip-extras --generate-hashes --no-header \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
# Two makes that start together take turns, where there is flock; the lock is on this file, so that none is left behind.
TURN := $(if $(shell command -v flock),flock Makefile)

.PHONY: run test compose-test browser-test browser screenshots lint bench lock clean

run: $(VENV)/runtime
	@$(BIN) -m chassis.stack

test: lint browser
	@$(BIN) -m pytest $(ARGS)

compose-test: $(VENV)/development
	@ANIMATIZE_TEST_ENGINE=required $(BIN) -m pytest tests/compose $(ARGS)

browser-test: $(VENV)/development browser
	@ANIMATIZE_TEST_BROWSER=$${ANIMATIZE_TEST_BROWSER:-required} $(BIN) -m pytest tests/browser $(ARGS)

browser:
	@sh tests/browser/install

screenshots: $(VENV)/development browser
	@$(BIN) -m tests.browser.screenshots

lint: $(VENV)/development
	@$(BIN) -m ruff check -q
	@$(BIN) -m ruff format -q --check
	@$(BIN) -m mypy --no-error-summary

bench: $(VENV)/development
	@$(BIN) -m tests.benchmarks

lock: $(VENV)/development
	@$(COMPILE) -o requirements.lock pyproject.toml
	@$(COMPILE) --extra dev --allow-unsafe -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +

# A stamp appears when all went well, and only then; `made` tells a whole environment from one whose making was cut off.
$(VENV)/runtime: requirements.lock
$(VENV)/development: requirements-dev.lock
$(VENV)/runtime $(VENV)/development:
	@$(TURN) sh -ec ' \
	  $(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and \"Python 3.11 or newer is needed, $(PYTHON) is %d.%d: name another with make PYTHON=...\" % sys.version_info[:2])"; \
	  [ -e $(VENV)/made ] && $(BIN) -c "" 2>/dev/null || { echo "Setting up $(VENV) ..."; $(PYTHON) -m venv --clear $(VENV); touch $(VENV)/made; }; \
	  $(BIN) -m pip install -q --disable-pip-version-check --require-hashes -r $<; \
	  ln -sf ../../animatize/command $(VENV)/bin/animatize; \
	  touch $@'
