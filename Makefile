# Every target sets itself up; a second set-up takes no time.
VENV := $(or $(GLOTTIS_VENV),$(CURDIR)/.venv)
PYTHON := "$(VENV)/bin/python"
BIN := PATH="$(VENV)/bin:$$PATH"
SHELL_FILES := .ci/run tools/*.sh recipes/*/*.sh
TYPED := tts/diffusion tts/audio tts/image tts/inference/image*.py tts/training/image*.py tts/apps/cli/image tts/config.py tts/device.py

.PHONY: test check format clean install-test install-dev

test: install-test ## the test suite, a process a core; PYTEST_ARGS="-n 0 -k mel" narrows it and needs one
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

check: install-dev ## lint, format, types of the core, layers, shell, repository
	$(BIN) ruff check .
	$(BIN) ruff format --check .
	$(BIN) mypy $(TYPED)
	$(BIN) lint-imports
	$(BIN) shellcheck $(SHELL_FILES)
	$(PYTHON) tools/check_repo.py

format: install-dev ## rewrite the Python files in the house format
	$(BIN) ruff check --fix .
	$(BIN) ruff format .

clean: ## remove what tests and builds leave; .venv, dump/ and exp/ stay
	rm -rf build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find tts tests tools egs -name __pycache__ -type d -prune -exec rm -rf {} +

install-test:
	@bash tools/install.sh --extras train,phonemes,eval,asr,content,similarity,image,test

install-dev:
	@bash tools/install.sh --extras train,phonemes,eval,asr,content,similarity,image,test,dev
