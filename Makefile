# One line each. `make run` is all that a newcomer needs.
.PHONY: run test check lint-js bench clients

run: clients ## a Postgres, the server with its pages, and what to paste into a browser or node
	scripts/ensure postgres && cargo run --release -- dev --demo

clients: clients/dist/.built ## the pages at /chat and the widget, built into clients/dist

# Only where something changed: a new date of a file in it would compile the program anew.
clients/dist/.built: $(shell find clients -name node_modules -prune -o -name dist -prune -o -type f -print)
	scripts/ensure node && scripts/modules clients && npm run build --prefix clients && touch $@

test: clients ## everything: units, sockets, transcripts, JavaScript and Python clients, the inspector in Chromium
	scripts/ensure postgres node python chromium && cargo test --no-fail-fast

lint-js: ## the inspector, the pages of the chat and the tests in JavaScript
	scripts/ensure node && scripts/modules tests/js && tests/js/node_modules/.bin/eslint --config tests/js/eslint.config.mjs clients/inspector 'tests/js/**/*.mjs' && scripts/modules clients && npm run lint --prefix clients && npm run types --prefix clients

check: lint-js ## format, lints, licences
	cargo fmt --check && cargo clippy --all-targets --locked -- -D warnings && scripts/ensure cargo-deny && cargo deny check bans licenses sources

bench: ## every target measured, and docs/performance.md rewritten with what was found; some 12 minutes after the build
	scripts/ensure postgres && cargo bench --bench micro && { cargo bench --bench load; code=$$?; cargo bench --bench report && exit $$code; }
