# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
# The environment has no pip of its own: nothing can be installed into the finished image.
RUN python -m pip install --root-user-action ignore --require-hashes --requirement requirements-build.lock \
    && python -m venv --without-pip /opt/llmgw \
    && python -m pip --python /opt/llmgw/bin/python install --only-binary :all: --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY llmgw llmgw
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m pip --python /opt/llmgw/bin/python install --no-deps --no-index --find-links /wheels llmgw

FROM python:3.13-slim
LABEL org.opencontainers.image.title="llmgw" \
      org.opencontainers.image.description="The LLM gateway that a team runs itself" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, not a name, so that Kubernetes can check runAsNonRoot.
RUN install --directory --mode 0700 --owner 10001 --group 10001 /data
COPY --from=build /opt/llmgw /opt/llmgw
# Nothing but /data is written to, so the root file system may be read-only. Secrets come from the environment
# or from files mounted at run time, never from the image.
ENV PATH=/opt/llmgw/bin:$PATH \
    LLMGW_CONFIG=/data/llmgw.yaml \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8080/health/liveness', timeout=2)"]
ENTRYPOINT ["llmgw"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
