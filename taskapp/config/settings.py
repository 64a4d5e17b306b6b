"""The table of all settings. `docs/configuration.md` is written from it, by `make configuration`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Self

from taskapp.config.production import unsafe
from taskapp.config.setting import PREFIX, ConfigError, Setting, of_field, setting, text_of
from taskapp.config.types import (
    HOSTS,
    HTTP_URL,
    ORIGINS,
    P256_PRIVATE_KEYS,
    POSTGRESQL_URL,
    PUBLIC_URL,
    REDIS_URL,
    REFRESH_KEYS,
    SCRIPT_NAME,
    SEAL_KEY,
    SWITCH_AT,
    WORD,
    number,
    one_of,
)

SECRETS = (
    "TASKAPP_DATABASE_URL",
    "TASKAPP_AUTH_DATABASE_URL",
    "TASKAPP_MIGRATION_DATABASE_URL",
    "TASKAPP_OPERATOR_DATABASE_URL",
    "TASKAPP_SEAL_KEY",
    "TASKAPP_JWT_PRIVATE_KEY",
    "TASKAPP_REFRESH_KEYS",
)
"""What `flask database` makes and replaces."""

OF_COMMANDS = {
    "TASKAPP_ADMIN_DATABASE_URL": "`flask database init`: what `--admin-url` says otherwise.",
    "TASKAPP_DBA_DATABASE_URL": "`flask isolation`: what `--url` says otherwise.",
}
"""What is read by a command in the place of one of its options, and not by the application."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one process. Fields that hold a secret are left out of ``repr``."""

    environment: str = setting(
        one_of("production", "local"),
        "`local` is what `make run` sets. In `production` unsafe secrets, unencrypted connections and a database whose "
        "isolation does not hold are refused.",
        default="production",
    )
    platform: str = setting(
        one_of("none", "neon"),
        "Whose PostgreSQL it is. What that provider adds to every database, such as roles that bypass row-level security, "
        "is no finding of the doctor.",
        default="none",
    )
    acknowledged: str | None = setting(
        WORD,
        "File with the differences between this database and the migrations that are there on purpose, as the doctor prints "
        "them ([isolation.md](isolation.md)).",
        default=None,
    )
    database_url: str = setting(
        POSTGRESQL_URL,
        "Pooled endpoint, as `taskapp_api`: everything a signed-in user does. A pooler is in transaction mode.",
    )
    auth_database_url: str = setting(
        POSTGRESQL_URL, "Pooled endpoint, as `taskapp_auth`: register and log in, before there is an identity."
    )
    migration_database_url: str | None = setting(
        POSTGRESQL_URL,
        "Direct endpoint, as `taskapp_migrator`. Only `flask db` and `flask database` need it.",
        default=None,
    )
    operator_database_url: str | None = setting(
        POSTGRESQL_URL,
        "As `taskapp_operator`. Only `flask users` and `flask maintenance` need it; the served application is better off "
        "without.",
        default=None,
    )
    seal_key: str = setting(SEAL_KEY, "Seals identities; the same key is installed in the database.")
    jwt_private_keys: list[str] = setting(
        P256_PRIVATE_KEYS,
        "EC P-256 private keys. The first signs access tokens (ES256), all are published and believed. A line before the "
        "last of them, which `flask database rotate-key` writes, says when that one takes over.",
        variable="TASKAPP_JWT_PRIVATE_KEY",
    )
    jwt_switch_at: datetime | None = setting(SWITCH_AT, variable="TASKAPP_JWT_PRIVATE_KEY")
    refresh_keys: list[bytes] = setting(
        REFRESH_KEYS, "Sign refresh tokens: the first signs, all of them are believed. The first also hides what was tried."
    )
    jwt_issuer: str = setting(WORD, "`iss` of access tokens.", default="taskapp")
    jwt_audience: str = setting(WORD, "`aud` of access tokens.", default="taskapp")
    access_token_seconds: int = setting(
        number(60, 3600),
        "How long an access token is good. They are short-lived (RFC 9068); the session behind them is what lasts.",
        default=600,
    )
    session_days: int = setting(number(1, 365), "A session ends after so many days.", default=90)
    session_idle_days: int = setting(number(1, 365), "A session ends after so many days without a refresh.", default=30)
    refresh_grace_seconds: int | None = setting(
        number(0, 31_536_000),
        "How long a refresh token that was used gets the same successor again, as long as that one was never sent: for an "
        "answer that was lost. By default until it expires by itself; with 0 each is good once.",
        default=None,
    )
    trusted_proxies: int = setting(
        number(0, 10),
        "How many proxies in front append to `X-Forwarded-For` and set `X-Forwarded-Proto`; with 0 neither is believed. The "
        "nearest one also sets `X-Forwarded-Prefix` to what it strips from paths, or removes that header.",
        default=0,
    )
    script_name: str | None = setting(
        SCRIPT_NAME,
        "What paths begin with when a proxy passes them on whole; gunicorn reads it too. It is not needed for a proxy that "
        "strips that from paths and says so by `X-Forwarded-Prefix`.",
        default=None,
        variable="SCRIPT_NAME",
    )
    public_url: str | None = setting(
        PUBLIC_URL,
        "Where clients find the service, without a path. The `type` of a problem and the commands on the page `/` begin "
        "with it; by default `type` is relative, and the commands name the address where gunicorn listens. The Host header "
        "is never repeated.",
        default=None,
    )
    trusted_hosts: list[str] = setting(
        HOSTS,
        "Names in the Host header that are answered, on any port; others get 400. By default every well-formed name is. "
        "`/healthz` and `/readyz` are answered under any, since load balancers ask by address.",
        default=[],
    )
    registrations_per_hour: int = setting(
        number(1, 10**9), "Registrations that one client address may try in an hour.", default=5
    )
    logins_per_minute: int = setting(number(1, 10**9), "Log-ins that one client address may try in a minute.", default=20)
    refreshes_per_minute: int = setting(
        number(1, 10**9), "Refreshes that one client address may try in a minute.", default=60
    )
    requests_per_minute: int = setting(
        number(1, 10**9), "Requests that one user may send in a minute; there is no way to switch this off.", default=600
    )
    anonymous_requests_per_minute: int = setting(
        number(1, 10**9),
        "Requests that one client network may send in a minute without a good token, where one is needed, before 401 "
        "becomes 429.",
        default=120,
    )
    rate_limit_storage: str | None = setting(
        REDIS_URL,
        "Where all worker processes count those two together. By default each counts for itself, in its memory: with n "
        "workers up to n times as many requests get through.",
        default=None,
    )
    cors_origins: list[str] = setting(ORIGINS, "Whose pages may call the API from a browser.", default=[])
    host: str = setting(
        WORD, "Address where gunicorn listens. The default is for a proxy on the same host.", default="127.0.0.1"
    )
    port: int = setting(number(1, 65535), "Port where gunicorn listens.", default=8000)
    workers: int = setting(number(1, 64), "Worker processes.", default=2)
    threads: int = setting(
        number(1, 100),
        "Requests a worker process handles at a time; it holds up to as many connections for each of its roles.",
        default=8,
    )
    queue_seconds: int = setting(
        number(1, 60),
        "How long a request waits for its turn before it is answered 503. A compute may have to wake up first.",
        default=10,
    )
    response_seconds: int = setting(
        number(1, 600),
        "How long a client may take to read a whole response, an export too, before the connection is broken off. Raise it "
        "for large exports on slow lines.",
        default=20,
    )
    pool_wait_seconds: int = setting(
        number(1, 60),
        "How long a request waits for a free connection, once there could be one, before it is answered 503.",
        default=5,
    )
    connect_seconds: int = setting(
        number(2, 60),
        "How long it waits for a new one. The default is enough for a scaled-to-zero Neon compute to wake up.",
        default=10,
    )
    # PostgreSQL itself ends a statement after 10 s; what takes longer was lost on the way, or a pooler's server is gone.
    answer_seconds: int = setting(
        number(1, 60), "How long it waits for the answer to a message, after which the connection is given up.", default=12
    )
    password_hashers: int = setting(
        number(1, 64), "Argon2 hashes one worker process computes at a time; 19 MiB and about 20 ms each.", default=1
    )
    password_min_length: int = setting(
        number(8, 64), "Characters of a new password. NIST SP 800-63B asks for 8 at least.", default=12
    )
    tasks_per_user: int = setting(number(1, 1_000_000), "Tasks one account may have, the trash included.", default=20_000)
    lists_per_user: int = setting(number(1, 10_000), "Lists one account may have, the trash included.", default=500)
    answers_per_user: int = setting(
        number(1, 1_000_000),
        "Requests with an `Idempotency-Key` that one account may make in 24 hours; each answer is kept so long.",
        default=5_000,
    )
    tokens_per_user: int = setting(
        number(1, 1_000), "Personal access tokens one account may have that have not expired.", default=50
    )
    max_body_bytes: int = setting(number(1024, 2**30), "Bytes of a request's body.", default=256 * 1024)
    metrics_port: int | None = setting(
        number(1, 65535),
        "Port where Prometheus finds `/metrics`, by plain HTTP and without a password. By default nothing is counted.",
        default=None,
    )
    metrics_host: str = setting(
        WORD,
        "Address of that port. Any other than the default is for a network that strangers cannot reach.",
        default="127.0.0.1",
    )
    otlp_endpoint: str | None = setting(
        HTTP_URL,
        "Where spans are sent to, by OTLP over HTTP; `/v1/traces` is added. Needs `requirements-tracing.txt`. "
        "OpenTelemetry's SDK reads its other variables by itself, such as `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and "
        "`OTEL_EXPORTER_OTLP_HEADERS`. By default there are no spans.",
        default=None,
        variable="OTEL_EXPORTER_OTLP_ENDPOINT",
    )

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings from their variables, or from the files that ``<variable>_FILE`` names.

        :raises ConfigError: when variables are missing, malformed, misspelt or unsafe; it names all of them.
        """
        values: dict[str, Any] = {}
        wrong = misspelt()
        for found in fields(cls):
            try:
                values[found.name] = of_field(found).read()
            except ConfigError as error:
                wrong.append(str(error))
        if not wrong and values["environment"] == "production":
            wrong.extend(unsafe(given_secrets()))
        if wrong:
            # Two values of one variable that is missing are one thing to say.
            raise ConfigError("; ".join(dict.fromkeys(wrong)))
        return cls(**values)


def settings() -> Sequence[Setting]:
    """Return all settings, one for each variable."""
    return [found for found in map(of_field, fields(Config)) if found.meaning]


def given_secrets() -> dict[str, str]:
    """Return those of :data:`SECRETS` that this process was given, as they stand.

    :raises ConfigError: when a file that should hold one cannot be read.
    """
    return {variable: text for variable in SECRETS if (text := text_of(variable)) is not None}


def strangers() -> list[str]:
    """Name the variables that begin like ours and are none of ours."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name.removesuffix("_FILE") not in _known())


def misspelt() -> list[str]:
    """Say of each variable that is almost a setting what it may be meant to be.

    One that resembles none is let be: platforms set names like ``TASKAPP_SERVICE_HOST``, and the version before may meet a
    setting of the one after it.
    """
    names = [name.removeprefix(PREFIX) for name in _known()]
    bare = {name: name.removeprefix(PREFIX).removesuffix("_FILE") for name in strangers()}
    close = {name: get_close_matches(word, names, n=1, cutoff=0.8) for name, word in bare.items()}
    return [f"{name} is no setting; do you mean {PREFIX}{found[0]}?" for name, found in close.items() if found]


def _known() -> set[str]:
    return {found.variable for found in settings()} | set(OF_COMMANDS)
