"""The house marshmallow classes: unknown members are errors, and every error carries a code.

Strings are checked to be storable before they go anywhere: PostgreSQL text has no NUL, and a lone surrogate is not UTF-8.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import marshmallow as ma
from marshmallow.validate import Length, OneOf, Range

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Coded(str):
    """An error message that knows its code, also after marshmallow has formatted it."""

    code: str

    def __new__(cls, code: str, text: str) -> "Coded":
        """Attach ``code`` to ``text``."""
        self = super().__new__(cls, text)
        self.code = code
        return self

    def format(self, *args: Any, **kwargs: Any) -> "Coded":
        """Format the text and keep the code."""
        return Coded(self.code, super().format(*args, **kwargs))


_CODE_OF_KEY = {"required": "required", "null": "not_nullable", "validator_failed": "invalid_value"}


class _CodedErrors:
    """Field mixin: gives each of marshmallow's messages a code, by its key."""

    def make_error(self, key: str, **kwargs: Any) -> ma.ValidationError:
        error = super().make_error(key, **kwargs)  # type: ignore[misc]
        code = _CODE_OF_KEY.get(key, "invalid_type")
        return ma.ValidationError([Coded(code, str(message)) for message in error.messages])


class Text(_CodedErrors, ma.fields.String):
    """A string of ``shortest`` to ``longest`` code points.

    :param line: one line: trimmed, NFC, no control characters. Otherwise kept as it is.
    """

    default_error_messages = {"invalid": "Must be a string.", "null": "Must not be null.", "required": "Is required."}

    def __init__(self, shortest: int, longest: int, *, line: bool = False, **kwargs: Any) -> None:
        limits = []
        if shortest:
            limits.append(Length(min=shortest, error=Coded("too_short", "Must have {min} or more characters.")))
        limits.append(Length(max=longest, error=Coded("too_long", "Must have {max} or fewer characters.")))
        super().__init__(validate=limits, **kwargs)
        self.line = line

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if "\x00" in text or (self.line and _CONTROL.search(text.strip())):
            raise ma.ValidationError(Coded("invalid_characters", "Must not contain control characters."))
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ma.ValidationError(Coded("invalid_characters", "Must be valid Unicode.")) from error
        return unicodedata.normalize("NFC", text.strip()) if self.line else text


class Choice(_CodedErrors, ma.fields.String):
    """One of a few lower-case words."""

    default_error_messages = Text.default_error_messages

    def __init__(self, choices: tuple[str, ...], **kwargs: Any) -> None:
        error = Coded("invalid_choice", "Must be one of: {choices}.")
        super().__init__(validate=OneOf(choices, error=error), **kwargs)


class Integer(_CodedErrors, ma.fields.Integer):
    """A whole number of at least ``smallest``."""

    default_error_messages = {"invalid": "Must be a whole number.", "too_large": "Must be a whole number."}

    def __init__(self, smallest: int, **kwargs: Any) -> None:
        super().__init__(validate=Range(min=smallest, error=Coded("out_of_range", "Must be {min} or more.")), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        # Python's int() takes blanks, underscores and every script's digits.
        if isinstance(value, str) and not re.fullmatch("-?[0-9]+", value):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Uuid(_CodedErrors, ma.fields.UUID):
    """A UUID of any version of RFC 9562."""


class Instant(_CodedErrors, ma.fields.AwareDateTime):
    """An instant of RFC 3339, with its offset."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            # At both ends of the calendar there are instants with an offset that UTC has no year for.
            return super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError as error:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error


class Email(Text):
    """An e-mail address, at most 254 characters (RFC 5321 section 4.5.3.1.3 less the angle brackets)."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"format": "email", **kwargs.get("metadata", {})}
        super().__init__(3, 254, line=True, **kwargs)
        self.validators.append(_is_address)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        # Python and PostgreSQL do not agree on the lower case of every letter, and PostgreSQL not with itself from one
        # locale to the next; of ASCII they do. So what is compared without regard to case has no other capitals.
        text: str = super()._deserialize(value, attr, data, **kwargs)
        lowered = (character if character.isascii() else character.lower() for character in text)
        return unicodedata.normalize("NFC", "".join(lowered))


def _is_address(value: str) -> None:
    # marshmallow takes quoted local parts too, with blanks and @ in them. Nobody has one, and the database refuses it.
    error = Coded("invalid_format", "Must be an e-mail address.")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise ma.ValidationError(error)
    ma.validate.Email(error=error)(value)


class Schema(ma.Schema):
    """A JSON object, or the parameters of a URL. Members it does not list are refused."""

    error_messages = {
        "unknown": Coded("unknown_member", "Is not known here."),
        "type": Coded("invalid_type", "Must be an object."),
    }
