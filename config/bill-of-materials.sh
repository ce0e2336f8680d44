#!/bin/sh
# Writes the bill of materials of Tidewaiter and its locked libraries, in CycloneDX 1.6 (https://cyclonedx.org), as JSON.
#
# usage: bill-of-materials.sh CYCLONEDX_PY FILE
#
# The same lock file gives the same bytes; SOURCE_DATE_EPOCH, if set, is the time in it.
set -eu
tool=$(realpath "$1")
mkdir -p "$(dirname "$2")"
file=$(realpath -m "$2")
cd "$(dirname "$0")/.."

# The version is in the package, but the tool reads only pyproject.toml.
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' app/tidewaiter/__init__.py)
project=$(mktemp)
trap 'rm -f "$project"' EXIT
sed "s/^dynamic = \\[\"version\"\\]\$/version = \"$version\"/" pyproject.toml >"$project"
PYTHONWARNINGS=ignore "$tool" requirements config/locks/runtime.txt --pyproject "$project" --mc-type application \
  --spec-version 1.6 --output-reproducible --output-format JSON --output-file "$file"
