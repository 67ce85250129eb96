# Everything that is done with this workspace. `make` alone lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# `PROFILE=release` builds optimised.
PROFILE ?= debug
# One crate or program, where a target takes one.
S ?=
DETACH ?=

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
CARGO_PROFILE := $(if $(filter release,$(PROFILE)),--release)
DEVSTACK = $(TARGET_DIR)/$(PROFILE)/devstack
SERVICES = $(notdir $(wildcard services/*))
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/switchhook/tools

export PATH := $(TOOLS)/bin:$(PATH)
# Queries are checked against the committed data: no build needs a database.
export SQLX_OFFLINE := true
# The browser is the system's own.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

say = @printf '· %s\n' '$(1)' >&2

.PHONY: help
help: ## Lists what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  S=<crate or service>  PROFILE=release  DETACH=1\n'

.PHONY: up
up: build ## Starts everything and prints where it is; Ctrl-C stops it (DETACH=1 leaves it running)
	@exec $(DEVSTACK) up $(if $(DETACH),--detach)

.PHONY: down
down: ## Stops what `make up DETACH=1` left running
	@for profile in $(PROFILE) debug release; do \
		program=$(TARGET_DIR)/$$profile/devstack; \
		if [ -x "$$program" ]; then exec "$$program" down; fi; \
	done; printf '· nothing was running\n' >&2

.PHONY: demo-data
demo-data: devstack ## Fills what `make up` runs with a session, calls, chats, dispatches and tasks
	@test -r '$(TARGET_DIR)/devstack/env' || { printf 'nothing is running: make up DETACH=1\n' >&2; exit 1; }
	@set -a; . '$(TARGET_DIR)/devstack/env'; exec "$$($(DEVSTACK) install python)" -B tests/platform/demo.py

.PHONY: run
run: build ## Runs one service in the foreground in the place of the stack's own (S=session-svc)
	@test -n '$(S)' || { printf 'which one? make run S=session-svc\n' >&2; exit 2; }
	@exec $(DEVSTACK) run '$(S)'

.PHONY: build
build: ## Builds every program
	$(call say,building (the first time takes some minutes))
	@cargo build --workspace --bins $(CARGO_PROFILE)

# Without the services: their queries may be just what is being worked on.
.PHONY: devstack
devstack:
	@cargo build -p devstack --bins $(CARGO_PROFILE)

.PHONY: test
ifeq ($(S),)
test: test-rust test-oracle test-browser ## Runs every test, from unit to browser (S=<crate>: of one crate)
else
test: build
	@$(DEVSTACK) postgres -- cargo test -p '$(S)' $(CARGO_PROFILE)
endif

.PHONY: test-rust
test-rust: build platform-tools ## Runs the Rust tests against a PostgreSQL of their own
	@$(DEVSTACK) postgres -- cargo test --workspace $(CARGO_PROFILE)

ORACLE := $(TARGET_DIR)/oracle

.PHONY: test-oracle
test-oracle: build tests/oracle/node_modules/.package-lock.json $(ORACLE)/installed ## Runs the vendors' own libraries against a stack
	@$(DEVSTACK) exec -- sh -euc "npm --prefix tests/oracle test; \
		'$(ORACLE)/bin/python' -m unittest discover -s tests/oracle/livekit -p '*_test.py'"

# LiveKit's client for Python, in a place of its own that is made anew when what it needs has changed.
$(ORACLE)/installed: tests/oracle/livekit/requirements.txt | build
	$(call say,installing what tests/oracle/livekit needs)
	@rm -rf '$(ORACLE)'
	@"$$($(DEVSTACK) install python)" -m venv '$(ORACLE)'
	@'$(ORACLE)/bin/pip' install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@

.PHONY: test-browser
test-browser: build tests/browser/node_modules/.package-lock.json ## Runs the browser tests against a stack of their own
	@$(DEVSTACK) install chromium
	@$(DEVSTACK) exec -- npm --prefix tests/browser test

# Not part of `make test`: it breaks things for a quarter of an hour.
.PHONY: test-faults
test-faults: build ## Breaks PostgreSQL, the network, n8n and the services themselves, under load with a ledger
	@$(DEVSTACK) postgres -- cargo test -p e2e --test faults $(CARGO_PROFILE) -- --test-threads=1 --nocapture

SCHEMATHESIS := $(TARGET_DIR)/schemathesis
FUZZ_SECONDS ?= 45
CASES ?= 4096

.PHONY: fuzz
fuzz: build $(SCHEMATHESIS)/installed ## Odd input for bounded time: properties, bytes, and every description by Schemathesis
	@PROPTEST_CASES=$(CASES) $(DEVSTACK) postgres -- cargo test --workspace --lib $(CARGO_PROFILE)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(DEVSTACK) postgres -- \
		cargo test -p e2e --test faults $(CARGO_PROFILE) -- --test-threads=1 --nocapture bytes::
	@$(DEVSTACK) exec -- sh tests/schemathesis/run.sh '$(abspath $(SCHEMATHESIS))'

$(SCHEMATHESIS)/installed: tests/schemathesis/requirements.txt | build
	$(call say,installing Schemathesis)
	@rm -rf '$(SCHEMATHESIS)'
	@"$$($(DEVSTACK) install python)" -m venv '$(SCHEMATHESIS)'
	@'$(SCHEMATHESIS)/bin/pip' install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $<
	@touch $@

# Not part of `make test`: n8n has 3 GB, and takes five minutes to install.
N8N := $(TOOLS)/n8n
STAGE ?=

.PHONY: test-n8n
test-n8n: build n8n ## Runs the workflow templates in a real n8n, against a stack of their own
	@'$(N8N)'/node_modules/node-linux-*/bin/node tests/n8n/run.js '$(N8N)' $(DEVSTACK) $(STAGE)

.PHONY: n8n-pictures
n8n-pictures: n8n tests/browser/node_modules/.package-lock.json ## Draws the workflow templates for their README
	@$(DEVSTACK) install chromium
	@'$(N8N)'/node_modules/node-linux-*/bin/node tests/n8n/pictures.js '$(N8N)'

.PHONY: n8n
n8n: build
	@$(DEVSTACK) install node
	@sh tests/n8n/install.sh '$(N8N)'

# Not part of `make test`: it needs Python 2.7, and three minutes.
.PHONY: autobahn
autobahn: ## Runs the public Autobahn WebSocket cases against the chat's own acceptor
	$(call say,building the echo)
	@cargo build -p chat-ws-svc --example echo $(CARGO_PROFILE)
	@CARGO_TARGET_DIR='$(TARGET_DIR)' PROFILE='$(PROFILE)' sh tests/autobahn/run.sh

tests/%/node_modules/.package-lock.json: tests/%/package-lock.json | build
	@$(DEVSTACK) install node
	$(call say,installing what tests/$* needs)
	@npm --prefix tests/$* ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: check
check: fmt-check clippy deny sqlx-check shellcheck k8s ## Checks all that CI demands

.PHONY: fmt
fmt: ## Formats the code
	@cargo fmt --all

.PHONY: fmt-check
fmt-check:
	$(call say,format)
	@cargo fmt --all --check

.PHONY: clippy
clippy:
	$(call say,lints)
	@cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: deny
deny: cargo-deny
	$(call say,dependency policy)
	@cargo deny --log-level error check bans licenses sources

.PHONY: sqlx
sqlx: devstack sqlx-cli ## Refreshes the offline query data
	@$(call each-service,cargo sqlx prepare)

.PHONY: sqlx-check
sqlx-check: devstack sqlx-cli
	$(call say,offline query data)
	@$(call each-service,cargo sqlx prepare --check)

# In every service that has migrations, after they were applied: each to a schema of its own.
define each-service
SQLX_OFFLINE=false $(DEVSTACK) postgres -- sh -euc 'for service in $(SERVICES); do \
	test -d "services/$$service/migrations" || continue; \
	( cd "services/$$service" && sqlx migrate run && $(1) -- --all-targets ); \
done'
endef

.PHONY: shellcheck
shellcheck:
	@if command -v shellcheck >/dev/null; then \
		printf '· shell scripts\n' >&2; \
		find .ci deploy k8s services tests -name node_modules -prune -o -type f \( -name '*.sh' -o -path .ci/run \) -print0 \
			| xargs -0 shellcheck; \
	else \
		printf '· shell scripts: shellcheck is not installed, skipped\n' >&2; \
	fi

# What is deployed: rendered, held against schemas and our own rules, and put to the services' own `check-config`.
.PHONY: k8s
k8s: build platform-tools ## Renders and validates k8s/ and deploy/
	$(call say,deployment)
	@cargo test --quiet --workspace --test platform $(CARGO_PROFILE)

.PHONY: platform-tools
platform-tools: devstack
	@PYTHON="$$($(DEVSTACK) install python)" sh tests/platform/tools.sh '$(TOOLS)'

OVERLAY ?= dev
DATABASE ?= outside
.PHONY: k8s-secrets
k8s-secrets: ## Makes random secrets in the cluster (OVERLAY=production DATABASE=cloudnative-pg)
	@sh k8s/secrets.sh '$(OVERLAY)' '$(DATABASE)'

# Not part of `make check`: it builds Kubernetes, once, which takes minutes.
.PHONY: test-k8s
test-k8s: platform-tools ## Puts k8s/ to a real API server (dry run)
	@sh tests/platform/kubernetes.sh '$(TOOLS)/kubernetes-1.20'
	@sh tests/platform/dry-run.sh '$(TOOLS)/kubernetes-1.20'

# Not part of `make test`: both need root and a machine that may be thrown away, and take minutes; see what they say of themselves.
CLUSTER := $(TOOLS)/kubernetes-1.20
.PHONY: test-cluster
test-cluster: devstack ## Rolls, breaks, evicts and kills every service under load in a one-node cluster (root)
	@PROFILE='$(or $(IMAGE_PROFILE),release)' SERVICES='$(SERVICES)' sh tests/platform/images.sh build
	@sh tests/platform/kubernetes.sh '$(CLUSTER)' node
	@DEVSTACK='$(abspath $(DEVSTACK))' tests/platform/cluster.sh all '$(CLUSTER)' '$(TARGET_DIR)/cluster'

.PHONY: test-compose
test-compose: n8n platform-tools ## Starts deploy/compose.yaml by a Docker of its own, with a real n8n (root)
	@PROFILE='$(or $(IMAGE_PROFILE),release)' SERVICES='$(SERVICES)' sh tests/platform/images.sh build
	@tests/platform/compose.sh '$(TARGET_DIR)/compose' '$(N8N)'

TAG ?= dev
.PHONY: images
images: ## Builds the images with Docker or buildah (S=<service> TAG=dev)
	@sh deploy/images.sh '$(TAG)' $(S)

.PHONY: test-images
test-images: devstack ## Builds all images here, starts them confined, and probes them
	@PROFILE='$(or $(IMAGE_PROFILE),release)' SERVICES='$(or $(S),$(SERVICES))' sh tests/platform/images.sh build
	@SERVICES='$(or $(S),$(SERVICES))' $(DEVSTACK) postgres -- sh tests/platform/images.sh run

.PHONY: env
env: ## Writes deploy/.env from .env.example, with random secrets (for Docker Compose)
	@test ! -e deploy/.env || { printf 'deploy/.env is there already\n' >&2; exit 1; }
	@sh deploy/env.sh < .env.example > deploy/.env

# About a quarter of an hour. What it finds is printed, and kept in target/bench/report.md with pictures beside it.
.PHONY: bench
bench: ## Measures the services beside their peers: speed, memory, CPU (S=<service or bench>)
	$(call say,building optimised)
	@cargo build --workspace --bins --release
	@$(TARGET_DIR)/release/devstack install node >/dev/null
	@$(TARGET_DIR)/release/devstack install python >/dev/null
	@$(TARGET_DIR)/release/devstack postgres -- $(TARGET_DIR)/release/bench $(S)

.PHONY: docs
docs: build ## Refreshes the tables of settings and builds the code's documentation
	@for service in $(SERVICES); do \
		readme="services/$$service/README.md"; \
		"$(TARGET_DIR)/$(PROFILE)/$$service" settings | awk ' \
			FNR == NR { table = table $$0 "\n"; next } \
			/^<!-- settings:/ { print; printf "%s", table; skip = 1; next } \
			/^<!-- end of settings/ { skip = 0 } \
			!skip' - "$$readme" > "$$readme.new" && mv "$$readme.new" "$$readme"; \
	done
	@RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items
	$(call say,$(TARGET_DIR)/doc/)

.PHONY: sqlx-cli
sqlx-cli:
	@command -v cargo-sqlx >/dev/null || { \
		printf '· installing sqlx-cli (once, about two minutes)\n' >&2; \
		cargo install --locked --root '$(TOOLS)' sqlx-cli@0.9.0 --no-default-features --features postgres,rustls,sqlx-toml; }

.PHONY: cargo-deny
cargo-deny:
	@command -v cargo-deny >/dev/null || { \
		printf '· installing cargo-deny (once, about four minutes)\n' >&2; \
		cargo install --locked --root '$(TOOLS)' cargo-deny; }
