"""Countries' names for people, from the table that comes with `phonenumbers`."""

from functools import cache

_LANGUAGE = "en"
_SAME_AS = "*"  # an entry such as `*aa` says: as in that language


@cache
def country_name(iso_code: str) -> str:
    """Return the English name of a country (ISO 3166, two letters); the code itself if it names none."""
    from phonenumbers.geodata.locale import LOCALE_DATA

    names = LOCALE_DATA.get(iso_code, {})
    name = names.get(_LANGUAGE, iso_code)
    return names.get(name.removeprefix(_SAME_AS), iso_code) if name.startswith(_SAME_AS) else name
