"""Searches: read a query, and look for its terms in the words of tasks.

No text index serves a query under RLS, because its operators are not leakproof. So the words of tasks are looked through,
one of the user's tasks after the other.
"""

import re
from typing import Any, NamedTuple

import marshmallow as ma
from sqlalchemy import ColumnElement, Text, and_, bindparam, func, literal_column, not_, or_, select

from taskapp.features.tasks.models import TASKS
from taskapp.features.tasks.words import is_unspaced, words
from taskapp.web.schema import Coded
from taskapp.web.schema import Text as TextField

MOST_TERMS = 20
"""How many terms a query may have. Each is looked for in all of a user's tasks."""

DESCRIPTION = (
    "Terms to find in title, notes and tags. A term matches the beginning of a word: `land` finds *Landingpages*. Case,"
    " accents and punctuation make no difference: `resume` finds *Résumé*, `4711` finds *JIRA-4711*. In scripts that are"
    " written without spaces (Han, kana, Thai, Lao, Khmer, Myanmar), a term matches anywhere. All terms have to match."
    ' `"a phrase"`: these words in a row, as is a term of several words, such as `e-mail`. `-without`: a term that must not'
    " match. `or` between terms: what is before it, or what follows it. Up to 20 terms, each with a letter, a digit or an"
    " emoji."
)

_FEW = 6
"""Up to so many terms are looked for one by one; more by a regular expression, which reads the text once."""
_LONG = 32
"""Longer terms are looked for by a regular expression, too. Notes of 16,000 characters that repeat a phrase but for its
first character take strpos() up to 0.46 ms; a regular expression always takes 0.06."""

# Phones write other quotation marks than the one on a keyboard.
_QUOTES = str.maketrans("\u201c\u201d\u201e\u201f\uff02", '"""""')
_TERM = re.compile(r'(-*)(?:"([^"]*)"?|(\S+))')
# Between the title, the notes and each tag, so that no phrase goes from one into the next. Words follow a space.
_APART = literal_column(r"E'\n '", Text)


class Term(NamedTuple):
    """What is looked for, as it stands in the words of a task; or must not be there."""

    text: str
    absent: bool


class Query(TextField):
    """A query, which is loaded as the text it is once :func:`alternatives` can read it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 200, **kwargs)
        self.validators.append(_has_terms)


def alternatives(query: str) -> list[list[Term]]:
    """Read a query: the terms of each of its alternatives.

    :raises ma.ValidationError: there are too many terms, or one has no character that can be found.
    """
    found: list[list[Term]] = [[]]
    given = list(_TERM.finditer(query.translate(_QUOTES)))
    if not given:
        raise ma.ValidationError(_NOTHING)
    operator = True
    for number, match in enumerate(given, 1):
        # An `or` without a term on both sides is a word.
        operator = not operator and match[0].casefold() == "or" and number < len(given)
        if operator:
            found.append([])
            continue
        folded = words(match[3] if match[2] is None else match[2])
        if not folded:
            raise ma.ValidationError(_NOTHING)
        found[-1].append(Term(folded if is_unspaced(folded) else " " + folded, absent=bool(match[1])))
    if sum(map(len, found)) > MOST_TERMS:
        raise ma.ValidationError(_TOO_MANY)
    return found


_NOTHING = Coded("invalid_value", "Each term must have a letter, a digit or an emoji.")
_TOO_MANY = Coded("too_many", f"Must have {MOST_TERMS} or fewer terms.")


def _has_terms(query: str) -> None:
    if query:
        alternatives(query)


def matches(query: str) -> ColumnElement[bool]:
    """Return the condition that a task has what a query looks for."""
    columns = TASKS.c
    # What SQL wrote without the application has no words as yet.
    texts = (
        func.coalesce(columns.title_words, func.app.fold_words_in_sql(columns.title)),
        func.coalesce(columns.notes_words, func.app.fold_words_in_sql(columns.notes)),
        func.coalesce(
            func.array_to_string(columns.tag_words, _APART),
            func.app.fold_words_in_sql(func.array_to_string(columns.tags, " ")),
        ),
    )
    # OFFSET keeps this from becoming part of the condition: long notes would be decompressed for each term.
    whole = select(func.concat_ws(_APART, "", *texts, type_=Text).label("words")).correlate(TASKS).offset(0)
    looked_through = whole.lateral("looked_through")
    return select(_held(alternatives(query), looked_through.c.words)).select_from(looked_through).scalar_subquery()


def _held(groups: list[list[Term]], text: ColumnElement[Any]) -> ColumnElement[bool]:
    alone = [terms[0] for terms in groups if len(terms) == 1 and not terms[0].absent]
    together = [terms for terms in groups if len(terms) > 1 or terms[0].absent]
    held = [_any(alone, text)] if alone else []
    for terms in together:
        absent = [term for term in terms if term.absent]
        there = [_any([term], text) for term in dict.fromkeys(terms) if not term.absent]
        held.append(and_(*there, *([not_(_any(absent, text))] if absent else [])))
    return or_(*held)


def _any(terms: list[Term], text: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that one of the terms is in a text."""
    texts = [term.text for term in dict.fromkeys(terms)]
    if len(texts) <= _FEW and max(map(len, texts)) <= _LONG:
        return or_(*(func.strpos(text, bindparam(None, one, Text)) > 0 for one in texts))
    # Words have letters, digits, marks and emoji only, none of which is special in a regular expression.
    return text.collate("C").op("~", is_comparison=True)(bindparam(None, f"({'|'.join(texts)})", Text))
