import base64
import html
import json
import logging
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.secret_values import MASK, MaskingFilter, SecretMasker
from leads_pipeline_tests.support import KEY, encodings_of

KEYS = st.text(string.ascii_letters + string.digits + "/+=-_.~:@$&<>\"'\\#%!*", min_size=8, max_size=48)
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent, all of it": lambda key: quote(key, safe=""),
    "percent, slashes left": quote,
    "as a form": quote_plus,
    "percent twice": lambda key: quote(quote(key, safe=""), safe=""),
    "percent in lower case": lambda key: "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in key),
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON of PHP": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)[1:-1].replace("/", "\\/"))[1:-1],
    "JSON with escapes": lambda key: "".join(c if c.isalnum() else f"\\u{ord(c):04X}" for c in key),
    "repr": lambda key: repr(key)[1:-1],
    "repr of bytes": lambda key: repr(key.encode())[2:-1],
    "HTML": html.escape,
    "HTML by number": lambda key: "".join(c if c.isalnum() else f"&#{ord(c)};" for c in key),
    "percent, then HTML": lambda key: html.escape(quote(key)),
    "read as a form": lambda key: key.replace("+", " "),
}


@settings(max_examples=300)
@given(encoding=st.sampled_from(sorted(ENCODINGS)), key=KEYS, before=st.text(max_size=8), after=st.text(max_size=8))
def test_a_key_is_masked_in_every_encoding(encoding: str, key: str, before: str, after: str) -> None:
    form = ENCODINGS[encoding](key)
    masker = SecretMasker([key])
    assert form not in masker.text(f"{before}|{form}|{after}")
    assert MASK in masker.text(f"{before}|{form}|{after}")
    assert form.encode() not in masker.data(f"{before}|{form}|{after}".encode("utf-8", "replace"))


@given(key=KEYS, before=st.binary(max_size=7), after=st.binary(max_size=7), url_safe=st.booleans())
def test_a_key_inside_base64_is_masked_wherever_it_begins(
    key: str, before: bytes, after: bytes, url_safe: bool
) -> None:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    form = encode(before + key.encode() + after).decode()
    masked = SecretMasker([key]).text(f"Basic {form}")
    assert masked.count(MASK) == 1
    left = masked.removeprefix("Basic ").replace(MASK, "").rstrip("=")
    assert len(left) * 6 < len(before + after) * 8 + 24  # of the key at most the bits that share a character


@given(KEYS, st.text("abcdefgh ,.:", max_size=80))
def test_text_without_the_key_stays_as_it_is(key: str, text: str) -> None:
    assert SecretMasker([f"K9{key}"]).text(text) == text
    assert SecretMasker([f"K9{key}"]).data(text.encode()) == text.encode()


@settings(max_examples=50)
@given(st.text(min_size=6, max_size=20).filter(lambda text: text.isprintable()))
def test_secrets_in_any_script_are_masked(secret: str) -> None:
    masker = SecretMasker([secret])
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert form not in masker.text(f"<{form}>")


def test_every_form_that_the_leak_tests_look_for_is_masked() -> None:
    masked = SecretMasker([KEY]).text("\n".join(encodings_of(KEY)))
    assert not [form for form in encodings_of(KEY) if form in masked]


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert SecretMasker(["secret-one", "secret-one-and-more"]).text("secret-one-and-more secret-one") == "*** ***"


def test_values_too_short_to_be_a_secret_mask_nothing() -> None:
    assert SecretMasker(["", "key"]).text("a key") == "a key"
    assert SecretMasker([]).data(b"a key") == b"a key"


def test_a_log_record_is_masked_in_its_message_arguments_and_traceback(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("leads_pipeline_tests.masking")
    masking = MaskingFilter(SecretMasker([KEY]))
    logger.addFilter(masking)
    try:
        raise ValueError(f"no answer for {quote(KEY)}")
    except ValueError:
        logger.exception("asked with %s", KEY)
    finally:
        logger.removeFilter(masking)
    assert "asked with ***" in caplog.text
    assert "ValueError: no answer for ***" in caplog.text
