"""Every setting of the application: read once from the environment, typed, refused when unsafe.

Nothing else in the project reads an environment variable. A missing or wrong value stops the start with one line that
names the variable; there is no default for a secret.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
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

LOCAL_MARK = "local"
"""What a secret's name or first line begins with when `make run` made it, for one machine only."""

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

_DISTINCT_DIGITS = 8


class ConfigError(Exception):
    """A setting is missing or unsafe. The message is one line that names it."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of one process. Fields that hold a secret are left out of ``repr``."""

    environment: str
    database_url: str = field(repr=False)
    auth_database_url: str = field(repr=False)
    migration_database_url: str | None = field(repr=False)
    operator_database_url: str | None = field(repr=False)
    seal_key: str = field(repr=False)
    jwt_private_keys: list[str] = field(repr=False)
    jwt_switch_at: datetime | None
    jwt_issuer: str
    jwt_audience: str
    access_token_seconds: int
    refresh_keys: list[bytes] = field(repr=False)
    session_days: int
    session_idle_days: int
    refresh_grace_seconds: int
    trusted_proxies: int
    registrations_per_hour: int
    logins_per_minute: int
    refreshes_per_minute: int
    requests_per_minute: int
    anonymous_requests_per_minute: int
    rate_limit_storage: str | None = field(repr=False)
    cors_origins: list[str]
    host: str
    port: int
    workers: int
    threads: int
    queue_seconds: int
    pool_wait_seconds: int
    connect_seconds: int
    answer_seconds: int
    password_hashers: int
    password_min_length: int
    tasks_per_user: int
    lists_per_user: int
    answers_per_user: int
    tokens_per_user: int
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
                # Role taskapp_operator. Only `flask users` needs it; the served application is better off without.
                operator_database_url=_optional_database_url(env, "OPERATOR_DATABASE_URL"),
                # `<key id>:<64 hex digits>`; the same key is installed in the database.
                seal_key=_seal_key(_secret(env, "SEAL_KEY")),
                # PEM of EC P-256 private keys. The first signs access tokens (ES256), all are published and believed.
                jwt_private_keys=_p256_private_keys(_secret(env, "JWT_PRIVATE_KEY")),
                # A line before the last of them, which `flask database rotate-key` writes: when it takes over.
                jwt_switch_at=_switch_at(_secret(env, "JWT_PRIVATE_KEY")),
                jwt_issuer=env.str("JWT_ISSUER", default="taskapp"),
                jwt_audience=env.str("JWT_AUDIENCE", default="taskapp"),
                # RFC 9068 tokens are short-lived; the session behind them is what lasts.
                access_token_seconds=env.int("ACCESS_TOKEN_SECONDS", default=600, validate=Range(60, 3600)),
                # Keys of 64 hex digits that refresh tokens are signed with; the first signs, all of them are believed.
                refresh_keys=[_refresh_key(key) for key in _secret(env, "REFRESH_KEYS").split(",")],
                # A session ends after so many days, and after so many days without a refresh.
                session_days=env.int("SESSION_DAYS", default=90, validate=Range(1, 365)),
                session_idle_days=env.int("SESSION_IDLE_DAYS", default=30, validate=Range(1, 365)),
                # How long a refresh token that was just used gets the same successor again, for the tab that came second.
                refresh_grace_seconds=env.int("REFRESH_GRACE_SECONDS", default=30, validate=Range(0, 300)),
                # How many proxies in front of us append to X-Forwarded-For; none by default, so that it is not believed.
                trusted_proxies=env.int("TRUSTED_PROXIES", default=0, validate=Range(0, 10)),
                # What one client address may try.
                registrations_per_hour=env.int("REGISTRATIONS_PER_HOUR", default=5, validate=Range(min=1)),
                logins_per_minute=env.int("LOGINS_PER_MINUTE", default=20, validate=Range(min=1)),
                refreshes_per_minute=env.int("REFRESHES_PER_MINUTE", default=60, validate=Range(min=1)),
                # What one user may send; there is no way to switch this off.
                requests_per_minute=env.int("REQUESTS_PER_MINUTE", default=600, validate=Range(min=1)),
                # What one client network may send without a good token, where one is needed, before 401 becomes 429.
                anonymous_requests_per_minute=env.int("ANONYMOUS_REQUESTS_PER_MINUTE", default=120, validate=Range(min=1)),
                # `redis://[[user]:password@]host[:port][/database]`, where all worker processes count those two together. By
                # default each counts for itself, in its memory: with n workers up to n times as many requests get through.
                rate_limit_storage=_redis_url(env, "RATE_LIMIT_STORAGE"),
                # Origins whose pages may call the API, `https://app.example.com`, with a comma between two; none by default.
                cors_origins=_origins(env.str("CORS_ORIGINS", default=None)),
                # Where gunicorn listens. The default is for a proxy on the same host.
                host=env.str("HOST", default="127.0.0.1"),
                port=env.int("PORT", default=8000, validate=Range(1, 65535)),
                workers=env.int("WORKERS", default=2, validate=Range(1, 64)),
                # Requests a worker process handles at a time; it holds up to as many connections for each of its roles.
                threads=env.int("THREADS", default=8, validate=Range(1, 100)),
                # How long a request waits for its turn before it is answered 503. A compute may have to wake up first.
                queue_seconds=env.int("QUEUE_SECONDS", default=10, validate=Range(1, 60)),
                # How long a request waits for a free connection, once there could be one, before it is answered 503.
                pool_wait_seconds=env.int("POOL_WAIT_SECONDS", default=5, validate=Range(1, 60)),
                # How long it waits for a new one: enough for a scaled-to-zero Neon compute to wake up.
                connect_seconds=env.int("CONNECT_SECONDS", default=10, validate=Range(2, 60)),
                # How long it waits for an answer. PostgreSQL itself ends a statement after 10 s; what takes longer has been
                # lost on the way, or waits in a pooler for a server that is gone.
                answer_seconds=env.int("ANSWER_SECONDS", default=12, validate=Range(1, 60)),
                # Argon2 hashes one worker process computes at a time; 19 MiB and about 20 ms each.
                password_hashers=env.int("PASSWORD_HASHERS", default=1, validate=Range(1, 64)),
                # NIST SP 800-63B asks for 8 at least, so no lower setting is accepted.
                password_min_length=env.int("PASSWORD_MIN_LENGTH", default=12, validate=Range(8, 64)),
                # What one account may have, the trash included.
                tasks_per_user=env.int("TASKS_PER_USER", default=20_000, validate=Range(1, 1_000_000)),
                lists_per_user=env.int("LISTS_PER_USER", default=500, validate=Range(1, 10_000)),
                # Requests with an Idempotency-Key that one account may make in 24 hours; each answer is kept so long.
                answers_per_user=env.int("ANSWERS_PER_USER", default=5_000, validate=Range(1, 1_000_000)),
                # Personal access tokens that have not expired.
                tokens_per_user=env.int("TOKENS_PER_USER", default=50, validate=Range(1, 1_000)),
                max_body_bytes=env.int("MAX_BODY_BYTES", default=256 * 1024, validate=Range(1024, 2**30)),
            )
        except EnvError as error:
            raise ConfigError(" ".join(str(error).split())) from error
        if config.environment == "production":
            _refuse_unsafe_secrets({name: _secret(env, name) for name in ("SEAL_KEY", "JWT_PRIVATE_KEY", "REFRESH_KEYS")})
        return config


def given_secrets() -> dict[str, str]:
    """Return those of :data:`SECRETS` that this process was given, as they stand.

    :raises ConfigError: when a file that should hold one cannot be read.
    """
    env = Env(prefix="TASKAPP_")
    given = {}
    for variable in SECRETS:
        name = variable.removeprefix("TASKAPP_")
        if _is_given(env, name):
            given[variable] = _secret(env, name)
    return given


def _is_given(env: Env, name: str) -> bool:
    return (env.str(name, default=None), env.str(f"{name}_FILE", default=None)) != (None, None)


def _secret(env: Env, name: str) -> str:
    """Read a value that may stand in a file instead, as container platforms hand over secrets."""
    path = env.str(f"{name}_FILE", default=None)
    if path is None:
        return env.str(name)
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"TASKAPP_{name}_FILE cannot be read: {type(error).__name__}") from error


# The x coordinates of private keys that everybody has: RFC 7515 appendix A.3, RFC 7517 appendix A.2, jwt.io.
_PUBLISHED_KEYS = {
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "EVs_o5-uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf84",
}


def _refuse_unsafe_secrets(secrets: dict[str, str]) -> None:
    for name, value in secrets.items():
        if re.search(rf"\b{LOCAL_MARK}\b", value):
            raise ConfigError(
                f"TASKAPP_{name} was made by `make run` for this machine only; production needs its own: "
                "run `flask database init`"
            )
        # Of 64 random digits there are more; fewer were typed by somebody, or stood in an example.
        if any(len(set(digits)) < _DISTINCT_DIGITS for digits in re.findall(r"\b[0-9a-f]{64}\b", value)):
            raise ConfigError(f"TASKAPP_{name} is not random; run `flask database init`, or `openssl rand -hex 32`")


def _optional_database_url(env: Env, name: str) -> str | None:
    return _database_url(env, name) if _is_given(env, name) else None


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


def _redis_url(env: Env, name: str) -> str | None:
    if not _is_given(env, name):
        return None
    url = _secret(env, name)
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    # What the client takes from the query of a URL would override the time-outs that keep requests going.
    if not known or parts.query or parts.fragment or not re.fullmatch("(/[0-9]*)?", parts.path):
        raise ConfigError(f"TASKAPP_{name} is not a URL of Redis: redis://user:password@host:6379/0")
    return url


_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _origins(text: str | None) -> list[str]:
    """Read origins as browsers write them (RFC 6454 section 6.2): an address in any other spelling would never be met."""
    origins = [] if text is None else [origin.strip() for origin in text.split(",")]
    for origin in origins:
        found = re.fullmatch(
            r"([a-z][a-z0-9+.-]*)://([a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::([1-9][0-9]{0,4}))?", origin
        )
        if not found or int(found[3] or 1) > 65535 or found[3] == _DEFAULT_PORTS.get(found[1], ""):
            raise ConfigError(
                f"TASKAPP_CORS_ORIGINS: {origin[:100]!r} is not an origin like https://app.example.com, "
                "in small letters, without a path, a default port or a wildcard"
            )
    return origins


def _seal_key(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,32}:[0-9a-f]{64}", text):
        raise ConfigError("TASKAPP_SEAL_KEY must be `<key id>:<64 hex digits>`")
    return text


def _refresh_key(text: str) -> bytes:
    key = re.fullmatch(rf"(?:{LOCAL_MARK}:)?([0-9a-f]{{64}})", text)
    if not key:
        raise ConfigError("TASKAPP_REFRESH_KEYS must be 64 hex digits each, with a comma between two")
    return bytes.fromhex(key[1])


_SWITCH = "the last key signs from"


def switching(keys: list[str], moment: datetime) -> str:
    """Write TASKAPP_JWT_PRIVATE_KEY so that the last of ``keys`` takes over by itself at ``moment``, to the second."""
    *before, last = keys
    line = f"{_SWITCH} {moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return "\n".join([*(key.strip() for key in before), line, last.strip(), ""])


def _switch_at(text: str) -> datetime | None:
    if _SWITCH not in text:
        return None
    found = re.findall(rf"^{_SWITCH} (\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$", text, re.MULTILINE)
    try:
        (moment,) = map(datetime.fromisoformat, found)
    except ValueError as error:
        raise ConfigError(f"TASKAPP_JWT_PRIVATE_KEY: one line says `{_SWITCH} 2026-01-31T23:59:59Z`") from error
    return moment


def _p256_private_keys(text: str) -> list[str]:
    """Read the private keys ES256 needs (RFC 7518 section 3.4: curve P-256)."""
    pems = re.findall(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", text, re.DOTALL)
    if not pems:
        raise ConfigError("TASKAPP_JWT_PRIVATE_KEY holds no PEM private key")
    for pem in pems:
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError) as error:
            raise ConfigError("TASKAPP_JWT_PRIVATE_KEY is not an unencrypted PEM private key") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ConfigError("TASKAPP_JWT_PRIVATE_KEY must be an EC key on the curve P-256")
        x = key.public_key().public_numbers().x.to_bytes(32, "big")
        if urlsafe_b64encode(x).rstrip(b"=").decode() in _PUBLISHED_KEYS:
            raise ConfigError("TASKAPP_JWT_PRIVATE_KEY is a published example; run `flask database init`")
    return pems
