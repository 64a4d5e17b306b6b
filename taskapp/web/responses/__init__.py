"""Write responses: JSON, problem documents (RFC 9457), pages, headers."""
