"""Texts that a spreadsheet may execute.

A spreadsheet may execute a text cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end, some also after
spaces and invisible characters, or with the full-width forms of the characters. Such a text is written with an
apostrophe before it, which makes it text (OWASP, *CSV Injection*). Numbers are left as they are.
"""

from __future__ import annotations

import re

FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
LINE_STARTS = ("\t", "\r", "\n", "\0")
_UNSEEN = r"[\s\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2060\ufeff]"
_FORMULA = re.compile(f"{_UNSEEN}*[{re.escape(''.join(FORMULA_STARTS))}]")
_APOSTROPHE = "'"
_NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?")


def starts_formula(text: str) -> bool:
    """Return True if a spreadsheet may execute a text as a formula; numbers are no formulas.

    >>> [starts_formula(text) for text in ("=1+1", "-A1", " =A1", "-5", "+1,5", "a=b", "")]
    [True, True, True, False, False, False, False]
    """
    begins = text.startswith(LINE_STARTS) or _FORMULA.match(text) is not None
    return begins and not _NUMBER.fullmatch(text)


def neutralized(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet may execute; :func:`restored` removes it.

    >>> neutralized("=1+1"), neutralized("'=1+1"), neutralized("boot")
    ("'=1+1", "''=1+1", 'boot')
    """
    return f"{_APOSTROPHE}{text}" if starts_formula(text.lstrip(_APOSTROPHE)) else text


def restored(text: str) -> str:
    """Return the text that :func:`neutralized` wrote.

    >>> restored("'=1+1"), restored("''=1+1"), restored("'boot")
    ('=1+1', "'=1+1", "'boot")
    """
    return text[1:] if text.startswith(_APOSTROPHE) and starts_formula(text.lstrip(_APOSTROPHE)) else text
