# Everything is in tasks.py, so that Windows has the same verbs: python tasks.py demo
PYTHON ?= python3
REPLAYS ?=

.PHONY: demo test lint docs bench setup kernels clean

demo:
	$(PYTHON) tasks.py demo $(if $(REPLAYS),--replays "$(REPLAYS)")

test:
	$(PYTHON) tasks.py test

lint:
	$(PYTHON) tasks.py lint

docs:
	$(PYTHON) tasks.py docs

bench:
	$(PYTHON) tasks.py bench

setup:
	$(PYTHON) tasks.py setup

kernels:
	$(PYTHON) tasks.py kernels

clean:
	rm -rf .venv docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
