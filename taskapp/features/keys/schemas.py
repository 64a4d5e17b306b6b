"""The JSON shape of published keys (RFC 7517 section 5)."""

import marshmallow as ma


class KeySchema(ma.Schema):
    """A public key on the curve P-256 (RFC 7518 section 6.2)."""

    kty = ma.fields.String(required=True, metadata={"example": "EC", "description": "Kind of the key."})
    crv = ma.fields.String(required=True, metadata={"example": "P-256", "description": "The curve."})
    x = ma.fields.String(
        required=True,
        metadata={"example": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "description": "Coordinate, in base64url."},
    )
    y = ma.fields.String(
        required=True,
        metadata={"example": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "description": "Coordinate, in base64url."},
    )
    kid = ma.fields.String(
        required=True,
        metadata={
            "example": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
            "description": "What the header of a token calls the key.",
        },
    )
    use = ma.fields.String(required=True, metadata={"example": "sig", "description": "What it is for: signatures."})
    alg = ma.fields.String(required=True, metadata={"example": "ES256", "description": "The one algorithm it is used with."})


class KeySetSchema(ma.Schema):
    """The keys whose signatures count."""

    keys = ma.fields.List(
        ma.fields.Nested(KeySchema),
        required=True,
        metadata={"description": "The first signs, the others are still believed."},
    )
