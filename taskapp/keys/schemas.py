"""The JSON shape of published keys (RFC 7517 section 5)."""

import marshmallow as ma


class KeySchema(ma.Schema):
    """A public key on the curve P-256 (RFC 7518 section 6.2)."""

    kty = ma.fields.String(required=True, metadata={"example": "EC"})
    crv = ma.fields.String(required=True, metadata={"example": "P-256"})
    x = ma.fields.String(required=True, metadata={"description": "Coordinate, in base64url."})
    y = ma.fields.String(required=True, metadata={"description": "Coordinate, in base64url."})
    kid = ma.fields.String(required=True, metadata={"description": "What the header of a token calls the key."})
    use = ma.fields.String(required=True, metadata={"example": "sig"})
    alg = ma.fields.String(required=True, metadata={"example": "ES256"})


class KeySetSchema(ma.Schema):
    """The keys whose signatures count."""

    keys = ma.fields.List(ma.fields.Nested(KeySchema), required=True)
