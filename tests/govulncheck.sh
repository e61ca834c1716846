#!/usr/bin/env bash
# Runs govulncheck, and says so when its database cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
if out=$("$1" ./... 2>&1); then
	echo "govulncheck: nothing found"
elif grep -qE 'fetching vulnerabilities|dial tcp|no such host|connection refused|403 Forbidden' <<<"$out"; then
	echo "govulncheck: its database is out of reach from here; nothing was checked"
else
	echo "$out"
	exit 1
fi
