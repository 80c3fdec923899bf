"""Masking of secrets by value, whatever encoding they come in. Names of parameters are never relied on."""

import base64
import html.entities
import logging
import re
from collections.abc import Iterable
from functools import cache

MASK = "***"

_MIN_LENGTH = 6  # shorter values would mask ordinary words; settings refuse such keys
_LIBRARIES_THAT_LOG_URLS = ("urllib3", "requests")
_NAMED_ENTITIES: dict[str, list[str]] = {}
for _name, _character in html.entities.html5.items():
    _NAMED_ENTITIES.setdefault(_character, []).append(_name)


class SecretMasker:
    r"""Replaces every form of the given secrets in text and bytes by `***`.

    Each character but letters and digits, which nothing encodes, may stand as itself, percent-encoded (once or
    more often, either case), escaped as JSON or Python do (`\/`, `\u002f`, `\x2f`), or as an HTML entity, in any
    mixture; a `+` also as the space that a form decodes it to. Base64 is known at each of its three alignments.
    Secrets shorter than 6 characters are passed over.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        long_enough = sorted({secret for secret in secrets if len(secret) >= _MIN_LENGTH}, key=len, reverse=True)
        forms = [form for secret in long_enough for form in _forms(secret)]
        self._text = re.compile("|".join(forms)) if forms else None
        self._bytes = re.compile("|".join(forms).encode()) if forms else None

    def text(self, value: str) -> str:
        """Return the text with each secret masked."""
        return value if self._text is None else self._text.sub(MASK, value)

    def data(self, value: bytes) -> bytes:
        """Return the bytes with each secret masked."""
        return value if self._bytes is None else self._bytes.sub(MASK.encode(), value)


class MaskingFilter(logging.Filter):
    """Masks secrets in a log record's final message and traceback."""

    def __init__(self, masker: SecretMasker) -> None:
        super().__init__()
        self._masker = masker

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place; never drop it."""
        record.msg = self._masker.text(record.getMessage())
        record.args = ()
        if record.exc_info:
            record.exc_text = self._masker.text(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


@cache
def mask_in_library_logs(secret: str) -> None:
    """Mask the secret, from now on, in whatever the HTTP libraries log: some of it holds whole URLs."""
    masking = MaskingFilter(SecretMasker([secret]))
    for name in sorted(logging.root.manager.loggerDict):
        if name.split(".")[0] in _LIBRARIES_THAT_LOG_URLS:
            logging.getLogger(name).addFilter(masking)


def _forms(secret: str) -> list[str]:
    """Return the patterns of the secret itself and of its base64 within a longer text."""
    plain = "".join(_character_forms(character) for character in secret)
    return [plain, *("".join(_character_forms(character) for character in core) for core in _base64_cores(secret))]


def _base64_cores(secret: str) -> set[str]:
    """Return what base64 of a longer text shows of the secret, wherever in that text it begins."""
    data = secret.encode()
    cores = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        core = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        cores |= {core, core.translate(str.maketrans("+/", "-_"))}
    return cores


@cache
def _character_forms(character: str) -> str:
    """Return a pattern for every way to write the character; the repeats are bounded, to stay linear."""
    if character.isascii() and character.isalnum():
        return character
    octets = "".join(rf"%(?:25){{0,3}}(?i:{octet:02x})" for octet in character.encode())
    wide = character.encode("utf-16-be")
    units = (int.from_bytes(wide[place : place + 2]) for place in range(0, len(wide), 2))
    escaped = "".join(rf"\\{{1,4}}(?i:u{unit:04x})" for unit in units)
    number = ord(character)
    entities = "|".join(map(re.escape, _NAMED_ENTITIES.get(character, ())))
    forms = [
        rf"\\{{0,4}}{re.escape(character)}",
        octets,
        escaped,
        rf"\\{{1,4}}(?i:x{number:02x})",
        rf"&#(?:0{{0,4}}{number}|(?i:x0{{0,4}}{number:x}));?",
    ]
    if entities:
        forms.append(f"&(?:{entities})")
    if character == "+":
        forms.append(" ")
    return f"(?:{'|'.join(forms)})"
