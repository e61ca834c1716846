#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: tests/fuzz.sh TIME}

targets=0
while read -r package; do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "fuzz $target ($package)"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" | grep -vE '^(fuzz: elapsed|PASS|ok)' || [ "${PIPESTATUS[0]}" -eq 0 ]
		targets=$((targets + 1))
	done
done < <(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u)
echo "fuzz: $targets targets, $time each, nothing found"
