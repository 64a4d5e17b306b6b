"""The house marshmallow classes: unknown members are errors, and every error carries a code.

Strings are checked to be storable before they go anywhere: PostgreSQL text has no NUL, and a lone surrogate is not UTF-8.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow.validate import Length, OneOf, Range

from taskapp.web.visible_text import is_visible

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# PostgreSQL's bigint.
_LARGEST = 2**63 - 1
WALL_TIME = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
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

    default_error_messages: dict[str, Any] = {"required": "Is required.", "null": "Must not be null."}

    def make_error(self, key: str, **kwargs: Any) -> ma.ValidationError:
        error = super().make_error(key, **kwargs)  # type: ignore[misc]
        code = _CODE_OF_KEY.get(key, "invalid_type")
        return ma.ValidationError([Coded(code, str(message)) for message in error.messages])


class Text(_CodedErrors, ma.fields.String):
    """A string of ``shortest`` to ``longest`` code points.

    :param line: one line: trimmed, NFC, no control characters, something visible. Otherwise kept as it is.
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
        if not self.line:
            return text
        line = unicodedata.normalize("NFC", text.strip())
        if line and not is_visible(line):
            raise ma.ValidationError(Coded("too_short", "Must have a visible character."))
        return line


class Choice(_CodedErrors, ma.fields.String):
    """One of a few lower-case words.

    :param name: what the document calls these choices.
    """

    default_error_messages = Text.default_error_messages

    def __init__(self, choices: tuple[str, ...], name: str, **kwargs: Any) -> None:
        kwargs["metadata"] = {"component": name, "example": choices[0], **_varnames(choices), **kwargs.get("metadata", {})}
        error = Coded("invalid_choice", "Must be one of: {choices}.")
        super().__init__(validate=OneOf(choices, error=error), **kwargs)


def _varnames(choices: tuple[str, ...]) -> dict[str, list[str]]:
    """Name the members of an enum for generators of clients, where these would make ``VALUE_1`` or the like of a choice."""
    if all(choice.isidentifier() for choice in choices):
        return {}
    return {"x-enum-varnames": [_varname(choice) for choice in choices]}


def _varname(choice: str) -> str:
    order = "_DESC" if choice.startswith("-") else ""
    return re.sub("[^A-Z0-9]+", "_", choice.upper()).strip("_") + order


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

    default_error_messages = {"invalid_uuid": "Must be a UUID.", "null": "Must not be null."}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        # Python takes braces, underscores and the prefix `urn:uuid:` too, and hyphens wherever they are.
        if not isinstance(value, str) or not re.fullmatch(_UUID, value):
            raise self.make_error("invalid_uuid")
        return super()._deserialize(value, attr, data, **kwargs)


class Instant(_CodedErrors, ma.fields.AwareDateTime):
    """An instant of RFC 3339, with its offset."""

    default_error_messages = {"invalid": "Must be an instant with its offset, such as 2026-12-01T09:30:00Z."}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            # At both ends of the calendar there are instants with an offset that UTC has no year for.
            return super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError as error:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error


class UuidOr(_CodedErrors, ma.fields.String):
    """A UUID, or a word in the place of one, which is loaded as None."""

    def __init__(self, word: str, **kwargs: Any) -> None:
        kwargs["metadata"] = {"pattern": f"^({word}|{_UUID})$", **kwargs.get("metadata", {})}
        super().__init__(**kwargs)
        self.word = word

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if text == self.word:
            return None
        if not re.fullmatch(_UUID, text):
            raise ma.ValidationError(Coded("invalid_type", f"Must be a UUID, or {self.word}."))
        return UUID(text)


class Flag(_CodedErrors, ma.fields.Boolean):
    """``true`` or ``false``, in a URL."""

    default_error_messages = {"invalid": "Must be true or false."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(truthy={"true"}, falsy={"false"}, **kwargs)


class TrueOrFalse(_CodedErrors, ma.fields.Boolean):
    """``true`` or ``false``, in a body."""

    default_error_messages = {"invalid": "Must be true or false.", "null": "Must not be null."}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        # marshmallow takes 1, "yes" and the like too.
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Count(Integer):
    """How many of something, in a body."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, strict=True, **kwargs)
        self.validators.append(Range(max=_LARGEST, error=Coded("out_of_range", "Must be {max} or less.")))


class Several(_CodedErrors, ma.fields.List[Any]):
    """A parameter of a URL that may be given more than once."""

    def __init__(self, item: ma.fields.Field[Any], **kwargs: Any) -> None:
        super().__init__(item, validate=Length(max=20, error=Coded("too_many", "May be given {max} times.")), **kwargs)


class Date(_CodedErrors, ma.fields.Date):
    """A day of RFC 3339: ``YYYY-MM-DD``."""

    default_error_messages = {"invalid": "Must be a day, such as 2026-12-01."}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        # Python's parser takes week dates too, and digits without hyphens.
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        return super()._deserialize(value, attr, data, **kwargs)


class WallTime(_CodedErrors, ma.fields.Time):
    """What a clock on the wall shows: ``HH:MM``, 00:00 to 23:59."""

    default_error_messages = {"invalid": "Must be a time of day, such as 09:30."}

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"pattern": WALL_TIME, **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(WALL_TIME[1:-1], value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        return super()._deserialize(value, attr, data, **kwargs)


class Distinct(_CodedErrors, ma.fields.List[Any]):
    """An array without repetitions.

    :param key: what makes two items the same.
    """

    default_error_messages = {"invalid": "Must be an array.", "null": "Must not be null."}

    def __init__(self, item: ma.fields.Field[Any], most: int, *, key: Callable[[Any], Any], **kwargs: Any) -> None:
        kwargs["metadata"] = {"uniqueItems": True, **kwargs.get("metadata", {})}
        too_many = Length(max=most, error=Coded("too_many", "Must have {max} or fewer items."))
        super().__init__(item, validate=too_many, **kwargs)
        self.key, self.most = key, most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        items = super()._deserialize(value, attr, data, **kwargs)
        keys = [self.key(item) for item in items]
        first = {key: n for n, key in reversed(list(enumerate(keys)))}
        # Not a validator: among those, marshmallow mixes up what says a place with what does not.
        again = {n: [Coded("duplicate", "Is there already.")] for n, key in enumerate(keys) if first[key] < n}
        if again and len(items) <= self.most:
            raise ma.ValidationError(again)
        return items


class TextMap(_CodedErrors, ma.fields.Field[Any]):
    """An object of strings.

    :param name: what the document calls it.
    :param removable: ``null`` may stand for a string.
    """

    default_error_messages = {"invalid": "Must be an object.", "null": "Must not be null."}

    def __init__(
        self, name: str, most: int, longest_key: int, longest: int, *, removable: bool = False, **kwargs: Any
    ) -> None:
        text = {"type": ["string", "null"] if removable else "string", "maxLength": longest}
        # A patch may remove any number of keys besides.
        limit = {} if removable else {"maxProperties": most}
        published = {"component": name, "type": "object", "additionalProperties": text, **limit}
        kwargs["metadata"] = {**published, **kwargs.get("metadata", {})}
        super().__init__(**kwargs)
        self.most = most
        self.key = Text(1, longest_key)
        self.key_limits = {"minLength": 1, "maxLength": longest_key}
        self.value = Text(0, longest, allow_none=removable)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        if sum(text is not None for text in value.values()) > self.most:
            raise ma.ValidationError(Coded("too_many", f"Must have {self.most} or fewer keys."))
        wrong: dict[str, Any] = {}
        for key, text in value.items():
            try:
                self.key.deserialize(key)
                self.value.deserialize(text)
            except ma.ValidationError as error:
                wrong[key] = error.messages
        if wrong:
            raise ma.ValidationError(wrong)
        return value


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

    body_optional = False
    """Whether a request without a body is one with an empty object."""

    error_messages = {
        "unknown": Coded("unknown_member", "Is not known here."),
        "type": Coded("invalid_type", "Must be an object."),
    }
