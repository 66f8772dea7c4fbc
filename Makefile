# make pretrain   set-up, then the main job: from phantoms to a trained and tracked ARL on this machine
# make test       set-up, then the tests
# make help       everything else

SHELL := /bin/bash
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
RESULTS ?= $(CURDIR)/results
RUN ?= quickstart
PHANTOM := $(RESULTS)/phantom
ONTOLOGY := $(CURDIR)/medvlp/corpora/phantom/phantom.obo

export PATH := $(BIN):$(PATH)
export PYTHONPATH := $(CURDIR)/platform:$(CURDIR)
# DeepSpeed compiles its CPU communication on first use. So it is compiled once, at set-up, in a folder that no other environment shares.
export TORCH_EXTENSIONS_DIR := $(CURDIR)/.venv/torch_extensions

# Arguments of Python to compile DeepSpeed's CPU communication.
COMPILE = -c "from deepspeed.accelerator import get_accelerator as a; b = a().create_op_builder('ShareMemCommBuilder'); b and b.load()"
LOWEST := $(RESULTS)/lower-bounds

.PHONY: help setup pretrain finetune evaluate export ui check format test test-all verify reliability docs constraints lower-bounds clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/installed ## create .venv and install

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,docs]'
	rm -rf $(TORCH_EXTENSIONS_DIR)
	$(BIN)/python $(COMPILE)
	touch $@

$(PHANTOM)/knowledge: | setup
	python jobs/prepare.py --corpus phantom --output $(PHANTOM)/shards --samples_per_shard 500 --vocabulary_size 1024 \
	  --options '{"train": 16000, "validation": 1000, "test": 1000}'
	python jobs/link.py --shards $(PHANTOM)/shards --ontology $(ONTOLOGY) --output $(PHANTOM)/links
	python jobs/knowledge.py --shards $(PHANTOM)/shards --links $(PHANTOM)/links --ontology $(ONTOLOGY) \
	  --transe.width 64 --output $@

pretrain: $(PHANTOM)/knowledge ## set up, then run the main job
	python -m scaleout.local submit --name $(RUN) -- python jobs/pretrain.py --config jobs/recipes/quickstart.yaml \
	  --name $(RUN) --storage $(RESULTS)/runs --data.shards $(PHANTOM)/shards --data.links $(PHANTOM)/links --knowledge $(PHANTOM)/knowledge
	@echo "to see curves and pictures: make ui"

$(PHANTOM)/question-links/manifest.json: | setup
	python jobs/prepare.py --corpus phantom-questions --output $(PHANTOM)/question-shards --vocabulary_size 0 \
	  --options '{"train": 20000, "validation": 1000, "test": 1000}'
	python jobs/link.py --shards $(PHANTOM)/question-shards --ontology $(ONTOLOGY) --output $(@D)

finetune: $(PHANTOM)/question-links/manifest.json ## fine-tune on questions about phantoms, after make pretrain
	python -m scaleout.local submit --name $(RUN)-answers -- python jobs/finetune.py --config jobs/recipes/finetune-quickstart.yaml \
	  --name $(RUN)-answers --storage $(RESULTS)/runs --start_from $(RESULTS)/runs/$(RUN) \
	  --data.shards $(PHANTOM)/question-shards --data.links $(PHANTOM)/question-links

evaluate: setup ## evaluate the run RUN-answers on its whole test split
	python -m scaleout.local submit --name $(RUN)-evaluation -- python jobs/evaluate.py --run $(RUN)-answers --storage $(RESULTS)/runs --split test

export: setup ## export the newest checkpoint of RUN as a folder for medvlp.load
	python jobs/export.py --run $(RUN) --storage $(RESULTS)/runs --output $(RESULTS)/models/$(RUN) --overwrite

ui: setup ## start MLflow on loopback
	@echo "open http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
	mlflow ui --host 127.0.0.1 --port 5000 --workers 1 --backend-store-uri sqlite:///$(RESULTS)/runs/mlflow.db

check: setup ## check style, types and import rules
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	python tools/code_size.py

format: setup ## format the code
	ruff check --fix .
	ruff format .

test: check ## run the checks, then the tests without the slow ones
	python -m pytest -m "not slow and not chaos and not verify"

test-all: test ## run the tests, then the slow ones
	python -m pytest -m "(slow or chaos) and not verify"

verify: setup ## run what takes too long for CI (all faults, long fuzzing, the jobs of the README) and write docs/verified.md
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,docs,verify]'
	python -m tests.verified

reliability: setup ## run all fault-injection tests and write the cost of each fault to docs/reliability.md
	mkdir -p $(RESULTS)
	rm -f $(RESULTS)/faults.json
	MEDVLP_FAULTS=$(RESULTS)/faults.json python -m pytest -m chaos
	MEDVLP_FAULTS=$(RESULTS)/faults.json python -m tests.faults

docs: setup ## build the documentation site in results/site; needs no network
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --site-dir $(RESULTS)/site
	@echo "to read it: python -m http.server --bind 127.0.0.1 --directory $(RESULTS)/site"

constraints: ## update .venv to the newest versions that pyproject.toml allows and write them to constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager -e '.[test,docs]'
	$(BIN)/python tools/constraints.py > constraints.new
	mv constraints.new constraints.txt

# uv finds the lowest versions, except for torch, which is taken from constraints.txt; pip installs them from its configured index.
lower-bounds: ## run the fast tests without Ray, with the lowest versions that pyproject.toml allows
	rm -rf $(LOWEST)
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --upgrade pip uv
	grep -E '^torch==' constraints.txt > $(LOWEST)/torch.txt
	$(LOWEST)/bin/uv pip compile --quiet --resolution lowest-direct --extra test --constraint $(LOWEST)/torch.txt \
	  --python $(LOWEST)/bin/python --output-file $(LOWEST)/versions.txt pyproject.toml
	$(LOWEST)/bin/python -m pip install --quiet -c $(LOWEST)/versions.txt -e '.[test]'
	TORCH_EXTENSIONS_DIR=$(LOWEST)/torch_extensions $(LOWEST)/bin/python $(COMPILE)
	PATH=$(LOWEST)/bin:$(PATH) TORCH_EXTENSIONS_DIR=$(LOWEST)/torch_extensions \
	  python -m pytest -m "not slow and not chaos and not ray and not verify"

clean: ## remove results (not .venv)
	rm -rf $(RESULTS)
