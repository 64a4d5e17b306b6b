# Two images: the application, which is the last, and PgBouncer, by `--target pgbouncer`.
#
# Bases are pinned to exact tags. A tag can be moved and a digest cannot: `docker buildx imagetools inspect IMAGE` prints the
# one to write behind a tag, IMAGE@sha256:…, where that is required.

FROM debian:12.15-slim AS pgbouncer
# Debian replaces a version by the one with its fixes, after which one that is pinned is not to be found any more.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends pgbouncer \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=0644 deploy/pgbouncer/pgbouncer.ini deploy/pgbouncer/start.sh /srv/pgbouncer/
USER 10002:10002
# Finish the queries that run, and end.
STOPSIGNAL SIGINT
EXPOSE 6432
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/6432"]
CMD ["sh", "/srv/pgbouncer/start.sh"]

# Here are pip's and setuptools' leavings; the last stage takes the result only.
FROM python:3.11.17-slim-bookworm AS build
WORKDIR /srv/taskapp
RUN python -m venv --without-pip .venv
COPY requirements.txt ./
RUN python -m pip --python .venv/bin/python install --no-cache-dir --only-binary :all: --requirement requirements.txt
COPY . .
# Everybody may read it, however strict the umask of whoever cloned it.
RUN python -m pip --python .venv/bin/python install --no-cache-dir --no-deps --editable . \
    && .venv/bin/python -m compileall -q taskapp migrations wsgi.py \
    && chmod -R a+rX .

FROM python:3.11.17-slim-bookworm
WORKDIR /srv/taskapp
COPY --from=build /srv/taskapp ./
# Other containers reach it, and the host through the port that it publishes.
ENV PATH=/srv/taskapp/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TASKAPP_HOST=0.0.0.0
# By number, so that whoever runs it can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "wsgi:app"]
