#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: tests/fuzz.sh TIME}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# The fuzzer sometimes ends with its own deadline as an error although it found
# nothing: then its last words are exactly this, and no input was written.
harmless() {
	grep -q '^ *context deadline exceeded$' "$out" && ! grep -qE 'Failing input|panic:|testdata/fuzz' "$out"
}

targets=0
while read -r package; do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "fuzz $target ($package)"
		# Minimizing interesting inputs would take most of a short run.
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$package" >"$out" 2>&1 && ! harmless; then
			cat "$out"
			exit 1
		fi
		targets=$((targets + 1))
	done
done < <(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u)
echo "fuzz: $targets targets, $time each, nothing found"
