"""ETags (RFC 9110 section 8.8.3): a row's version, and what clients ask to hold of it."""

import re
from collections.abc import Sequence
from typing import Any

from flask import Response, request
from sqlalchemy import ColumnElement, Text, cast, func

from taskapp.web.responses.problems import Problem

# RFC 9110 sections 5.6.1 and 8.8.3: a list may have empty elements, and a tag may have commas.
_TAG = r'(W/)?"([^"]*)"'
_LIST = re.compile(rf"[ \t,]*{_TAG}[ \t]*(?:,[ \t,]*{_TAG}[ \t]*)*(?:,[ \t,]*)?")
_PROPER = r'(?:W/)?"[!#-~]*"'
PATTERN = rf"^(\*|{_PROPER}(?:[ \t]*,[ \t]*{_PROPER})*)$"
"""Of the values of both headers, as the document has it. What is written less carefully is understood too."""


def etag(version: int, counts: Sequence[int] = ()) -> str:
    """Write a version as the strong tag that stands in the header and, quotes included, in the body.

    :param counts: what the representation counts of other rows. They change without a new version of this one, and RFC 9110
        section 8.8.1 wants another tag for other content, so the tag has them too.
    """
    return '"' + ".".join(map(str, (version, *counts))) + '"'


def etag_column(version: ColumnElement[int], counts: ColumnElement[Any] | None = None) -> ColumnElement[str]:
    """Return :func:`etag` as PostgreSQL computes it, under the name `etag`.

    :param counts: an array.
    """
    written: ColumnElement[str] = cast(version, Text)
    if counts is not None:
        written += "." + func.array_to_string(counts, ".")
    return ('"' + written + '"').label("etag")


def version_wanted(counts: int = 0) -> list[int] | None:
    """Read ``If-Match``: the versions a change may start from, or None when any will do.

    ``If-Match`` uses the strong comparison (RFC 9110 section 13.1.1), so weak tags and foreign ones match nothing. Of a tag
    with counts only the version is compared. It keeps one change from undoing another, and no change is made to a count: it
    would make a change of the name fail whenever something that is counted came or went.

    :param counts: how many counts the tags have behind the version.
    :raises Problem: 400 when the header is not a list of tags.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    ours = re.compile(r"([1-9][0-9]{0,17})" + r"\.[0-9]{1,18}" * counts, re.ASCII)
    return [int(found[1]) for weak, tag in _tags(header) if not weak and (found := ours.fullmatch(tag))]


def stale(version: int, counts: Sequence[int] = ()) -> Problem:
    """Make the 412 that tells the client which version there is."""
    return Problem("precondition_failed", current_etag=etag(version, counts))


def check_version(version: int, wanted: Sequence[int] | None, counts: Sequence[int] = ()) -> None:
    """Compare a row that was not changed with what ``If-Match`` asked for.

    :raises Problem: 412 that tells the client which version there is.
    """
    if wanted is not None and version not in wanted:
        raise stale(version, counts)


def not_modified(version: int, counts: Sequence[int] = ()) -> Response | None:
    """Answer 304 when ``If-None-Match`` names what there is, by the weak comparison of RFC 9110 section 13.1.2."""
    header = request.headers.get("If-None-Match")
    if header is None:
        return None
    current = etag(version, counts)
    if header.strip() == "*" or current in [f'"{tag}"' for _, tag in _tags(header)]:
        return Response(status=304, headers={"ETag": current})
    return None


def _tags(header: str) -> list[tuple[str, str]]:
    if not _LIST.fullmatch(header):
        raise Problem("malformed_request", "If-Match and If-None-Match take a list of quoted entity tags, or *.")
    return re.findall(_TAG, header)
