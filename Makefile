# make demo: everything set up, then a sick machine examined, cured and proven well, for real
# make test: everything, real engines included
# Both need root and namespaces, say so where these are missing, and may be run again at any time.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What is slow to make is kept outside the checkout; tests/lab/store.py looks there too.
export DOCKERDOCTOR_LAB ?= /var/tmp/dockerdoctor-lab
VENV := $(DOCKERDOCTOR_LAB)/venv-$(shell sha256sum pyproject.toml | cut -c1-12)
RUN := PYTHONPATH=. $(VENV)/bin/

.PHONY: help demo test check fast browser lint docs docs-check site zipapp image screenshots lab prepare prepare-all matrix coverage bench

help:
	@sed -n 's/^# make/make/p' Makefile

$(VENV)/ready:
	@if ! python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then \
		test "$$(id -u)" = 0 || { echo "Python 3.10 or newer with venv is missing: install python3 and python3-venv" >&2; exit 3; }; \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv; fi
	rm -rf $(VENV) && python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
# The tools and libraries stay; the package itself is always this checkout's.
	$(VENV)/bin/pip uninstall --quiet --yes --disable-pip-version-check dockerdoctor
	rm -rf $(VENV)/lib/python3*/site-packages/dockerdoctor
	touch $@

prepare: $(VENV)/ready
	@$(RUN)python -m tests.lab.prepare

prepare-all: $(VENV)/ready
	@$(RUN)python -m tests.lab.prepare bookworm trixie sid

demo: prepare
	@$(RUN)python -m tests.lab.demo

test: lint docs-check fast lab

check: lint docs-check fast

lint: $(VENV)/ready
	$(VENV)/bin/ruff format --quiet --check .
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/mypy

docs: $(VENV)/ready
	$(RUN)python docs/generate.py

docs-check: $(VENV)/ready
	$(RUN)python docs/generate.py --check

fast: $(VENV)/ready
	$(RUN)pytest -q -m 'not lab and not browser'

# make zipapp: dist/doctor.pyz, one file with all that it needs, for hosts without a network
zipapp: $(VENV)/ready
	$(RUN)python deploy/zipapp.py dist/doctor.pyz

# make image: the doctor as a container's image, which examines the host that it runs on
image: zipapp
	docker build --tag dockerdoctor --file deploy/Dockerfile dist

# make site: the documentation as a site, in build/site
site: docs-check $(VENV)/site
	$(VENV)/bin/mkdocs build --strict

$(VENV)/site: $(VENV)/ready
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	$(VENV)/bin/pip uninstall --quiet --yes --disable-pip-version-check dockerdoctor
	touch $@

# make browser: the HTML report in a real browser
browser: $(VENV)/ready
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { apt-get update && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium chromium-driver; }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check 'selenium>=4.20'
	$(RUN)pytest -q -m browser

# make screenshots: the README's pictures, of the machine that make demo shows
screenshots: prepare
	@command -v chromium >/dev/null || { apt-get update && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; }
	$(RUN)python docs/screenshots.py

# Two machines at a time: each is a whole system, and two cores are common. A case that fails is tried once more, and said
# to have been: whole machines share one host's time.
LAB := pytest -q -n 2 --dist worksteal --reruns 1 -rR

# Every machine on one engine, and a sample on the others.
lab: prepare-all
	$(RUN)$(LAB) -m 'lab and not matrix'
	$(RUN)python docs/generate.py --coverage --check

# make matrix: every machine on every engine, for a night
matrix: prepare-all
	DOCKERDOCTOR_LAB_CONTROL=1 $(RUN)$(LAB) -m lab
	$(RUN)python docs/generate.py --coverage --check

# docs/coverage.md: what the last runs on machines proved goes into it
coverage: $(VENV)/ready
	$(RUN)python docs/generate.py --coverage

bench: prepare
	$(RUN)python -m bench.ratios
	$(RUN)python -m bench.containers
