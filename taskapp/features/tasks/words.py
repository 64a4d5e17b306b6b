"""Normalise text to words, for searches.

Texts and queries are normalised alike, so a word is found however it is written: in capitals, with or without accents, in
full width, with invisible joiners.
"""

import re
import unicodedata
from typing import NamedTuple

from taskapp.web.visible_text import DEFAULT_IGNORABLE

# Scripts whose marks are accents or vowels that people leave out. Without its marks, a Hindi or Thai word is another word.
_UNMARKED = frozenset({"LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC"})
# Scripts that are written without spaces. Han and kana make up words together.
_UNSPACED = frozenset({"CJK", "THAI", "LAO", "KHMER", "MYANMAR"})
_CJK = frozenset({"CJK", "KANGXI", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HENTAIGANA", "BOPOMOFO"})
_SPACE, _MARK, _DIGIT, _EMOJI, _NOTHING = "space", "mark", "digit", "emoji", "nothing"
_APART = frozenset({*_UNSPACED, _EMOJI})
# Letters that are not decomposed by NFKD. `LATIN SMALL LETTER L WITH STROKE` and the like follow from their names.
_LETTERS = {
    **{"æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ŋ": "n", "ı": "i", "ȷ": "j", "ĸ": "k"},
    # As people type them on keyboards for Arabic, Persian and Urdu.
    **{"ة": "ه", "ۃ": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه", "ى": "ي", "ی": "ي", "ک": "ك", "ٱ": "ا"},
}
_WITH = re.compile("LATIN SMALL LETTER ([A-Z]) WITH ")
# The Arabic tatweel makes a word longer, and skin tones belong to the emoji before them.
_IGNORED = re.compile(f"[{DEFAULT_IGNORABLE}\u0640\U0001f3fb-\U0001f3ff]")
_PICTURE = re.compile("[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
# Emoji that are signs of mathematics or punctuation to Unicode. A plain arrow between two words is none, and (c) and (R)
# are punctuation: the phrase "acme tools" finds a text with a trademark sign.
_SIGN = re.compile("[\u2194\u25fb-\u25fe\u2934\u2935\u3030\u303d]")
# NFKD decomposes these emoji to punctuation.
_DOUBLED = str.maketrans({"\u203c": "\u2757\u2757", "\u2049": "\u2757\u2753"})
# A Thai or Lao am is typed before or after the mark of its tone.
_TONE_AFTER_AM = re.compile("([\u0e4d\u0ecd])([\u0e48-\u0e4b\u0ec8-\u0ecb])")
_HAN_PLANES = re.compile("[\U00020000-\U0003ffff]")
_ASCII_WORD = re.compile("[a-z0-9]+")
_FLAG = re.compile("([\U0001f1e6-\U0001f1ff]) ([\U0001f1e6-\U0001f1ff])")


class _Piece(NamedTuple):
    """What becomes of a character, and the script it belongs to, or what else it is."""

    text: str
    script: str


class _Pieces(dict[str, _Piece]):
    """The characters met so far."""

    def __missing__(self, char: str) -> _Piece:
        self[char] = piece = _piece(char)
        return piece


_PIECES = _Pieces()


def words(text: str) -> str:
    """Return the words of a text, folded, with one space between them.

    A word ends where the script changes. Each emoji is a word. Idempotent.
    """
    if text.isascii():
        return " ".join(_ASCII_WORD.findall(text.lower()))
    parts: list[str] = []
    before = _SPACE
    for char in _TONE_AFTER_AM.sub(r"\2\1", unicodedata.normalize("NFKD", text.translate(_DOUBLED))):
        piece, script = _PIECES[char]
        if script == _NOTHING:
            continue
        if script == _MARK:
            if before not in _UNMARKED and before not in (_SPACE, _DIGIT, _EMOJI):
                parts.append(piece)
            continue
        if (script != before or script == _EMOJI) and _ends(before, script):
            parts.append(" ")
        parts.append(piece)
        before = script
    folded = unicodedata.normalize("NFC", " ".join("".join(parts).split()))
    return _FLAG.sub(r"\1\2", folded)


def is_unspaced(word: str) -> bool:
    """Tell whether a word begins in a script that is written without spaces."""
    return _PIECES[unicodedata.normalize("NFKD", word)[0]].script in _UNSPACED


def _ends(before: str, script: str) -> bool:
    """Tell whether a word ends between two characters, of which the second is of another script or an emoji."""
    if _SPACE in (before, script):
        return False
    # Digits belong to the word around them, such as mp3, unless nothing shows where that word begins and ends.
    return _DIGIT not in (before, script) or before in _APART or script in _APART


def _piece(char: str) -> _Piece:
    category, name = unicodedata.category(char), unicodedata.name(char, "")
    if category == "Cf" or _IGNORED.match(char):
        return _Piece("", _NOTHING)
    if category[0] == "M":
        return _Piece(char, _MARK)
    if category[0] == "N" and not name.startswith(("CJK", "IDEOGRAPHIC", "HANGZHOU")):
        value = unicodedata.decimal(char, -1)
        return _Piece(str(value) if value >= 0 else char, _DIGIT)
    if category == "Cn" and _HAN_PLANES.match(char):
        # Of a version of Unicode that is newer than Python's.
        return _Piece(char, "CJK")
    if (category in ("So", "Cn") and _PICTURE.match(char)) or _SIGN.match(char):
        return _Piece(char, _EMOJI)
    if category[0] not in "LN" or name.startswith("MODIFIER LETTER"):
        return _Piece(" ", _SPACE)
    folded = "".join(
        _LETTERS.get(one) or _base(one)
        for one in unicodedata.normalize("NFKD", char.casefold())
        if unicodedata.category(one)[0] != "M"
    )
    script = name.partition(" ")[0]
    return _Piece(folded, "CJK" if script in _CJK else script)


def _base(letter: str) -> str:
    found = _WITH.match(unicodedata.name(letter, ""))
    return found[1].lower() if found else letter
