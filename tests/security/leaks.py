"""No secret is in the repository: detect-secrets looks through every file of it (`make check`).

What it takes for one and is none stands in :data:`NONE`, by what it is and not by where, so that lines may move.
"""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings

PROJECT = Path(__file__).parents[2]

# Integrity hashes of npm; figures; and what is written by `make openapi` from sources that are looked through.
GENERATED = ("*/package-lock.json", "benchmarks/results/*", "docs/openapi.json")

# Which files, what value, and why it is no secret.
NONE = [
    ("*", "correct horse battery", "the password of every example"),
    ("*", "password|secret|contender|very-secret-word", "a word in the place of a password in the URL of a database"),
    ("*", "0198f3c[0-9a-f]+", "the id of every example"),
    ("tests/*", "0af7651916cd43dd8448eb211c80319c|b7ad6b7169203331", "the example of W3C Trace Context"),
    ("tests/test_config_command.py", "{SECRET}%40%2Fx", "where a password goes"),
    ("tests/admin/test_status.py", "secret%", "a password whose percent sign makes its URL none"),
    ("tests/test_postgresql_url.py", r"s3cr3t(%40)?|%40%2F[%0-9A-F]+|\\u00e4%C3%A4\\u6f22", "characters that URLs encode"),
    ("tests/*", "(?!BEGIN)[A-Za-z ]{2,30}", "a password of tests, in plain words"),
    ("tests/*", "s3cr3t-word|tr0ub4dor&3-tr0ub4dor", "a password of tests"),
    ("tests/*", r"UPDATE app\.users SET .*", "a statement about passwords"),
    ("tests/admin/test_rotate_key.py", "BEGIN PRIVATE KEY", "a pattern that looks for keys"),
    ("tests/security/leaks.py", "BEGIN PRIVATE KEY", "the line above"),
    (
        "tests/test_config.py",
        "jpsQ.{39}|870M.{39}|evZz.{39}",
        "keys of RFC 7515, RFC 7517, jwt.io: to be refused",
    ),
    ("taskapp/config/p256.py", "f83O.{39}|MKBC.{39}|EVs_.{39}", "the public halves of those keys"),
    ("taskapp/features/keys/schemas.py", "f83O.{39}|x_FE.{39}|oKIy.{39}", "a public key of RFC 7515 and its thumbprint"),
    ("taskapp/features/auth/schemas.py", r"rt_AZjzwc.+|eyJhbGci.+\.", "a made-up refresh token and access token: examples"),
    ("taskapp/features/tokens/schemas.py", "tsk_pat_x3YkmB0u.+", "a made-up personal access token: an example"),
    ("taskapp/isolation/doctor/rules/function_bodies.py", "[0-9a-f]{16}", "digests of functions that migrations make"),
    ("tests/serving/test_gunicorn_overrides.py", "[0-9a-f]{16}", "digests of gunicorn's code"),
]

# A seal key, and the tokens of this project. Nobody else knows these forms.
OURS = re.compile(r"\b[a-z0-9-]{1,32}:[0-9a-f]{64}\b|\btsk_pat_[0-9A-Za-z]{50,}|\brt_[0-9A-Za-z_-]{50,}")


def committed() -> list[str]:
    """Every file that is in the repository, or about to be."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    return [name for name in names if not any(fnmatch(name, pattern) for pattern in GENERATED)]


def leaks(folder: Path, names: list[str]) -> list[str]:
    """Name the places where something stands that may be a secret; not what it is."""
    found = SecretsCollection(str(folder))
    with default_settings():
        found.scan_files(*names)
    places = [
        (str(Path(secret.filename).relative_to(folder)), secret.line_number, secret.type, secret.secret_value or "")
        for _, secret in found
    ]
    for name in names:
        lines = (folder / name).read_text(errors="replace").splitlines()
        places += [(name, number, "ours", one) for number, line in enumerate(lines, 1) for one in OURS.findall(line)]
    return [f"{name}:{line}: {kind}" for name, line, kind, value in places if not is_none(name, value)]


def is_none(name: str, value: str) -> bool:
    return any(fnmatch(name, files) and re.fullmatch(pattern, value) for files, pattern, _ in NONE)


if __name__ == "__main__":
    if places := leaks(PROJECT, committed()):
        sys.exit("\n".join([*places, "may be secrets. What is none is to be said so in tests/security/leaks.py."]))
