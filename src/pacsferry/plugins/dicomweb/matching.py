"""Asks for what cannot be written in an address without escapes, and checks here what came; it knows no network.

Some servers do not decode percent escapes in a query (seen: Orthanc 1.10 with DICOMweb plugin 1.7), so a value with a
space, a caret or an umlaut finds nothing. Such a query is asked again with a wildcard in place of what needs escapes,
and the answers are matched again here.
"""

from __future__ import annotations

import re
from dataclasses import replace

from pacsferry.core.model import Match, Query

#: What goes into an address as it is: unreserved characters, and those that a query may hold (RFC 3986 3.4).
PLAIN = r"A-Za-z0-9._~*?/:-"
#: Escapes that are none in a query; ``+`` for a space is an HTML custom and not read by everybody.
_UNESCAPED = {"%2A": "*", "%3F": "?", "%2F": "/", "%3A": ":", "+": "%20"}
_ODD = re.compile(rf"[^{PLAIN}]+")
#: Identifiers differ by the case of their letters; names and descriptions do not (PS3.4 C.2.2.2.1).
_EXACT = frozenset({"AccessionNumber", "PatientID", "IssuerOfPatientID", "StudyID"})


def plain_query(url: str) -> str:
    """The address with no more escapes in its query than it needs."""
    path, mark, query = url.partition("?")
    return (
        path
        + mark
        + re.sub(r"%2A|%3F|%2F|%3A|\+", lambda found: _UNESCAPED[found[0].upper()], query, flags=re.IGNORECASE)
    )


def narrows(text: str) -> bool:
    """Whether a value narrows the answers down; an empty one and a lone ``*`` match everything (PS3.4 C.2.2.2.3)."""
    return bool(text) and text != "*"


def widened(query: Query) -> Query | None:
    """The query without anything that needs an escape; None where nothing does, or where nothing would be left."""
    wide = {keyword: _ODD.sub("*", text) for keyword, text in query.keys.items()}
    if wide == query.keys or not any(text.strip("*?") for text in wide.values()):
        return None
    return replace(query, keys=wide)


def fits(found: Match, query: Query) -> bool:
    """Whether an answer has what the query asked for, in the keys that were widened."""
    return all(_fits(found, keyword, text) for keyword, text in query.keys.items() if _ODD.search(text))


def _fits(found: Match, keyword: str, text: str) -> bool:
    """Wildcard matching (PS3.4 C.2.2.2.4) of any value; of a name any group of characters will do."""
    pattern = re.compile(
        "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text),
        re.DOTALL | (0 if keyword in _EXACT else re.IGNORECASE),
    )
    values = (one for value in found.many(keyword) for one in (value, *value.split("=")))
    return any(pattern.fullmatch(value) for value in values)
