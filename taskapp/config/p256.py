"""The private keys that sign access tokens, as ES256 needs them (RFC 7518 section 3.4: curve P-256)."""

import re
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

# The x coordinates of private keys that everybody has: RFC 7515 appendix A.3, RFC 7517 appendix A.2, jwt.io.
_PUBLISHED_KEYS = {
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "EVs_o5-uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf84",
}


def with_line_breaks(text: str) -> str:
    r"""Read a literal ``\n`` as the line break that it stands for in JSON and in some .env files; PEM itself has none."""
    return text.replace(r"\r", "").replace(r"\n", "\n").replace("\r", "")


def private_keys(text: str) -> list[str]:
    """Read PEM private keys, in their order.

    :raises ValueError: with the rest of a sentence that begins with the variable's name.
    """
    pems = re.findall(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", with_line_breaks(text), re.DOTALL)
    if not pems:
        raise ValueError("holds no PEM private key")
    for pem in pems:
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError) as error:
            raise ValueError("is not an unencrypted PEM private key") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("must be an EC key on the curve P-256")
        x = key.public_key().public_numbers().x.to_bytes(32, "big")
        if urlsafe_b64encode(x).rstrip(b"=").decode() in _PUBLISHED_KEYS:
            raise ValueError("is a published example; run `flask database init`")
    return pems
