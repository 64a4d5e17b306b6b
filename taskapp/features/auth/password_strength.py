"""How easy a password is to guess.

Nothing imports this before somebody sets a password: the lists of words take 13 MB in each worker process.
"""

from collections.abc import Iterable

from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

_COMMON = frozenset(FREQUENCY_LISTS["passwords"])
_GUESSES = 1e6
_JUDGED = 16


def is_easy_to_guess(password: str, about: Iterable[str]) -> bool:
    """Tell whether a password is among the first million anybody would try.

    :param about: what an attacker knows of the user.
    """
    # Its time grows fast with the length, and what is beyond can only help.
    judged = zxcvbn(password[:_JUDGED], user_inputs=["taskapp", *(known[:_JUDGED] for known in about)])
    return judged["guesses"] < _GUESSES or password.lower() in _COMMON
