"""ETags (RFC 9110 section 8.8.3): a row's version, and what clients ask to hold of it."""

import re

from flask import Response, request

from taskapp.api.problems import Problem

# RFC 9110 sections 5.6.1 and 8.8.3: a list may have empty elements, and a tag may have commas.
_TAG = r'(W/)?"([^"]*)"'
_LIST = re.compile(rf"[ \t,]*{_TAG}[ \t]*(?:,[ \t,]*{_TAG}[ \t]*)*(?:,[ \t,]*)?")


def etag(version: int) -> str:
    """Write a version as the strong tag that stands in the header and, quotes included, in the body."""
    return f'"{version}"'


def version_wanted() -> list[int] | None:
    """Read ``If-Match``: the versions a change may start from, or None when any will do.

    ``If-Match`` uses the strong comparison (RFC 9110 section 13.1.1), so weak tags and foreign ones match nothing.

    :raises Problem: 400 when the header is not a list of tags.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    return [int(tag) for weak, tag in _tags(header) if not weak and re.fullmatch("[1-9][0-9]{0,17}", tag)]


def stale(version: int) -> Problem:
    """Make the 412 that tells the client which version there is."""
    return Problem("precondition_failed", current_etag=etag(version))


def check_version(version: int, wanted: list[int] | None) -> None:
    """Compare a row that was not changed with what ``If-Match`` asked for.

    :raises Problem: 412 that tells the client which version there is.
    """
    if wanted is not None and version not in wanted:
        raise stale(version)


def not_modified(version: int) -> Response | None:
    """Answer 304 when ``If-None-Match`` names ``version``, by the weak comparison of RFC 9110 section 13.1.2."""
    header = request.headers.get("If-None-Match")
    if header is None:
        return None
    if header.strip() == "*" or str(version) in [tag for _, tag in _tags(header)]:
        return Response(status=304, headers={"ETag": etag(version)})
    return None


def _tags(header: str) -> list[tuple[str, str]]:
    if not _LIST.fullmatch(header):
        raise Problem("malformed_request", "If-Match and If-None-Match take a list of quoted entity tags, or *.")
    return re.findall(_TAG, header)
