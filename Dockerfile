# Tidewaiter's image. `make image` builds it with docker, podman or buildah.
#
# The base is pinned by its tag, so that a rebuild brings Debian's security updates. For the same bytes each time,
# pass a digest: --build-arg PYTHON=3.13-slim-trixie@sha256:...
ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# Layers that rarely change come first, so that a change of the code rebuilds little.
COPY config/locks/release.txt config/locks/runtime.txt config/locks/
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r config/locks/release.txt \
 && python -m venv /opt/venv \
 && /opt/venv/bin/pip install --require-hashes -r config/locks/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY config/bill-of-materials.sh config/
COPY app app
COPY migrations migrations
# Nothing is installed in a running container, so pip is removed. The check fails if a lock file is incomplete.
RUN /opt/build/bin/python -m hatchling build --target wheel \
 && /opt/venv/bin/pip install --no-deps --no-index dist/*.whl \
 && /opt/venv/bin/pip check \
 && /opt/venv/bin/python -m tidewaiter.web.ui.page_code \
 && config/bill-of-materials.sh /opt/build/bin/cyclonedx-py /opt/venv/share/sbom/tidewaiter.cdx.json \
 && /opt/venv/bin/pip uninstall --yes pip

# Tests of libraries, and the sources of what they have compiled, are never used. The modes are set here, because the
# umask of who builds, and the modes of the clone, would decide them: the program runs as another user.
RUN find /opt/venv/lib -depth -type d \( -name tests -o -name testing \) -exec rm -r {} + \
 && find /opt/venv/lib -type f \( -name '*.c' -o -name '*.cpp' -o -name '*.h' -o -name '*.pxd' -o -name '*.pyx' \) -delete \
 && chmod -R u+rwX,go-w,a+rX /opt/venv
COPY config/deploy/container.toml config/deploy/
RUN install -D --mode 0644 config/deploy/container.toml /opt/etc/tidewaiter/tidewaiter.toml \
 && chmod 0755 /opt/etc/tidewaiter


FROM python:${PYTHON}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tidewaiter" \
      org.opencontainers.image.description="Submits slow remote exports, waits for them, and lands their files whole and checksummed." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# A number, because Kubernetes cannot check a name for runAsNonRoot.
RUN groupadd --gid 65532 tidewaiter \
 && useradd --key UID_MAX=65532 --uid 65532 --gid 65532 --home-dir /var/lib/tidewaiter --no-create-home \
      --shell /usr/sbin/nologin tidewaiter \
 && install --directory --owner 65532 --group 65532 --mode 0750 /var/lib/tidewaiter
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/etc/tidewaiter /etc/tidewaiter

# The bytecode was compiled with the installation; nothing is written beside it, so the root may be read-only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIDEWAITER_CONFIG=/etc/tidewaiter/tidewaiter.toml
WORKDIR /var/lib/tidewaiter
USER 65532:65532
VOLUME ["/var/lib/tidewaiter"]
# The HTTP API with its page, and the listener for callbacks, as in the examples.
EXPOSE 8090 8091

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["tidewaiter", "healthcheck"]
ENTRYPOINT ["tidewaiter"]
CMD ["serve"]
