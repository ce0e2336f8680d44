#!/bin/sh
# Asks the OSV database which vulnerabilities are known in the locked versions of the libraries.
#
# usage: audit.sh [LOCK...]     LOCK is config/locks/runtime.txt and config/locks/release.txt by default
#
# PIP_AUDIT names the program (pip-audit), OSV_URL another database with the same interface.
# Exit codes: 0 nothing is known, 1 something is known and listed, 69 the database could not be reached, so nothing is shown.
set -eu
cd "$(dirname "$0")/.."
audit=${PIP_AUDIT:-pip-audit}
[ $# -gt 0 ] || set -- config/locks/runtime.txt config/locks/release.txt

# pip verifies the hashes at each installation, so here only the versions are checked.
set -- $(printf -- '-r %s ' "$@")
found=$(mktemp)
said=$(mktemp)
trap 'rm -f "$found" "$said"' EXIT

status=0
"$audit" "$@" --disable-pip --no-deps --strict --vulnerability-service osv ${OSV_URL:+--osv-url "$OSV_URL"} \
  --progress-spinner off --timeout 15 >"$found" 2>"$said" || status=$?
if [ "$status" -eq 0 ]; then
  echo "audit: no vulnerability is known in the locked versions"
elif [ -s "$found" ]; then
  cat "$found"
  echo "audit: move the versions above with 'make lock LOCK_ARGS=--upgrade', or say in SECURITY.md why they do no harm" >&2
  exit 1
else
  tail -n 1 "$said" >&2
  echo "audit: the vulnerability database could not be asked; this run shows nothing" >&2
  exit 69
fi
