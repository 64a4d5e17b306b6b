"""The pages for people: their links, headings, commands and settings; for a test that looks whether these exist."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

PROJECT = Path(__file__).parent.parent

_FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_OURS = r"(?:flask|make|(?:\S*/)?\.venv/bin/[\w.-]+)"
_SEPARATORS = set("();|\n")
_BEFORE_A_COMMAND = {"exec", "sudo", "if", "then", "else", "do", "while", "until", "!", "{", "time", "nohup"}


@dataclass(frozen=True)
class Command:
    """A command and its arguments. In a sentence these may be left out; in a block it is whole."""

    words: tuple[str, ...]
    whole: bool


def pages() -> list[Path]:
    """All of them."""
    return [*sorted(PROJECT.glob("*.md")), *sorted(PROJECT.glob(".github/**/*.md")), *sorted(PROJECT.glob("docs/**/*.md"))]


def prose(page: str) -> str:
    """A page without its blocks."""
    return _FENCED.sub("", page)


def links(page: str) -> list[str]:
    """What the page links to, without other sites."""
    without_code = re.sub(r"`[^`]*`", "", prose(page))
    targets = re.findall(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)", without_code)
    return [target for target in targets if not re.match(r"\w+:", target)]


def anchors(page: str) -> set[str]:
    """The names that GitHub gives to headings: small letters, hyphens for blanks, a number from the second of a name on."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", prose(page), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(next(once for n in count() if (once := f"{name}-{n}" if n else name) not in found))
    return found


def settings(page: str) -> set[str]:
    """The variables of ours that it names."""
    return set(re.findall(r"\bTASKAPP_[A-Z_]*[A-Z]\b", page))


def commands(page: str) -> Iterator[Command]:
    """What it tells people to type: in blocks of `sh`; elsewhere, and in sentences, where it begins like a command of ours.

    :raises ValueError: when a block is no shell.
    """
    for language, text in _FENCED.findall(page):
        if language == "sh":
            yield from _simple(text, whole=True)
        elif language == "":
            yield from _lines(text)
    text = prose(page)
    yield from _lines("\n".join(re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)))
    for sentence in re.findall(rf"`({_OURS} [^`]+)`", text):
        yield from _simple(sentence.partition("…")[0], whole=False)


def _lines(text: str) -> Iterator[Command]:
    for line in re.findall(rf"^((?:\w+=\S* )*(?:{_OURS}|curl) .*)$", text.replace("\\\n", " "), re.MULTILINE):
        yield from _simple(line, whole=True)


def _simple(text: str, *, whole: bool) -> Iterator[Command]:
    """Take a script apart: at pipes and the like, without redirections, comments, and what is set for one command."""
    script = re.sub(r"(^|\s)#.*$", r"\1", text.replace("\\\n", " "), flags=re.MULTILINE)
    lexer = shlex.shlex(script, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    into_file = False
    for token in [*lexer, "\n"]:
        if set(token) & set("<>") and set(token) <= set("<>&"):
            into_file = True
            words = words[:-1] if words and words[-1] in {"1", "2"} else words
        elif set(token) <= _SEPARATORS | {"&"}:
            if bare := _bare(words):
                yield Command(bare, whole)
            words = []
        elif into_file:
            into_file = False
        else:
            words.append(token)


def _bare(words: Sequence[str]) -> tuple[str, ...]:
    while words and (words[0] in _BEFORE_A_COMMAND or re.match(r"\w+=", words[0])):
        words = words[1:]
    return tuple(words)
