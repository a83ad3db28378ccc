"""Names for patients, made of a number or of a keyed draw; never of anything that an archive said."""

from __future__ import annotations

from collections.abc import Sequence

from pacsferry.core.model import Keys, Subject
from pacsferry.core.strict import NoSettings

#: RFC 4648 base32 in lower case: no 0, 1, 8 or 9 that a reader could take for a letter.
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
#: 16 characters are 80 bits: with a million patients two share a name with probability 2^-41.
LENGTH = 16


class Cases:
    """``case0001``, ``case0002`` …; grows to more digits after 9999."""

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def name(self, subjects: Sequence[Subject], first: int, keys: Keys) -> Sequence[str]:  # noqa: ARG002 # the port
        return [f"case{number:04d}" for number in range(first, first + len(subjects))]


class KeyedHash:
    """``p`` and 16 characters that depend on the secret and the patient's token only.

    The leading letter keeps spreadsheets from taking a name such as ``23e4`` for a number.
    """

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def name(self, subjects: Sequence[Subject], first: int, keys: Keys) -> Sequence[str]:  # noqa: ARG002 # the port
        return [_word(keys.draw("pseudonym", subject.token)) for subject in subjects]


def _word(drawn: int) -> str:
    """The lowest 80 bits of ``drawn`` as base32."""
    return "p" + "".join(ALPHABET[drawn >> 5 * place & 31] for place in range(LENGTH))
