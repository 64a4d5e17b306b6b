"""Security events: what an operator wants to find in the log afterwards (security.md F29).

The line has the request's id, and the user and session where they are known. It never has a token or a password, and of a
failure not even the address that was typed: it may be a password typed into the wrong field.
"""

import logging

from flask import has_request_context, request

logger = logging.getLogger("taskapp.security")


def record(event: str, **known: object) -> None:
    """Log ``event``, with the address it came from, unless an operator is at work, and what is ``known``: ids only."""
    fields = {name: str(value) for name, value in known.items()}
    if has_request_context():
        fields["ip"] = request.remote_addr or ""
    logger.info(event, extra={"event": event, **fields})
