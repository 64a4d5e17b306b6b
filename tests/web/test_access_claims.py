"""Access tokens with hostile headers and claims, signed with the real key: each gets the 401 of any other bad token."""

import json
import time
from collections.abc import Callable
from typing import Any

import expect
import jwt
import pytest
from arrange import token_of
from conftest import Cluster, Person
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from test_access_token import encode


class Signer:
    """Signs any bytes as header and payload with the application's own key."""

    def __init__(self, genuine: str, pem: str) -> None:
        key = load_pem_private_key(pem.encode(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key = key
        self.genuine = genuine
        self.header: dict[str, Any] = jwt.get_unverified_header(genuine)
        self.claims: dict[str, Any] = jwt.decode(genuine, options={"verify_signature": False})

    def raw(self, header: bytes, payload: bytes) -> str:
        return self.signed(f"{encode(header)}.{encode(payload)}")

    def spelled(self, header: Callable[[str], str], payload: Callable[[str], str]) -> str:
        """Sign the genuine header and claims with another spelling of their base64url."""
        return self.signed(f"{header(encode(json.dumps(self.header).encode()))}.{payload(encode(self.payload))}")

    def signed(self, signed: str) -> str:
        r, s = utils.decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{encode(r.to_bytes(32) + s.to_bytes(32))}"

    def with_claim(self, name: str, value: str) -> str:
        """Sign the genuine claims with one that has this JSON text; the empty text leaves it out."""
        members = {member: json.dumps(genuine) for member, genuine in self.claims.items()} | {name: value}
        text = ",".join(f'"{member}":{value}' for member, value in members.items() if value)
        return self.raw(json.dumps(self.header).encode(), b"{" + text.encode() + b"}")

    def with_header(self, **members: Any) -> str:
        return self.raw(json.dumps({**self.header, **members}).encode(), self.payload)

    @property
    def payload(self) -> bytes:
        return json.dumps(self.claims).encode()


@pytest.fixture
def signer(alice: Person, cluster: Cluster) -> Signer:
    """The owner's genuine token, and the key that signed it."""
    return Signer(token_of(alice), cluster.environment["TASKAPP_JWT_PRIVATE_KEY"])


def later(seconds: int) -> str:
    """Write a date so many seconds after now, which is when the test runs and not when its module is imported."""
    return str(int(time.time()) + seconds)


CLAIMS = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid")
"""What RFC 9068 section 2.2 requires, and the session."""

DATES = ("exp", "iat", "nbf")
UUIDS = ("sub", "sid")

NO_CLAIM_HAS = {
    "null": "null",
    "true": "true",
    "false": "false",
    "an empty string": '""',
    "a list": "[]",
    "an object": "{}",
    "a list of itself": '["taskapp"]',
    "nested lists": "[" * 2_000 + "]" * 2_000,
    "nested objects": '{"a":' * 2_000 + "1" + "}" * 2_000,
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "a negative number": "-1",
    "a fraction": "0.5",
    "400 digits": "9" * 400,
    "minus 400 digits": "-" + "9" * 400,
    "5,000 digits": "9" * 5_000,
    "an exponent": "1e999",
    "a number of 64 bits": str(2**64),
    "a word": '"tomorrow"',
    "a lone surrogate": '"\\ud800"',
    "a NUL": '"\\u0000"',
}


def other_than(claim: str, value: str) -> bool:
    """Any string other than the empty one is a `jti`."""
    return not (claim == "jti" and value.startswith('"') and value != '""')


HOSTILE_CLAIMS = [
    pytest.param(claim, value, id=f"{claim} is {name}")
    for claim in (*CLAIMS, "nbf")
    for name, value in NO_CLAIM_HAS.items()
    if other_than(claim, value)
] + [pytest.param(claim, "", id=f"no {claim}") for claim in CLAIMS]


def changed(claim: str, change: Callable[[Any], str]) -> Callable[[Signer], str]:
    """Make a token with another JSON text for a claim."""
    return lambda signer: signer.with_claim(claim, change(signer.claims[claim]))


ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")


def encoded(header: str, payload: str) -> Callable[[Signer], str]:
    """Make a token of the genuine header and claims in other encodings."""
    return lambda signer: signer.raw(json.dumps(signer.header).encode(header), signer.payload.decode().encode(payload))


def in_base64(signer: Signer) -> str:
    """Spell a valid signature with + or /, which base64url does not have."""
    while not set("-_") & set((token := signer.raw(json.dumps(signer.header).encode(), signer.payload))[-86:]):
        pass
    return token[:-86] + token[-86:].replace("-", "+").replace("_", "/")


OTHERS: dict[str, Callable[[Signer], str]] = {
    **{f"{claim} as a float": changed(claim, "{}.0".format) for claim in DATES},
    **{f"{claim} as a string": changed(claim, '"{}"'.format) for claim in DATES},
    **{f"{claim} in the year 10000": changed(claim, lambda _: "253402300800") for claim in DATES},
    "exp is false": lambda s: s.with_claim("exp", "false"),
    "exp in a hundred years": lambda s: s.with_claim("exp", later(100 * 365 * 86_400)),
    "issued in the year 1970": lambda s: s.with_claim("iat", "0"),
    "issued in a minute": lambda s: s.with_claim("iat", later(600)),
    "valid in a minute": lambda s: s.with_claim("nbf", later(600)),
    "a refresh token": lambda s: s.with_claim("type", '"refresh"'),
    "a type that is null": lambda s: s.with_claim("type", "null"),
    "a fresh token": lambda s: s.with_claim("fresh", "true"),
    "a fresh token until a date": lambda s: s.with_claim("fresh", later(600)),
    "another client": lambda s: s.with_claim("client_id", '"another"'),
    "a narrower scope": lambda s: s.with_claim("scope", '"tasks:read"'),
    "scope as a list": lambda s: s.with_claim("scope", json.dumps(s.claims["scope"].split())),
    "aud among others": lambda s: s.with_claim("aud", '["taskapp", "another"]'),
    "iss in another case": lambda s: s.with_claim("iss", '"TaskApp"'),
    **{f"{claim} in capital letters": changed(claim, lambda value: json.dumps(value.upper())) for claim in UUIDS},
    **{f"{claim} without hyphens": changed(claim, lambda value: json.dumps(value.replace("-", ""))) for claim in UUIDS},
    **{f"{claim} in braces": changed(claim, '"{{{}}}"'.format) for claim in UUIDS},
    "two exp": lambda s: s.raw(json.dumps(s.header).encode(), b'{"exp":1,' + s.payload[1:]),
    "two sub, the same": lambda s: s.raw(
        json.dumps(s.header).encode(), b'{"sub":' + json.dumps(s.claims["sub"]).encode() + b"," + s.payload[1:]
    ),
    "two kid": lambda s: s.raw(b'{"kid":"another",' + json.dumps(s.header).encode()[1:], s.payload),
    "two alg": lambda s: s.raw(b'{"alg":"none",' + json.dumps(s.header).encode()[1:], s.payload),
    "a payload that is a list": lambda s: s.raw(json.dumps(s.header).encode(), b"[" + s.payload + b"]"),
    "a payload that is a string": lambda s: s.raw(json.dumps(s.header).encode(), json.dumps(s.payload.decode()).encode()),
    "a payload that is empty": lambda s: s.raw(json.dumps(s.header).encode(), b""),
    "a payload that is not UTF-8": lambda s: s.raw(json.dumps(s.header).encode(), s.payload[:-1] + b',"x":"\xff"}'),
    "a payload with more behind it": lambda s: s.raw(json.dumps(s.header).encode(), s.payload + b"{}"),
    "a payload of nested lists": lambda s: s.raw(json.dumps(s.header).encode(), b'{"x":' + b"[" * 100_000),
    "a header of nested lists": lambda s: s.raw(b'{"x":' + b"[" * 100_000, s.payload),
    **{f"a header in {encoding}": encoded(encoding, "utf-8") for encoding in ENCODINGS},
    **{f"a payload in {encoding}": encoded("utf-8", encoding) for encoding in ENCODINGS},
    "a padded header": lambda s: s.spelled(lambda part: part + "=" * (-len(part) % 4 or 4), str),
    "a padded payload": lambda s: s.spelled(str, lambda part: part + "=" * (-len(part) % 4 or 4)),
    "a character outside of the alphabet in a payload": lambda s: s.spelled(str, lambda part: part[:8] + "!" + part[8:]),
    "a padded signature": lambda s: s.genuine + "==",
    "a signature padded once": lambda s: s.genuine + "=",
    # 64 bytes are 86 characters, of which the last one has four bits to spare.
    "a signature with other bits to spare": lambda s: s.genuine[:-1] + chr(ord(s.genuine[-1]) + 1),
    "a character outside of the alphabet in a signature": lambda s: s.genuine[:-8] + "!" + s.genuine[-8:],
    "a signature in the alphabet of base64": in_base64,
    "typ of another kind": lambda s: s.with_header(typ="JWT"),
    "typ as a media type": lambda s: s.with_header(typ="application/at+jwt"),
    "typ as a list": lambda s: s.with_header(typ=["at+jwt"]),
    "kid as a list": lambda s: s.with_header(kid=[s.header["kid"]]),
    "kid as an object": lambda s: s.with_header(kid={"a": 1}),
    "kid as a number": lambda s: s.with_header(kid=10**400),
    "a critical extension": lambda s: s.with_header(crit=["exp"], exp=1),
    "no critical extension": lambda s: s.with_header(crit=[]),
    "a critical that is null": lambda s: s.with_header(crit=None),
    "an unencoded payload": lambda s: s.with_header(b64=False, crit=["b64"]),
    "b64 without crit": lambda s: s.with_header(b64=False),
    "alg as a list": lambda s: s.with_header(alg=["ES256"]),
    "alg in small letters": lambda s: s.with_header(alg="es256"),
}


def refused(anonymous: Person, token: str) -> None:
    body = expect.problem(anonymous.get("/v1/me", headers={"Authorization": f"Bearer {token}"}), 401, "invalid_token")
    assert body["detail"] == "The token is malformed, expired or revoked, or its session has ended."


def test_the_signer_makes_a_good_token_of_the_genuine_claims(anonymous: Person, signer: Signer) -> None:
    # Otherwise each of the tokens below could be refused for its signature.
    for claim, value in signer.claims.items():
        token = signer.with_claim(claim, json.dumps(value))
        assert anonymous.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200, claim


@pytest.mark.parametrize("claim", ["nbf", "type", "fresh"])
def test_claims_that_rfc_9068_does_not_know_may_be_missing(anonymous: Person, signer: Signer, claim: str) -> None:
    token = signer.with_claim(claim, "")
    assert anonymous.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(("claim", "value"), HOSTILE_CLAIMS)
def test_f13_every_claim_is_required_with_its_type_and_range(
    anonymous: Person, signer: Signer, claim: str, value: str
) -> None:
    refused(anonymous, signer.with_claim(claim, value))


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_f13_other_spellings_and_headers_are_refused(
    anonymous: Person, signer: Signer, make: Callable[[Signer], str]
) -> None:
    refused(anonymous, make(signer))
