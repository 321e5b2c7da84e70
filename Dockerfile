# One image for the code server, the webserver and the daemon: they differ by their command alone.
FROM python:3.11.14-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN groupadd --gid 10001 tributary \
    && useradd --uid 10001 --gid tributary --create-home --shell /usr/sbin/nologin tributary \
    # A new volume takes this folder's owner.
    && install --directory --owner tributary --group tributary /opt/tributary/dagster_home/storage \
    && chown tributary:tributary /opt/tributary/dagster_home

WORKDIR /opt/tributary/source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY tributary_pipelines ./tributary_pipelines
# The extra 'questdb' without its Java runtime and jar: the database runs in a container of its own.
RUN pip install --constraint constraints.txt . questdb httpx

USER tributary
WORKDIR /opt/tributary
