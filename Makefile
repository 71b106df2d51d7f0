PY := .venv/bin/python
# Where there is none, `make install` got one.
UV = $(or $(shell command -v uv),.stack/tools/bin/uv)
LONG := STATEFUL_EXAMPLES=10000 $(PY) -m pytest tests/stateful/test_machine.py -q --timeout=0
.DEFAULT_GOAL := help
.PHONY: help install check lint types imports test test-slow test-unit properties stateful fuzz fuzz-intake mutate up demo demo-face drill down faults hosts soak status logs clean bench bench-data bench-live bench-rollback bench-scale bench-serving bench-training bench-verification studies proto lock images sbom audit

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: ## Make .venv, install PostgreSQL, RabbitMQ, Prometheus and Chromium when missing
	@sh include/stack/install.sh

demo: install ## Run the whole loop and print a report; leaves the stack up
	@$(PY) -m include.demo

demo-face: install ## Drawn people, doors, people's word: a face model is retrained, swapped in under load and taken back; PEOPLE=380 for fewer
	@$(PY) -m include.demo.faces $(if $(PEOPLE),--people $(PEOPLE))

drill: install ## On the running stack: a bad model, automatic rollback, canaries, archive, faces that learn from doors; writes .stack/drill-report.json
	@$(PY) -m include.demo.drill

up: install ## Start the stack
	@$(PY) -m include.stack up

down: ## Stop the stack; no process stays behind
	@if [ -x $(PY) ]; then $(PY) -m include.stack down; fi

status: ## What runs, addresses and logins
	@$(PY) -m include.stack status

logs: ## The last lines of every log
	@$(PY) -m include.stack logs

clean: ## Stop, and delete all data of the stack
	@if [ -x $(PY) ]; then $(PY) -m include.stack clean; fi

check: lint types imports ## Lint, types, import contracts

lint:
	@.venv/bin/ruff check . && .venv/bin/ruff format --check --quiet .

types:
	@.venv/bin/mypy

imports:
	@NO_COLOR=1 .venv/bin/lint-imports

test: install ## Everything: lint, types, import contracts, all tests
	@$(PY) -m tests

test-slow: install ## What takes much processor and changes seldom: a first model of a folder, two devices, a killed training, sweeps, rotated secrets, simulations
	@$(PY) -m pytest tests -m slow -q
	@NIGHTS=10 $(PY) -m pytest tests/dags/test_lifecycle.py -q

test-unit: install ## Unit tests only
	@$(PY) -m pytest tests/unit -q

properties: install ## 10 000 cases of every property that names no number of its own; hours
	@$(PY) -m pytest tests/unit tests/contract -q --timeout=0 --hypothesis-profile=long

stateful: install ## 20 000 sequences of acts, faults and accidents around deployments, on two cores; some minutes when they are idle
	@$(LONG) & first=$$!; $(LONG); second=$$?; wait $$first && exit $$second

fuzz: fuzz-intake ## Any bytes on every port of the model server, any damage to a model, any request to each HTTP door, and fuzz-intake; 5000 on each port, 500 for each HTTP operation, 1000 for the intake, or FUZZ_EXAMPLES
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-5000} $(PY) -m pytest tests/replica/test_byte_fuzzing.py tests/replica/test_fuzzing.py tests/replica/test_bounded_memory.py \
		tests/integration/test_any_artifact.py -q --timeout=0
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-500} $(PY) -m pytest tests/doors/test_promises.py -q --timeout=0

fuzz-intake: install ## Any message between good ones, any photo and any row, from the queue to a dataset; FUZZ_EXAMPLES=1000
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-1000} $(PY) -m pytest tests/integration/test_odd_messages.py \
		tests/unit/pipeline/steps/test_any_odd_one.py -k "any_message or whatever" -q --timeout=0

faults: install ## Thirty faults on a stack of their own, the five invariants after each; ROWS="1 19" for some; writes include/studies/faults.md
	@$(PY) -m tests.faults $(ROWS)

hosts: install ## Workers as separate hosts, in namespaces: photos spread, one dies, one comes late; as root; HOSTS=1,2,4
	@$(PY) -m tests.hosts $(if $(HOSTS),--hosts $(HOSTS))

soak: install ## Everything at once on a stack of its own for an hour, a fault each minute; MINUTES=5 for less
	@$(PY) -m tests.soak $(if $(MINUTES),--minutes $(MINUTES))

mutate: install ## Change the code in small ways: does a test notice? FILES=pipeline/domain for some files only, SAMPLE=20 for 20 mutants of each
	@$(PY) -m tests.mutation $(FILES) $(if $(SAMPLE),--sample $(SAMPLE))

bench: install ## Each beside the plain way, as ratios; all benchmarks: .venv/bin/python -m include.bench list
	@$(PY) -m include.bench run ratios

bench-serving: install ## Replicas under load while their model changes; two hours
	@$(PY) -m include.bench run serving

bench-training: install ## Against a plain fit, and killed at random moments
	@$(PY) -m include.bench run training

bench-data: install ## Seconds and memory of collecting and augmenting
	@$(PY) -m include.bench run data

bench-scale: install ## A month of ten million confirmations, scaled down, SCALE=1 for all: what is decided, rows, bytes, slowest question; writes include/studies/scale.md
	@$(if $(SCALE),BENCH_SCALE=$(SCALE)) $(PY) -m include.bench run scale

bench-live: install ## What the monitor does to good and bad models, by simulation; writes include/studies/live-accuracy.md
	@$(PY) -m include.bench run live-accuracy

bench-rollback: install ## Rollbacks through the page on a stack of its own, from the second click to every replica read back; TIMES=10
	@$(PY) -m tests.rollback $(TIMES)

bench-verification: install ## Who is promoted, held, refused, by simulation; memory of a verification; writes include/studies/
	@$(PY) -m include.bench run verification paired-coverage canary verification-memory

studies: install ## Why replay, why split before augmenting: tables and plots anew, five seeds
	@$(PY) -m include.bench run studies

proto: ## Regenerate the gRPC stubs
	@$(PY) -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. --pyi_out=. include/contract/faceserve.proto

lock: ## Recompile requirements.txt, and of it what each image needs
	@$(UV) pip compile --quiet requirements.in --generate-hashes --python-version 3.11 -o requirements.txt
	@for image in uv audit faceserve application training training-cuda; do $(UV) pip compile --quiet include/docker/$$image.in \
		-c requirements.txt --generate-hashes --no-annotate --python-version 3.11 --python-platform x86_64-manylinux_2_36 \
		-o include/docker/$$image.txt || exit; done
	@$(UV) pip compile --quiet include/docker/openlineage.in --no-deps --generate-hashes --no-annotate --python-version 3.11 \
		-o include/docker/openlineage.txt

images: ## Build the images with Docker: application, training for processors and for GPUs, faceserve
	@sh include/docker/images.sh

sbom: install ## What each image is made of, as CycloneDX, to .sbom/
	@sh include/docker/audit.sh sbom

audit: install ## Ask PyPI which packages of the images are known to be vulnerable
	@sh include/docker/audit.sh audit
