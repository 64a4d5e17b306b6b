"""The look for secrets notices one that is planted, whatever kind it is of, and does not repeat it."""

from pathlib import Path
from secrets import token_hex

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from security.leaks import NONE, committed, leaks
from taskapp.web.authentication.personal_token import PREFIX

KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
HEX = token_hex(32)

# What `flask database init` makes, and what people have besides. Made anew each time: as text it would be a finding here.
SECRETS = {
    "a seal key": f'TASKAPP_SEAL_KEY="k1:{HEX}"',
    "refresh keys": f'REFRESH_KEYS = "{HEX}"',
    "a private key": KEY,
    "the URL of a database": f"DATABASE_URL=postgresql://taskapp_api:{HEX[:20]}@db.example.com/app",
    "a personal access token": f'token = "{PREFIX}{HEX}"',
    "a password": f'password = "{HEX[:12]}"',
    "a key of a cloud": f"aws_access_key_id = AKIA{HEX[:16].upper()}",
}


def test_a_secret_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    names = [f"{folder}/{number}" for folder in ("taskapp", "tests", "docs") for number in range(len(SECRETS))]
    for name, secret in zip(names, [*SECRETS.values()] * 3, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"# A page.\n\n{secret}\n")
    found = leaks(tmp_path, names)
    assert {place.rpartition(":")[0] for place in found} == {f"{name}:3" for name in names}
    assert HEX[:12] not in "".join(found)


def test_what_is_known_to_be_none_is_none(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text('password = "correct horse battery"\n')
    assert leaks(tmp_path, ["page.md"]) == []


def test_it_looks_through_whatever_is_committed() -> None:
    names = committed()
    assert {"Makefile", "taskapp/serving/gunicorn_worker.py", "tests/conftest.py", "tests/security/leaks.py"} <= set(names)
    assert len(names) > 200


def test_whatever_is_none_has_a_reason() -> None:
    assert all(why for _, _, why in NONE)
