"""Security events: what an operator wants to find in the log afterwards (API.md F29).

The line has the request's id, and the user and session where they are known. It never has a token or a password, and of a
failure not even the address that was typed: it may be a password typed into the wrong field.
"""

import logging

from flask import request

logger = logging.getLogger("taskapp.security")


def record(event: str, **known: object) -> None:
    """Log ``event``, with the address it came from and what is ``known``: ids only."""
    fields = {name: str(value) for name, value in known.items()}
    logger.info(event, extra={"event": event, "ip": request.remote_addr, **fields})
