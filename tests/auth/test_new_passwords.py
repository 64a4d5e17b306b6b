"""New passwords: long enough, not among the first anybody would try, kept well, and hashed a few at a time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import expect
import pytest
from argon2 import PasswordHasher
from arrange import MakeApp, other_processes
from conftest import PASSWORD, Admin, Person
from flask import Flask
from werkzeug.test import TestResponse
from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from taskapp.config import Config, ConfigError
from taskapp.features.auth import password_strength
from taskapp.features.auth.passwords import Passwords

EMAIL = "ada@example.com"
COMPOSED, DECOMPOSED = "\u00e5\u00e4\u00f6\u00fc correct battery", "a\u030aa\u0308o\u0308u\u0308 correct battery"
TODAYS = "$argon2id$v=19$m=19456,t=2,p=1$"
WEAKER = [
    PasswordHasher(time_cost=1, memory_cost=19_456, parallelism=1),
    PasswordHasher(time_cost=2, memory_cost=8_192, parallelism=1),
]
COMMON: list[str] = FREQUENCY_LISTS["passwords"]


@pytest.fixture(autouse=True)
def _nothing_counted(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


@pytest.fixture
def make_app(app: Flask) -> Iterator[MakeApp]:
    with other_processes(app) as make:
        yield make


def register(person: Person, password: str, email: str = EMAIL) -> TestResponse:
    return person.post("/v1/auth/register", {"email": email, "password": password})


def log_in(person: Person, password: str, email: str = EMAIL) -> TestResponse:
    return person.post("/v1/auth/login", {"email": email, "password": password})


def varied(length: int) -> str:
    """A password of `length` code points that nobody would guess, up to its last one."""
    return "".join(chr(0x4E00 + n * n * 131 % 20_000) for n in range(length))


@pytest.mark.parametrize(("length", "status"), [(11, 422), (12, 201), (64, 201), (65, 201), (256, 201), (257, 422)])
def test_f3_a_password_has_12_to_256_code_points(anonymous: Person, length: int, status: int) -> None:
    assert register(anonymous, varied(length)).status_code == status


@pytest.mark.parametrize("character", ["\u00e4", "\U0001f511", "e\u0301"], ids=["two bytes", "four bytes", "decomposed"])
def test_f3_eleven_characters_are_too_short_in_whatever_way_they_are_written(anonymous: Person, character: str) -> None:
    response = register(anonymous, "qZ7kV9xB2w" + character)
    assert expect.errors(response) == [("#/password", "too_short")]


def test_f3_length_is_counted_after_composing_what_is_long_before_it(anonymous: Person) -> None:
    # Some keyboards send a letter and its accent as two code points: 292 here, and no more than 172 once composed.
    response = register(anonymous, "".join(chr(0x61 + n * 7 % 26) + "\u0323" for n in range(26)) + "e\u0301" * 120)
    assert response.status_code == 201, response.text


def test_f3_the_shortest_length_may_be_set_to_8(make_app: MakeApp) -> None:
    person = Person(make_app(password_min_length=8).test_client())
    assert expect.errors(register(person, "qZ7#kV9")) == [("#/password", "too_short")]
    assert register(person, "qZ7#kV9!").status_code == 201
    assert log_in(person, "qZ7#kV9!").status_code == 200


def test_f3_the_shortest_length_may_be_raised(make_app: MakeApp) -> None:
    person = Person(make_app(password_min_length=24).test_client())
    assert expect.errors(register(person, varied(23))) == [("#/password", "too_short")]
    assert register(person, varied(24)).status_code == 201


@pytest.mark.parametrize("length", ["7", "1", "0", "-1", "65", "twelve"])
def test_f3_the_shortest_length_is_never_below_8(cluster: object, length: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKAPP_PASSWORD_MIN_LENGTH", length)
    with pytest.raises(ConfigError, match="PASSWORD_MIN_LENGTH"):
        Config.from_environment()


def test_f3_the_shortest_length_is_12_by_default(cluster: object) -> None:
    assert Config.from_environment().password_min_length == 12


@pytest.mark.parametrize(
    "password",
    [
        "gravel lantern oboe",
        "GRAVEL LANTERN OBOE",
        "8302 7719 4056 2218 93",
        "\u043f\u0430\u0440\u043e\u0432\u043e\u0437 \u043d\u0430 \u043b\u0443\u043d\u0435",
        "\u6b63\u78ba\u306a\u99ac\u306e\u96fb\u6c60\u3068\u30db\u30c1\u30ad\u30b9\u3068\u6708",
        "\u0635\u062d\u064a\u062d \u062d\u0635\u0627\u0646 \u0628\u0637\u0627\u0631\u064a\u0629",
        "\U0001f511\U0001f409\U0001f680\U0001f33b\U0001f3bb\U0001f9ed\U0001f9ca\U0001f433\U0001f3d4\U0001f3a0\U0001f344\U0001f9f6",
        "tab\tand\nnewline between",
        "p\u00e4ssw\u00f6rd \u00fcn\u00efcode",
        "  blanks around it  ",
        "quote ' and \" and \\",
        "%s %(x)s 100% {} $1",
        "'; DROP TABLE app.users; --",
    ],
)
def test_f3_any_characters_will_do_without_rules_of_composition(anonymous: Person, password: str) -> None:
    assert register(anonymous, password).status_code == 201
    assert log_in(anonymous, password).status_code == 200


@pytest.mark.parametrize(("first", "then"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)], ids=["composed", "decomposed"])
def test_f3_a_password_may_be_typed_on_another_keyboard(anonymous: Person, first: str, then: str) -> None:
    register(anonymous, first)
    assert log_in(anonymous, then).status_code == 200


def test_f3_compatible_characters_are_not_the_same(anonymous: Person) -> None:
    # NFC, not NFKC: that would make many passwords of one.
    register(anonymous, "gravel \ufb01nch oboe")
    expect.problem(log_in(anonymous, "gravel finch oboe"), 401, "invalid_credentials")


@pytest.mark.parametrize("length", [72, 73, 128, 256])
def test_f3_a_password_counts_to_its_last_character(anonymous: Person, length: int) -> None:
    password = varied(length)
    register(anonymous, password)
    expect.problem(log_in(anonymous, password[:-1] + "x"), 401, "invalid_credentials")
    expect.problem(log_in(anonymous, password[:-1]), 401, "invalid_credentials")
    assert log_in(anonymous, password).status_code == 200


def test_f4_a_common_password_is_refused(anonymous: Person, admin: Admin) -> None:
    common = [word for word in COMMON if len(word) >= 12]
    assert len(common) > 200
    answers = {password: expect.errors(register(anonymous, password)) for password in common}
    assert {password: errors for password, errors in answers.items() if errors != [("#/password", "too_common")]} == {}
    assert admin.execute("SELECT count(*) FROM app.users") == [(0,)]


@pytest.mark.parametrize(
    "password",
    [
        *("password1234", "PASSWORD1234", "p@ssw0rdp@ssw0rd", "passwordpassword", "123456789012", "qwertyuiop[]"),
        *("aaaaaaaaaaaa", "x" * 256, "\u00e4" * 12, "\U0001f511" * 12),
    ],
)
def test_f4_what_everybody_makes_of_one_is_refused(anonymous: Person, password: str) -> None:
    assert expect.errors(register(anonymous, password)) == [("#/password", "too_common")]


def test_f4_of_the_permitted_length_more_than_3000_are_known(make_app: MakeApp) -> None:
    known = [word for word in COMMON if len(word) >= 8]
    assert len(known) > 3_000
    person = Person(make_app(password_min_length=8).test_client())
    for password in known[:3_000:100]:
        assert expect.errors(register(person, password)) == [("#/password", "too_common")], password


@pytest.mark.parametrize(
    "password", ["wolfgangamadeus", "WolfgangAmadeus", "wolfgangamadeus@example.com", "wolfgangamadeus1"]
)
def test_f4_the_address_or_its_local_part_is_refused(anonymous: Person, password: str) -> None:
    response = register(anonymous, password, "wolfgangamadeus@example.com")
    assert expect.errors(response) == [("#/password", "too_common")]


def test_f4_the_local_part_of_somebody_else_will_do(anonymous: Person) -> None:
    assert register(anonymous, "wolfgangamadeus").status_code == 201


@pytest.mark.parametrize("password", ["taskapptaskapp", "Taskapp12345", "TASKAPPTASKAPP"])
def test_f4_the_name_of_the_product_is_refused(anonymous: Person, password: str) -> None:
    assert expect.errors(register(anonymous, password)) == [("#/password", "too_common")]


def test_f4_the_display_name_is_refused(anonymous: Person) -> None:
    body = {"email": EMAIL, "password": "ludwigvanbeethoven", "display_name": "ludwigvanbeethoven"}
    assert expect.errors(anonymous.post("/v1/auth/register", body)) == [("#/password", "too_common")]


@pytest.mark.parametrize("length", [17, 256])
def test_f4_no_more_than_16_characters_are_judged(cluster: object, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The judge's time grows fast with the length: 256 characters could take a thread for minutes.
    judged: list[str] = []

    def judging(password: str, user_inputs: list[str]) -> dict[str, Any]:
        judged.extend([password, *user_inputs])
        verdict: dict[str, Any] = zxcvbn(password, user_inputs=user_inputs)
        return verdict

    monkeypatch.setattr(password_strength, "zxcvbn", judging)
    Passwords(Config.from_environment()).check(varied(length), "password", about=["x" * length])
    assert judged == [varied(length)[:16], "taskapp", "x" * 16]


def test_f1_the_same_password_is_salted_differently(anonymous: Person, admin: Admin) -> None:
    for name in ("ada", "bo"):
        body = {"email": f"{name}@example.com", "password": PASSWORD}
        assert anonymous.post("/v1/auth/register", body).status_code == 201
    assert admin.execute("SELECT count(DISTINCT password_hash) FROM app.users") == [(2,)]


@pytest.mark.usefixtures("full_cost")
@pytest.mark.parametrize("weaker", WEAKER, ids=["fewer passes", "less memory"])
def test_f1_logging_in_replaces_a_weaker_hash(
    alice: Person, anonymous: Person, admin: Admin, weaker: PasswordHasher
) -> None:
    admin.execute("UPDATE app.users SET password_hash = %s", weaker.hash(PASSWORD))
    assert log_in(anonymous, PASSWORD, "alice@example.com").status_code == 200
    ((password_hash,),) = admin.execute("SELECT password_hash FROM app.users")
    assert password_hash.startswith(TODAYS)
    assert log_in(anonymous, PASSWORD, "alice@example.com").status_code == 200


@pytest.mark.usefixtures("full_cost")
def test_f1_a_wrong_password_replaces_no_hash(alice: Person, anonymous: Person, admin: Admin) -> None:
    weak = WEAKER[0].hash(PASSWORD)
    admin.execute("UPDATE app.users SET password_hash = %s", weak)
    expect.problem(log_in(anonymous, "not the password", "alice@example.com"), 401, "invalid_credentials")
    assert admin.execute("SELECT password_hash FROM app.users") == [(weak,)]


@pytest.mark.usefixtures("full_cost")
def test_f1_a_hash_is_replaced_for_nobody_else(alice: Person, bob: Person, anonymous: Person, admin: Admin) -> None:
    weak = WEAKER[0].hash(PASSWORD)
    admin.execute("UPDATE app.users SET password_hash = %s", weak)
    log_in(anonymous, PASSWORD, "alice@example.com")
    assert admin.execute("SELECT password_hash FROM app.users WHERE user_id = %s", bob.id) == [(weak,)]


def test_f1_a_hash_of_today_is_kept(alice: Person, anonymous: Person, admin: Admin) -> None:
    before = admin.execute("SELECT password_hash, version FROM app.users")
    log_in(anonymous, PASSWORD, "alice@example.com")
    assert admin.execute("SELECT password_hash, version FROM app.users") == before


@pytest.fixture
def crowded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Passwords:
    """Let there be one place for hashing."""
    one = Passwords(replace(Config.from_environment(), password_hashers=1, threads=2))
    monkeypatch.setitem(app.extensions["taskapp"], Passwords, one)
    return one


@pytest.mark.parametrize(
    "ask",
    [
        lambda person: log_in(person, PASSWORD, "alice@example.com"),
        lambda person: log_in(person, PASSWORD, "nobody@example.com"),
        lambda person: register(person, PASSWORD),
        lambda person: person.post("/v1/me/delete", {"password": PASSWORD}),
    ],
    ids=["log-in", "unknown address", "registration", "deletion"],
)
def test_f2_what_has_no_place_to_hash_is_to_be_tried_again(
    alice: Person, crowded: Passwords, ask: Callable[[Person], TestResponse]
) -> None:
    with crowded.place():
        response = ask(alice)
    expect.problem(response, 503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert alice.get("/v1/me").status_code == 200
