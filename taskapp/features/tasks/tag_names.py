"""Names of tags: what counts as one, and the key by which two are the same tag."""

import unicodedata
from typing import Any

import marshmallow as ma

from taskapp.web.schema import Coded, Text


class TagName(Text):
    """The name of a tag: one line without commas, since people write several tags with commas between them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 64, line=True, **kwargs)
        self.validators.append(_can_be_listed_and_named)


def _can_be_listed_and_named(name: str) -> None:
    if "," in name:
        raise ma.ValidationError(Coded("invalid_characters", "Must not contain a comma."))
    if name in {".", ".."}:
        # RFC 3986 section 5.2.4: clients remove dot segments from paths, so no path could name such a tag.
        raise ma.ValidationError(Coded("invalid_value", "Must be more than dots."))


def tag_key(name: str) -> str:
    """Fold a name: those that differ in nothing but case are one tag."""
    return unicodedata.normalize("NFC", name).casefold()
