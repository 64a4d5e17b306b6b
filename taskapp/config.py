"""Every setting of the application: read once from the environment, typed, refused when unsafe.

Nothing else in the project reads an environment variable. A missing or wrong value stops the start with one line that
names the variable; there is no default for a secret.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from environs import Env, EnvError
from marshmallow.validate import OneOf, Range
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

ENVIRONMENTS = ("production", "local")


class ConfigError(Exception):
    """A setting is missing or unsafe. The message is one line that names it."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one process. Fields that hold a secret are left out of ``repr``."""

    environment: str
    database_url: str = field(repr=False)
    auth_database_url: str = field(repr=False)
    migration_database_url: str | None = field(repr=False)
    seal_key: str = field(repr=False)
    jwt_private_key: str = field(repr=False)
    jwt_issuer: str
    jwt_audience: str
    access_token_seconds: int
    session_days: int
    host: str
    port: int
    workers: int
    threads: int
    pool_wait_seconds: int
    connect_seconds: int
    password_hashers: int
    max_body_bytes: int

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings from ``TASKAPP_*`` variables; a secret also from the file that ``TASKAPP_*_FILE`` names.

        :raises ConfigError: when a variable is missing, malformed or unsafe.
        """
        env = Env(prefix="TASKAPP_")
        try:
            config = cls(
                # "local" is what `make run` sets; everything else is production.
                environment=env.str("ENVIRONMENT", default="production", validate=OneOf(ENVIRONMENTS)),
                # Pooled endpoint, role taskapp_api: everything a signed-in user does.
                database_url=_database_url(env, "DATABASE_URL"),
                # Pooled endpoint, role taskapp_auth: register and log in, before there is an identity.
                auth_database_url=_database_url(env, "AUTH_DATABASE_URL"),
                # Direct endpoint, role taskapp_migrator. Only `flask db` and `flask database` need it.
                migration_database_url=_optional_database_url(env, "MIGRATION_DATABASE_URL"),
                # `<key id>:<64 hex digits>`; the same key is installed in the database.
                seal_key=_seal_key(_secret(env, "SEAL_KEY")),
                # PEM of an EC P-256 private key; signs access tokens (ES256).
                jwt_private_key=_p256_private_key(_secret(env, "JWT_PRIVATE_KEY")),
                jwt_issuer=env.str("JWT_ISSUER", default="taskapp"),
                jwt_audience=env.str("JWT_AUDIENCE", default="taskapp"),
                # RFC 9068 tokens are short-lived; the session behind them is what lasts.
                access_token_seconds=env.int("ACCESS_TOKEN_SECONDS", default=600, validate=Range(60, 3600)),
                session_days=env.int("SESSION_DAYS", default=90, validate=Range(1, 365)),
                # Where gunicorn listens. The default is for a proxy on the same host.
                host=env.str("HOST", default="127.0.0.1"),
                port=env.int("PORT", default=8000, validate=Range(1, 65535)),
                workers=env.int("WORKERS", default=2, validate=Range(1, 64)),
                # Requests a worker process handles at a time; it holds up to as many connections for each of its roles.
                threads=env.int("THREADS", default=8, validate=Range(1, 100)),
                # How long a request waits for a free connection before it is answered 503.
                pool_wait_seconds=env.int("POOL_WAIT_SECONDS", default=5, validate=Range(1, 60)),
                # Long enough for a scaled-to-zero Neon compute to wake up.
                connect_seconds=env.int("CONNECT_SECONDS", default=10, validate=Range(2, 60)),
                # Argon2 hashes one worker process computes at a time; 19 MiB and about 20 ms each.
                password_hashers=env.int("PASSWORD_HASHERS", default=2, validate=Range(1, 64)),
                max_body_bytes=env.int("MAX_BODY_BYTES", default=256 * 1024, validate=Range(1024, 2**30)),
            )
        except EnvError as error:
            raise ConfigError(" ".join(str(error).split())) from error
        if config.environment == "production" and config.seal_key.startswith("local"):
            raise ConfigError(
                "TASKAPP_SEAL_KEY was made by `make run` for this machine only; production needs its own: "
                "run `flask database init`"
            )
        return config


def _secret(env: Env, name: str) -> str:
    """Read a value that may stand in a file instead, as container platforms hand over secrets."""
    path = env.str(f"{name}_FILE", default=None)
    if path is None:
        return env.str(name)
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"TASKAPP_{name}_FILE cannot be read: {type(error).__name__}") from error


def _optional_database_url(env: Env, name: str) -> str | None:
    given = (env.str(name, default=None), env.str(f"{name}_FILE", default=None))
    return None if given == (None, None) else _database_url(env, name)


def _database_url(env: Env, name: str) -> str:
    """Read the URL of a PostgreSQL database.

    A pooler refuses start-up ``options`` (PgBouncer: ``unsupported startup parameter``), and a setting smuggled in there
    would be session-scoped, which this project never uses: better one clear line here than a FATAL at the first request.
    """
    url = _secret(env, name)
    try:
        parsed = make_url(url)
        # SQLAlchemy forgives a slash in a password, libpq does not: it would read a port there.
        _ = urlsplit(url).port
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"TASKAPP_{name} is not a URL: postgresql://role:password@host/database") from error
    if parsed.drivername not in {"postgresql", "postgres"}:
        raise ConfigError(f"TASKAPP_{name} must start with postgresql://")
    if "options" in parsed.query:
        raise ConfigError(f"TASKAPP_{name} must not carry `options`: a transaction-mode pooler refuses them")
    return url


def _seal_key(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,32}:[0-9a-f]{64}", text):
        raise ConfigError("TASKAPP_SEAL_KEY must be `<key id>:<64 hex digits>`")
    return text


def _p256_private_key(pem: str) -> str:
    """Check that ``pem`` holds the private key ES256 needs (RFC 7518 section 3.4: curve P-256)."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError("TASKAPP_JWT_PRIVATE_KEY is not an unencrypted PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ConfigError("TASKAPP_JWT_PRIVATE_KEY must be an EC key on the curve P-256")
    return pem
