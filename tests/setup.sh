#!/usr/bin/env bash
# Installs the commands that the tests need and this machine lacks: by apt as
# root or by sudo without a password, else it names the command to run.
set -euo pipefail

need=()
command -v node >/dev/null || need+=(nodejs)
command -v npm >/dev/null || need+=(npm)
command -v softhsm2-util >/dev/null || need+=(softhsm2)
command -v certutil >/dev/null || need+=(libnss3-tools)
compgen -G '/usr/lib/*/libsoftokn3.so' >/dev/null || compgen -G '/usr/lib/*/nss/libsoftokn3.so' >/dev/null || need+=(libnss3)
command -v gcc >/dev/null || need+=(gcc libc6-dev)

[ ${#need[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
	as=()
elif sudo -n true 2>/dev/null; then
	as=(sudo -n)
else
	echo "setup: these packages are missing; run: sudo apt-get install -y ${need[*]}" >&2
	exit 1
fi
echo "setup: installing ${need[*]}"
"${as[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
