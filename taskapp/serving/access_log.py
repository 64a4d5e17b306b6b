"""Access log: one line per request."""

import logging

from taskapp.serving.request_record import RequestRecord

logger = logging.getLogger("taskapp.requests")


def write(ended: RequestRecord) -> None:
    """Log it; who sent it and its ids are added by :class:`taskapp.serving.json_log.JsonFormatter`."""
    query_stats = ended.work.query_stats
    fields = {
        "method": ended.method,
        "path": ended.path,
        "status": ended.status,
        "milliseconds": round(ended.seconds * 1000, 2),
        "database_messages": query_stats.messages,
        "database_milliseconds": round(query_stats.seconds * 1000, 2),
    }
    if ended.code is not None:
        fields["code"] = ended.code
    logger.info("request", extra=fields)
