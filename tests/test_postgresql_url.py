"""A URL is read as libpq reads it, or refused without a word of it; what is written is read as the same."""

import random
import string
from contextlib import suppress

import pytest
from psycopg2.extensions import parse_dsn

from taskapp.config.postgresql_url import arguments, hosts_of, masked_url, read_url, write_url

READ = [
    "postgresql://",
    "postgres:///tasks",
    "postgresql://role@/tasks?host=/run/postgresql&port=6543",
    "postgresql://role:s3cr3t@db.example.com:6543/tasks?sslmode=verify-full&sslrootcert=system",
    "postgresql://role:s3cr3t@a.example.com,b.example.com/tasks?target_session_attrs=read-write",
    "postgresql://role:s3cr3t@a.example.com:5432,b.example.com:5433/tasks?target_session_attrs=primary",
    "postgresql://role:s3cr3t@a.example.com,b.example.com:5433/tasks",
    "postgresql://role:s3cr3t@[2001:db8::7],[::1]:5433/tasks",
    "postgresql://role:s3cr3t@[fe80::1%25eth0]/tasks",
    "postgresql://role:%40%2F%3A%3F%23%25%20%26%3D@localhost/tasks",
    "postgresql://role:a:b?c#d&e=f+g@localhost/tasks",
    "postgresql://role:\u00e4%C3%A4\u6f22@localhost/tasks",
    "postgresql://ro%40le:s3cr3t@%2Frun%2Fpostgresql/ta%2Fsks",
    "postgresql://localhost/tasks?user=role&password=s3cr3t%26&%70assfile=/x",
    "postgresql://a/tasks?host=b&host=c,d&port=1,2&ssl=true",
    "postgresql://role:@localhost:/tasks?sslmode=",
]


@pytest.mark.parametrize("url", READ)
def test_it_is_read_as_libpq_reads_it_and_written_so_that_it_reads_the_same(url: str) -> None:
    assert said(read_url(url)) == said(parse_dsn(url))
    assert said(parse_dsn(write_url(read_url(url)))) == said(parse_dsn(url))


def said(parameters: dict[str, str]) -> dict[str, str]:
    """Leave out what libpq takes for nothing: a port of commas alone."""
    return {name: value for name, value in parameters.items() if value.strip(",")}


@pytest.mark.parametrize(
    "password",
    [
        *(
            f"s3cr3t{each}s3cr3t"
            for each in ("%", "%z", "%4", "%00", "%FF", "@", "/", "/@", " ", "\t", "\n", "\x00", "\udcff")
        ),
        "s3cr3t%",
        "123/s3cr3t",
        "123/s3cr3t?s3cr3t=s3cr3t",
        "1,2/s3cr3t",
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "postgresql://role:{}@localhost/tasks",
        "postgresql://role:{}@localhost,other:6543/tasks?sslmode=require",
        "postgresql://role:{}@/tasks",
        "postgresql://localhost/tasks?user=role&password={}@",
    ],
)
def test_a_password_that_is_not_encoded_is_refused_and_not_quoted(form: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"^is not ") as caught:
        read_url(form.format(password))
    told = f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    assert "s3cr3t" not in told
    assert "percent-encoded" in told or "UTF-8" in told


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cr3t",
        "host=localhost password=s3cr3t",
        "mysql://role:s3cr3t@localhost/tasks",
        "postgresql+psycopg2://role:s3cr3t@localhost/tasks",
        "postgresql://role:s3cr3t@[::1/tasks",
        "postgresql://role:s3cr3t@::1/tasks",
        "postgresql://role:s3cr3t@localhost:0/tasks",
        "postgresql://role:s3cr3t@localhost:65536/tasks",
        "postgresql://role:s3cr3t@localhost:s3cr3t/tasks",
        "postgresql://role:s3cr3t@localhost/tasks?s3cr3t",
        "postgresql://role:s3cr3t@localhost/tasks?password=s3cr3t=",
        "postgresql://role:s3cr3t@localhost/tasks?port=s3cr3t",
        "postgresql://role:s3cr3t@localhost/tasks?S3CR3T=1",
    ],
)
def test_what_is_no_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not a URL|must start with|has a port)") as caught:
        read_url(url)
    assert "s3cr3t" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}".lower()


def test_a_thousand_raw_passwords_are_read_as_libpq_reads_them_or_refused() -> None:
    chance = random.Random(18)
    read = 0
    for _ in range(1000):
        password = "".join(chance.choices(string.ascii_letters + string.punctuation + " \u00e4\u6f22", k=8))
        url = f"postgresql://role:{password}@localhost:5432/tasks?sslmode=require"
        with suppress(ValueError):
            assert read_url(url) == parse_dsn(url)
            assert password not in masked_url(url)
            read += 1
    assert 100 < read < 900


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://r:s3cr3t%40@h:1,[::1]:2/d?sslmode=require", "postgresql://r:***@h:1,[::1]:2/d?sslmode=require"),
        ("postgresql://h/d?password=s3cr3t&user=r", "postgresql://r:***@h/d"),
        ("postgresql:///d?host=/run/pg&sslpassword=s3cr3t", "postgresql:///d?host=/run/pg&sslpassword=***"),
        ("postgresql://r@h/d?oauth_client_secret=s3cr3t", "postgresql://r@h/d?oauth_client_secret=***"),
    ],
)
def test_a_masked_url_has_no_secret(url: str, masked: str) -> None:
    assert masked_url(url) == masked


# What libpq takes from its environment where a URL does not say otherwise.
ELSEWHERE = {
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGOPTIONS": "-c row_security=off",
    "PGCLIENTENCODING": "LATIN1",
}


def test_libpqs_environment_changes_nothing_that_a_url_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    given = arguments("postgresql://role@db.example.com/tasks")
    assert {given["hostaddr"], given["options"]} == {""}
    assert (given["port"], given["client_encoding"]) == ("5432", "UTF8")


def test_a_url_without_a_host_goes_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.com")
    assert "port" not in arguments("postgresql:///tasks")
    assert hosts_of("postgresql:///tasks") == ["db.example.com", ""]
