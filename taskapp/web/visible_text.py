"""Tell texts that show something from blank ones."""

import re
import unicodedata

DEFAULT_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""The characters with the property Default_Ignorable_Code_Point of Unicode, for a class of a regular expression."""

# Format characters of interlinear annotations and of hieroglyphs show nothing either; nor do the blanks of Braille and of
# music, which are symbols to Unicode.
_BLANK = re.compile(f"[{DEFAULT_IGNORABLE}\u2800\ufff9-\ufffb\U00013430-\U0001343f\U0001d159]")


def is_visible(text: str) -> bool:
    """Tell whether a text has a visible character: no space, no control character, none that is ignored by default."""
    return any(unicodedata.category(char) not in ("Zs", "Zl", "Zp", "Cc") for char in _BLANK.sub("", text))
