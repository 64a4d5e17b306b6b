"""Settings are read once, typed, and refused in one line that names the variable."""

import base64
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from taskapp import create_app
from taskapp.config import Config, ConfigError, switching
from taskapp.dev.run import _local_keys
from taskapp.operations.database.provision import new_keys
from taskapp.operations.generate_private_key import new_private_key

SECRET = "s3cr3t-word"
KEYS = new_keys("k1")
COMPLETE = {
    "TASKAPP_DATABASE_URL": f"postgresql://taskapp_api:{SECRET}@db.example.com/taskapp?sslmode=require",
    "TASKAPP_AUTH_DATABASE_URL": f"postgresql://taskapp_auth:{SECRET}@db.example.com/taskapp?sslmode=require",
    **KEYS,
}
DEFAULTS: dict[str, Any] = {
    "environment": "production",
    "migration_database_url": None,
    "jwt_switch_at": None,
    "operator_database_url": None,
    "jwt_issuer": "taskapp",
    "jwt_audience": "taskapp",
    "access_token_seconds": 600,
    "session_days": 90,
    "session_idle_days": 30,
    "refresh_grace_seconds": None,
    "trusted_proxies": 0,
    "registrations_per_hour": 5,
    "logins_per_minute": 20,
    "refreshes_per_minute": 60,
    "requests_per_minute": 600,
    "anonymous_requests_per_minute": 120,
    "rate_limit_storage": None,
    "cors_origins": [],
    "host": "127.0.0.1",
    "port": 8000,
    "workers": 2,
    "threads": 8,
    "queue_seconds": 10,
    "pool_wait_seconds": 5,
    "connect_seconds": 10,
    "answer_seconds": 12,
    "password_hashers": 1,
    "password_min_length": 12,
    "tokens_per_user": 50,
    "max_body_bytes": 262144,
    "metrics_port": None,
    "metrics_host": "127.0.0.1",
    "otlp_endpoint": None,
}


@pytest.fixture(autouse=True)
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete environment of production, and nothing of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(("TASKAPP_", "OTEL_"))]:
        monkeypatch.delenv(name)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refused(variable: str) -> str:
    """Expect one line that names the variable and no secret."""
    with pytest.raises(ConfigError) as caught:
        Config.from_environment()
    line = str(caught.value)
    assert variable in line
    assert "\n" not in line
    assert SECRET not in line
    return line


def test_five_variables_are_enough() -> None:
    assert len(COMPLETE) == 5
    config = Config.from_environment()
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS
    assert config.database_url == COMPLETE["TASKAPP_DATABASE_URL"]
    assert config.auth_database_url == COMPLETE["TASKAPP_AUTH_DATABASE_URL"]
    assert config.seal_key == COMPLETE["TASKAPP_SEAL_KEY"]
    assert config.jwt_private_keys == [COMPLETE["TASKAPP_JWT_PRIVATE_KEY"].strip()]
    assert config.refresh_keys == [bytes.fromhex(COMPLETE["TASKAPP_REFRESH_KEYS"])]


@pytest.mark.parametrize("variable", COMPLETE)
def test_a_missing_variable_is_named(env: pytest.MonkeyPatch, variable: str) -> None:
    env.delenv(variable)
    refused(variable)


@pytest.mark.parametrize("variable", COMPLETE)
def test_an_empty_variable_is_named(env: pytest.MonkeyPatch, variable: str) -> None:
    env.setenv(variable, "")
    refused(variable)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASKAPP_ENVIRONMENT", "staging"),
        ("TASKAPP_ENVIRONMENT", "Local"),
        ("TASKAPP_ENVIRONMENT", ""),
        ("TASKAPP_ACCESS_TOKEN_SECONDS", "59"),
        ("TASKAPP_ACCESS_TOKEN_SECONDS", "3601"),
        ("TASKAPP_ACCESS_TOKEN_SECONDS", "ten minutes"),
        ("TASKAPP_SESSION_DAYS", "0"),
        ("TASKAPP_SESSION_DAYS", "366"),
        ("TASKAPP_SESSION_IDLE_DAYS", "0"),
        ("TASKAPP_SESSION_IDLE_DAYS", "366"),
        ("TASKAPP_REFRESH_GRACE_SECONDS", "-1"),
        ("TASKAPP_REFRESH_GRACE_SECONDS", "31536001"),
        ("TASKAPP_TRUSTED_PROXIES", "-1"),
        ("TASKAPP_TRUSTED_PROXIES", "11"),
        ("TASKAPP_REGISTRATIONS_PER_HOUR", "0"),
        ("TASKAPP_LOGINS_PER_MINUTE", "0"),
        ("TASKAPP_REFRESHES_PER_MINUTE", "0"),
        ("TASKAPP_REQUESTS_PER_MINUTE", "0"),
        ("TASKAPP_REQUESTS_PER_MINUTE", ""),
        ("TASKAPP_ANONYMOUS_REQUESTS_PER_MINUTE", "0"),
        ("TASKAPP_PORT", "0"),
        ("TASKAPP_PORT", "65536"),
        ("TASKAPP_PORT", "http"),
        ("TASKAPP_PORT", "80.5"),
        ("TASKAPP_PORT", ""),
        ("TASKAPP_WORKERS", "0"),
        ("TASKAPP_WORKERS", "65"),
        ("TASKAPP_THREADS", "0"),
        ("TASKAPP_THREADS", "101"),
        ("TASKAPP_QUEUE_SECONDS", "0"),
        ("TASKAPP_POOL_WAIT_SECONDS", "0"),
        ("TASKAPP_CONNECT_SECONDS", "1"),
        ("TASKAPP_ANSWER_SECONDS", "0"),
        ("TASKAPP_PASSWORD_HASHERS", "0"),
        ("TASKAPP_PASSWORD_MIN_LENGTH", "7"),
        ("TASKAPP_PASSWORD_MIN_LENGTH", "65"),
        ("TASKAPP_MAX_BODY_BYTES", "1023"),
        ("TASKAPP_MAX_BODY_BYTES", "-1"),
        ("TASKAPP_METRICS_PORT", "0"),
        ("TASKAPP_METRICS_HOST", ""),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318?x=y"),
    ],
)
def test_a_wrong_value_is_named(env: pytest.MonkeyPatch, variable: str, value: str) -> None:
    env.setenv(variable, value)
    refused(variable)


@pytest.mark.parametrize("line_break", [r"\n", r"\r\n", "\r\n"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_keys_are_read_with_line_breaks_as_json_and_env_files_write_them(
    env: pytest.MonkeyPatch, line_break: str, quote: str
) -> None:
    two = switching([new_private_key(), new_private_key()], datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", quote + two.replace("\n", line_break) + quote)
    read = Config.from_environment()
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", two)
    wanted = Config.from_environment()
    assert read.jwt_private_keys == wanted.jwt_private_keys
    assert len(read.jwt_private_keys) == 2
    assert read.jwt_switch_at == wanted.jwt_switch_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "x",
        f"mysql://taskapp_api:{SECRET}@db.example.com/taskapp",
        f"host=db.example.com password={SECRET}",
        f"postgresql://taskapp_api:{SECRET}@[::1/taskapp",
        f"postgresql://taskapp_api:{SECRET}@db.example.com:port/taskapp",
        f"postgresql://taskapp_api:{SECRET}/with/slashes@db.example.com/taskapp",
    ],
)
@pytest.mark.parametrize(
    "variable",
    [
        "TASKAPP_DATABASE_URL",
        "TASKAPP_AUTH_DATABASE_URL",
        "TASKAPP_MIGRATION_DATABASE_URL",
        "TASKAPP_OPERATOR_DATABASE_URL",
    ],
)
def test_what_is_no_url_of_postgresql_is_refused(env: pytest.MonkeyPatch, variable: str, value: str) -> None:
    env.setenv(variable, value)
    refused(variable)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "memory",
        "memory://",
        "http://localhost:6379",
        "redis://",
        "redis:///0",
        "redis://localhost:port",
        "redis://localhost:0",
        "redis://localhost:65536",
        "redis://[::1",
        f"redis://:{SECRET}@localhost/first",
        f"redis://:{SECRET}@localhost/0?socket_timeout=60",
        f"redis://:{SECRET}/with/slashes@localhost",
        "unix:///run/redis.sock",
    ],
)
def test_what_is_no_url_of_redis_is_refused(env: pytest.MonkeyPatch, value: str) -> None:
    env.setenv("TASKAPP_RATE_LIMIT_STORAGE", value)
    refused("TASKAPP_RATE_LIMIT_STORAGE")


@pytest.mark.parametrize(
    "url", ["redis://localhost", f"rediss://taskapp:{SECRET}@redis.example.com:6380/1", "redis://[::1]/"]
)
@pytest.mark.parametrize("in_file", [False, True], ids=["in the environment", "in a file"])
def test_limits_may_be_counted_in_redis(env: pytest.MonkeyPatch, tmp_path: Path, in_file: bool, url: str) -> None:
    file = tmp_path / "url"
    file.write_text(f"{url}\n")
    env.setenv(*(("TASKAPP_RATE_LIMIT_STORAGE_FILE", str(file)) if in_file else ("TASKAPP_RATE_LIMIT_STORAGE", url)))
    config = Config.from_environment()
    assert config.rate_limit_storage == url
    assert SECRET not in repr(config)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "*",
        "null",
        "app.example.com",
        "https://",
        "https://*.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com?x",
        "https://app.example.com#x",
        "https://app.example.com:443",
        "http://app.example.com:80",
        "http://app.example.com:0",
        "http://app.example.com:65536",
        "http://app.example.com:",
        "http://user@app.example.com",
        "HTTPS://app.example.com",
        "https://App.example.com",
        "https://app.example.com https://b.example.com",
        "https://app.example.com,",
        "https://app.example.com,*",
        "https://app.example.com, null",
        "https://app..example.com",
        "https://app.example.com\nhttps://b.example.com",
        "https://ex\u00e4mple.com",
    ],
)
def test_what_is_no_origin_is_refused(env: pytest.MonkeyPatch, value: str) -> None:
    env.setenv("TASKAPP_CORS_ORIGINS", value)
    refused("TASKAPP_CORS_ORIGINS")


def test_origins_have_commas_between_them(env: pytest.MonkeyPatch) -> None:
    env.setenv(
        "TASKAPP_CORS_ORIGINS", "https://app.example.com, http://localhost:3000,http://[::1]:5173,capacitor://localhost"
    )
    assert Config.from_environment().cors_origins == [
        "https://app.example.com",
        "http://localhost:3000",
        "http://[::1]:5173",
        "capacitor://localhost",
    ]


@pytest.mark.parametrize("variable", ["TASKAPP_DATABASE_URL", "TASKAPP_AUTH_DATABASE_URL"])
@pytest.mark.parametrize(
    "options",
    ["&options=-c%20app.user_id%3Dx", "&application_name=x&options=--search_path%3Dapp", "&%6Fptions=-cx%3Dy"],
)
def test_start_up_options_are_refused(env: pytest.MonkeyPatch, variable: str, options: str) -> None:
    env.setenv(variable, COMPLETE[variable] + options)
    assert "options" in refused(variable)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_both_names_of_the_scheme_are_accepted(env: pytest.MonkeyPatch, scheme: str) -> None:
    env.setenv("TASKAPP_DATABASE_URL", f"{scheme}://taskapp_api:x@db.example.com/taskapp?sslmode=require")
    assert create_app(Config.from_environment())


@pytest.mark.parametrize(
    "value",
    [
        "k1",
        "k1:",
        ":" + "0" * 64,
        "k1:" + "0" * 63,
        "k1:" + "0" * 65,
        "k1:" + "g" * 64,
        "k1:" + "A" * 64,
        "K1:" + "0" * 64,
        "k 1:" + "0" * 64,
        "k1:" + "0" * 64 + "\n",
        "x" * 33 + ":" + "0" * 64,
    ],
)
def test_a_seal_key_of_another_form_is_refused(env: pytest.MonkeyPatch, value: str) -> None:
    env.setenv("TASKAPP_SEAL_KEY", value)
    assert "0000" not in refused("TASKAPP_SEAL_KEY")


@pytest.mark.parametrize(
    "value",
    ["0" * 63, "0" * 65, "g" * 64, "A" * 64, "0" * 64 + "\n", "0" * 64 + ",", "," + "0" * 64, "0" * 64 + ", " + "1" * 64],
)
def test_a_refresh_key_of_another_form_is_refused(env: pytest.MonkeyPatch, value: str) -> None:
    env.setenv("TASKAPP_REFRESH_KEYS", value)
    assert "0000" not in refused("TASKAPP_REFRESH_KEYS")


def test_refresh_keys_keep_their_order(env: pytest.MonkeyPatch) -> None:
    keys = [secrets.token_bytes(32) for _ in range(3)]
    env.setenv("TASKAPP_REFRESH_KEYS", ",".join(key.hex() for key in keys))
    assert Config.from_environment().refresh_keys == keys


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


WRONG_KEYS = {
    "no key": "secret",
    "a public key": ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode(),
    "an encrypted key": pem(ec.generate_private_key(ec.SECP256R1()), b"password"),
    "the curve P-384": pem(ec.generate_private_key(ec.SECP384R1())),
    "the curve secp256k1": pem(ec.generate_private_key(ec.SECP256K1())),
    "RSA": pem(rsa.generate_private_key(65537, 2048)),
    "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "a key cut off": KEYS["TASKAPP_JWT_PRIVATE_KEY"][:150],
}


@pytest.mark.parametrize("value", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_only_a_private_key_on_the_curve_p_256_signs_tokens(env: pytest.MonkeyPatch, value: str) -> None:
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", value)
    refused("TASKAPP_JWT_PRIVATE_KEY")


@pytest.mark.parametrize("value", [value for name, value in WRONG_KEYS.items() if name not in {"no key", "a key cut off"}])
def test_one_wrong_key_among_those_of_access_tokens_is_refused(env: pytest.MonkeyPatch, value: str) -> None:
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", KEYS["TASKAPP_JWT_PRIVATE_KEY"] + value)
    refused("TASKAPP_JWT_PRIVATE_KEY")


@pytest.mark.parametrize("between", ["", "\n", "\n\n", "\nretired in May\n"])
def test_the_keys_of_access_tokens_keep_their_order(env: pytest.MonkeyPatch, between: str) -> None:
    keys = [pem(ec.generate_private_key(ec.SECP256R1())).strip() for _ in range(3)]
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", between.join(f"{key}\n" for key in keys))
    assert Config.from_environment().jwt_private_keys == keys


@pytest.mark.parametrize(
    "moment", ["", "2026-11-28", "2026-11-28T20:30:00", "2026-11-28T20:30:00+01:00", "2026-13-28T20:30:00Z"]
)
def test_a_key_takes_over_at_an_instant_in_utc(env: pytest.MonkeyPatch, moment: str) -> None:
    line = f"the last key signs from {moment}\n"
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", KEYS["TASKAPP_JWT_PRIVATE_KEY"] + line + KEYS["TASKAPP_JWT_PRIVATE_KEY"])
    refused("TASKAPP_JWT_PRIVATE_KEY")


def test_of_keys_that_take_over_there_is_one(env: pytest.MonkeyPatch) -> None:
    line = "the last key signs from 2026-11-28T20:30:00Z\n"
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", 2 * (line + KEYS["TASKAPP_JWT_PRIVATE_KEY"]))
    refused("TASKAPP_JWT_PRIVATE_KEY")


# Their private halves, as they were published.
PUBLISHED = {
    "RFC 7515 A.3": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    "RFC 7517 A.2": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
    "jwt.io": "evZzL1gdAFr88hb2OF_2NxApJCzGCEDdfSp6VQO30hw",
}


@pytest.mark.parametrize("environment", ["production", "local"])
@pytest.mark.parametrize("before", ["", KEYS["TASKAPP_JWT_PRIVATE_KEY"]], ids=["alone", "behind another"])
@pytest.mark.parametrize("number", PUBLISHED.values(), ids=PUBLISHED)
def test_a_private_key_that_everybody_has_is_refused(
    env: pytest.MonkeyPatch, environment: str, before: str, number: str
) -> None:
    value = int.from_bytes(base64.urlsafe_b64decode(number + "="), "big")
    published = pem(ec.derive_private_key(value, ec.SECP256R1()))
    env.setenv("TASKAPP_ENVIRONMENT", environment)
    env.setenv("TASKAPP_JWT_PRIVATE_KEY", before + published)
    line = refused("TASKAPP_JWT_PRIVATE_KEY")
    assert "published" in line
    assert not any(part in line for part in published.splitlines())


LOCAL_KEYS = _local_keys()


@pytest.mark.parametrize("name", LOCAL_KEYS)
def test_production_refuses_a_key_of_make_run(env: pytest.MonkeyPatch, name: str) -> None:
    env.setenv(name, LOCAL_KEYS[name])
    assert "flask database init" in refused(name)


def test_production_refuses_a_key_of_make_run_behind_a_newer_one(env: pytest.MonkeyPatch) -> None:
    env.setenv("TASKAPP_REFRESH_KEYS", f"{KEYS['TASKAPP_REFRESH_KEYS']},{LOCAL_KEYS['TASKAPP_REFRESH_KEYS']}")
    assert "flask database init" in refused("TASKAPP_REFRESH_KEYS")


def test_a_local_environment_takes_the_keys_of_make_run(env: pytest.MonkeyPatch) -> None:
    for name, value in LOCAL_KEYS.items():
        env.setenv(name, value)
    env.setenv("TASKAPP_ENVIRONMENT", "local")
    config = Config.from_environment()
    assert config.seal_key.startswith("local-")
    assert [bytes.fromhex(LOCAL_KEYS["TASKAPP_REFRESH_KEYS"].removeprefix("local:"))] == config.refresh_keys
    assert len(config.jwt_private_keys) == 1


@pytest.mark.parametrize("digits", ["0" * 64, "01" * 32, "abcdef0" * 9 + "a"])
@pytest.mark.parametrize(("name", "prefix"), [("TASKAPP_SEAL_KEY", "1:"), ("TASKAPP_REFRESH_KEYS", "")])
def test_production_refuses_a_key_that_nobody_drew_at_random(
    env: pytest.MonkeyPatch, name: str, prefix: str, digits: str
) -> None:
    env.setenv(name, prefix + digits)
    message = refused(name)
    assert "not random" in message
    assert digits not in message


@pytest.mark.parametrize("end", ["", "\n"], ids=["no end of line", "a line break"])
@pytest.mark.parametrize("variable", COMPLETE)
def test_a_value_may_stand_in_a_file(env: pytest.MonkeyPatch, tmp_path: Path, variable: str, end: str) -> None:
    # An editor ends a file with a line break, `printf` and most secret stores do not.
    file = tmp_path / "secret"
    file.write_bytes((COMPLETE[variable].strip() + end).encode())
    env.delenv(variable)
    env.setenv(f"{variable}_FILE", str(file))
    from_file = Config.from_environment()
    env.delenv(f"{variable}_FILE")
    env.setenv(variable, COMPLETE[variable])
    assert from_file == Config.from_environment()


@pytest.mark.parametrize("variable", COMPLETE)
def test_a_file_that_is_not_there_is_named(env: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    env.delenv(variable)
    env.setenv(f"{variable}_FILE", str(tmp_path / "nothing"))
    refused(variable)


def test_a_file_that_cannot_be_read_is_named(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env.delenv("TASKAPP_SEAL_KEY")
    env.setenv("TASKAPP_SEAL_KEY_FILE", str(tmp_path))
    refused("TASKAPP_SEAL_KEY")


def test_a_file_that_is_no_text_is_named(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe\x00")
    env.delenv("TASKAPP_SEAL_KEY")
    env.setenv("TASKAPP_SEAL_KEY_FILE", str(tmp_path / "secret"))
    refused("TASKAPP_SEAL_KEY")


def test_the_settings_do_not_print_their_secrets(env: pytest.MonkeyPatch) -> None:
    for role in ("MIGRATION", "OPERATOR"):
        env.setenv(f"TASKAPP_{role}_DATABASE_URL", f"postgresql://taskapp:{SECRET}@localhost/taskapp")
    text = repr(Config.from_environment())
    assert SECRET not in text
    assert COMPLETE["TASKAPP_SEAL_KEY"].partition(":")[2] not in text
    assert "PRIVATE KEY" not in text
    assert COMPLETE["TASKAPP_REFRESH_KEYS"] not in text
    assert repr(bytes.fromhex(COMPLETE["TASKAPP_REFRESH_KEYS"])) not in text


def test_one_line_names_everything_that_is_wrong(env: pytest.MonkeyPatch) -> None:
    env.delenv("TASKAPP_SEAL_KEY")
    env.delenv("TASKAPP_JWT_PRIVATE_KEY")
    env.setenv("TASKAPP_PORT", "http")
    assert refused("TASKAPP_PORT").split("; ") == [
        "TASKAPP_SEAL_KEY is not set",
        "TASKAPP_JWT_PRIVATE_KEY is not set",
        "TASKAPP_PORT must be a whole number from 1 to 65,535",
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("TASKAPP_REQUEST_PER_MINUTE", "TASKAPP_REQUESTS_PER_MINUTE"),
        ("TASKAPP_TRUSTED_PROXY", "TASKAPP_TRUSTED_PROXIES"),
        ("TASKAPP_CORS_ORIGIN", "TASKAPP_CORS_ORIGINS"),
        ("TASKAPP_THREAD_FILE", "TASKAPP_THREADS"),
        ("TASKAPP_JWT_PRIVATE_KEYS", "TASKAPP_JWT_PRIVATE_KEY"),
    ],
)
def test_what_is_almost_a_setting_is_refused(env: pytest.MonkeyPatch, typed: str, meant: str) -> None:
    env.setenv(typed, "1")
    assert refused(typed) == f"{typed} is no setting; do you mean {meant}?"


@pytest.mark.parametrize(
    "name",
    [
        # As Kubernetes names a service called taskapp, and as the tests name what is theirs.
        "TASKAPP_SERVICE_HOST",
        "TASKAPP_SERVICE_PORT",
        "TASKAPP_PORT_8000_TCP_ADDR",
        "TASKAPP_TEST_POSTGRES",
        "TASKAPP_TEST_REQUIRE_ALL",
        "TASKAPP_ADMIN_DATABASE_URL",
        "TASKAPP_DBA_DATABASE_URL_FILE",
    ],
)
def test_what_resembles_no_setting_is_let_be(env: pytest.MonkeyPatch, name: str) -> None:
    env.setenv(name, "1")
    assert Config.from_environment()


@pytest.mark.parametrize(
    "place",
    [
        "@db.example.com/taskapp",
        "@db.example.com/taskapp?sslmode=prefer",
        "@db.example.com/taskapp?sslmode=disable",
        "@10.0.0.7/taskapp",
        "@[2001:db8::7]/taskapp",
        "/taskapp?host=db.example.com",
        "/taskapp?host=/run/postgresql,db.example.com",
        "@db/taskapp?hostaddr=203.0.113.7",
    ],
)
@pytest.mark.parametrize(
    "variable",
    [
        "TASKAPP_DATABASE_URL",
        "TASKAPP_AUTH_DATABASE_URL",
        "TASKAPP_MIGRATION_DATABASE_URL",
        "TASKAPP_OPERATOR_DATABASE_URL",
    ],
)
def test_production_refuses_a_password_in_the_clear(env: pytest.MonkeyPatch, variable: str, place: str) -> None:
    credentials = f"taskapp_api:{SECRET}" if "@" in place else ""
    env.setenv(variable, f"postgresql://{credentials}{place}")
    assert "sslmode" in refused(variable)
    env.setenv("TASKAPP_ENVIRONMENT", "local")
    assert Config.from_environment()


@pytest.mark.parametrize(
    "place",
    [
        "db.example.com/taskapp?sslmode=require",
        "db.example.com/taskapp?sslmode=verify-ca",
        "db.example.com/taskapp?sslmode=verify-full&sslrootcert=system",
        "localhost/taskapp",
        "127.0.0.1:6432/taskapp",
        "[::1]/taskapp",
        "pgbouncer:6432/taskapp",
        "/taskapp?host=/run/postgresql",
    ],
)
def test_production_takes_what_is_encrypted_or_does_not_leave(env: pytest.MonkeyPatch, place: str) -> None:
    env.setenv("TASKAPP_DATABASE_URL", f"postgresql://taskapp_api:{SECRET}@{place}")
    assert Config.from_environment()
