"""Masking of secrets by value, whatever encoding they come in. Names of parameters are never relied on."""

import base64
import json
import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
_HEX = re.compile(r"%(25)?[0-9A-F]{2}")
_MIN_LENGTH = 6  # shorter values would mask ordinary words; settings refuse such keys


class SecretMasker:
    """Replaces every form of the given secrets in text and bytes by `***`.

    Forms: plain, percent-encoded (with and without `/`, lower-case hex, `+` for a space), JSON-escaped
    (with and without `\\/`), Python's repr, and base64.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= _MIN_LENGTH for form in encodings_of(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._byte_forms = [form.encode() for form in self._forms]

    def text(self, value: str) -> str:
        """Return the text with each secret masked."""
        for form in self._forms:
            value = value.replace(form, MASK)
        return value

    def data(self, value: bytes) -> bytes:
        """Return the bytes with each secret masked."""
        for form in self._byte_forms:
            value = value.replace(form, MASK.encode())
        return value


def encodings_of(secret: str) -> set[str]:
    """Return the secret as it can stand in a URL, a JSON text, a repr or base64."""
    percent = {
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(quote(secret, safe=""), safe=""),
    }
    in_json = json.dumps(secret)[1:-1]
    return {
        secret,
        *percent,
        *(_HEX.sub(lambda code: code.group().lower(), form) for form in percent),
        in_json,
        in_json.replace("/", "\\/"),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("="),
    }


class MaskingFilter(logging.Filter):
    """Masks secrets in a log record's final message."""

    def __init__(self, masker: SecretMasker) -> None:
        super().__init__()
        self._masker = masker

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place; never drop it."""
        record.msg = self._masker.text(record.getMessage())
        record.args = ()
        return True
