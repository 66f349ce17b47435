"""Secrets in texts: user names and passwords of addresses, and secret query parameters."""

from __future__ import annotations

import re

MASK = "***"
# A password may contain slashes and at signs, as keys of AWS do; a host may be followed by a port and a path. A path
# with an address in it has lost a slash.
_USER_INFO = re.compile(r"(:?//|:/)(?:(?![\w.-]*:\d+(?:/|$))[\w.+%-]*:[^\s\"'<>]*|[^/@\s]+)@")
_USER_AND_PASSWORD = re.compile(r"(?<![\w/:.])[\w.+-]+:[^\s/@\"']+@(?=\w)")
_SECRET_QUERY = re.compile(
    r"([?&#;][^=&\s]*(?:passw|pwd|secret|token|credential|key|sig|auth|jwt)[^=&\s]*=)[^&;\s]+", re.IGNORECASE
)


def without_secrets(text: str) -> str:
    """Mask secrets in a text.

    >>> without_secrets("https://me:pw@host/x.csv?token=1&page=2")
    'https://***@host/x.csv?token=***&page=2'
    >>> without_secrets('bucket "me:pw@bucket" of ana@example.com, stale_sales@2025-02-24')
    'bucket "***@bucket" of ana@example.com, stale_sales@2025-02-24'
    """
    text = _SECRET_QUERY.sub(rf"\g<1>{MASK}", _USER_INFO.sub(rf"\g<1>{MASK}@", text))
    return _USER_AND_PASSWORD.sub(f"{MASK}@", text)
