"""What a setting is: a field of :class:`taskapp.config.settings.Config` that says its name, kind, default and meaning."""

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any

PREFIX = "TASKAPP_"
_REQUIRED = object()


class ConfigError(Exception):
    """A setting is missing or unsafe. The message is one line that names it."""


@dataclass(frozen=True)
class Kind:
    """What a setting may be: in words, and how its text is read.

    ``read`` raises ValueError with the rest of a sentence that begins with the variable's name. ``masked`` writes a value
    for people to see; it is what makes a setting a secret.
    """

    words: str
    read: Callable[[str], Any]
    masked: Callable[[Any], str] | None = None


@dataclass(frozen=True)
class Setting:
    """One variable. Without a meaning it is another value that is read from a variable with one."""

    variable: str
    kind: Kind
    meaning: str
    default: Any

    @property
    def required(self) -> bool:
        """Tell whether there is no default."""
        return self.default is _REQUIRED

    @property
    def secret(self) -> bool:
        """Tell whether nobody is to see the value."""
        return self.kind.masked is not None

    def source(self) -> str:
        """Tell where the value comes from: a file, the environment, or the default."""
        if f"{self.variable}_FILE" in os.environ:
            return "file"
        return "environment" if self.variable in os.environ else "default"

    def read(self) -> Any:
        """Return the value.

        :raises ConfigError: when there is none, or none of this kind, or a file that should hold it cannot be read.
        """
        text = text_of(self.variable)
        if text is None:
            if self.required:
                raise ConfigError(f"{self.variable} is not set")
            return self.default
        try:
            return self.kind.read(text)
        except ValueError as error:
            # Without its cause, which may quote the value: a traceback shows both.
            raise ConfigError(f"{self.variable} {error}") from None

    def shown(self, value: Any) -> str:
        """Write a value for people to see, without what is secret."""
        if value is None:
            return "-"
        if self.kind.masked is not None:
            return self.kind.masked(value)
        return ",".join(value) or "-" if isinstance(value, list) else str(value)


def text_of(variable: str) -> str | None:
    """Read a variable that may stand in a file instead, as container platforms hand over secrets.

    :raises ConfigError: when the file cannot be read.
    """
    path = os.environ.get(f"{variable}_FILE")
    if path is None:
        return os.environ.get(variable)
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{variable}_FILE cannot be read: {type(error).__name__}") from None


def setting(kind: Kind, meaning: str = "", *, default: Any = _REQUIRED, variable: str | None = None) -> Any:
    """Make a field of the table; its variable is named like the field unless ``variable`` says otherwise."""
    entry = {"kind": kind, "meaning": meaning, "default": default, "variable": variable}
    return field(repr=kind.masked is None, metadata=entry)


def of_field(found: Field[Any]) -> Setting:
    """Return the setting that a field of the table is."""
    entry: Mapping[str, Any] = found.metadata
    return Setting(**{**entry, "variable": entry["variable"] or f"{PREFIX}{found.name.upper()}"})
