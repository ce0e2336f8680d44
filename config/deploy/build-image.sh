#!/bin/sh
# Builds the container image with the first of docker, podman and buildah that works.
#
# usage: build-image.sh [TAG]        TAG is tidewaiter:VERSION by default
#
# PYTHON_IMAGE, if set, is the tag of the base image, most often with a digest: 3.13-slim-trixie@sha256:...
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' app/tidewaiter/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
tag=${1:-tidewaiter:$version}
set -- --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --tag "$tag" \
  ${PYTHON_IMAGE:+--build-arg "PYTHON=$PYTHON_IMAGE"}

if docker info >/dev/null 2>&1; then
  docker build "$@" .
elif command -v podman >/dev/null; then
  podman build --format docker "$@" . # the OCI format has no HEALTHCHECK
elif command -v buildah >/dev/null; then
  buildah build --format docker "$@" .
else
  echo "build-image: needs docker with a running engine, podman or buildah, and found none of them" >&2
  exit 69
fi
echo "built $tag"
