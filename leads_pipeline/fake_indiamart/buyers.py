"""The invented buyers: each a pure function of seed, seller and number, so that a buyer can come back."""

from dataclasses import dataclass

from leads_pipeline.fake_indiamart.catalogue import (
    CITIES,
    COMPANY_KINDS,
    COMPANY_WORDS,
    COUNTRIES,
    FIRST_NAMES,
    LAST_NAMES,
    City,
)
from leads_pipeline.fake_indiamart.draws import Draws

REGULAR_BUYERS = 80
_ALL_BUYERS = 200_000
_SHARE_REGULAR = 0.25
_SHARE_FOREIGN = 0.06
_SHARE_CODE_ALONE = 0.15  # of foreign buyers: the mobile is the country code alone
_MAIL_DOMAINS = ("gmail.example", "yahoo.example", "rediffmail.example", "outlook.example")


@dataclass(frozen=True)
class Buyer:
    """A buyer as IndiaMART knows them; None where it knows nothing. Phones as the API writes them."""

    name: str
    mobile: str | None
    email: str | None
    company: str | None
    address: str | None
    city: str | None
    state: str | None
    pincode: str | None
    country_iso: str
    mobile_alt: str | None
    phone: str | None
    phone_alt: str | None
    email_alt: str | None


def some_buyer(draws: Draws, seed: int, seller: str) -> Buyer:
    """Return the buyer of a new enquiry: often one of the regular ones, mostly one never seen before."""
    if draws.chance(_SHARE_REGULAR):
        return buyer_number(draws.below(REGULAR_BUYERS), seed, seller)
    return buyer_number(draws.between(REGULAR_BUYERS, _ALL_BUYERS), seed, seller)


def buyer_number(number: int, seed: int, seller: str) -> Buyer:
    """Return the buyer with this number; the same one every time."""
    draws = Draws(seed, seller, "buyer", number)
    return _foreign_buyer(draws) if draws.chance(_SHARE_FOREIGN) else _indian_buyer(draws)


def company_name(draws: Draws) -> str:
    """Return an invented company's name, now and then with the trailing spaces that real answers have."""
    initials = draws.chance(0.1)
    word = f"{draws.pick('ABDGKMNRSV')}. {draws.pick('CKLMPRST')}." if initials else draws.pick(COMPANY_WORDS)
    return f"{word} {draws.pick(COMPANY_KINDS)}{'  ' if draws.chance(0.08) else ''}"


def _indian_buyer(draws: Draws) -> Buyer:
    city = draws.pick(CITIES)
    name = _name(draws)
    pincode = draws.pick(city.pincodes) if draws.chance(0.7) else None
    landline = draws.chance(0.06)
    city_known = draws.chance(0.95)
    return Buyer(
        name=name,
        mobile=_indian_mobile(draws),
        email=_email(draws, name) if draws.chance(0.6) else None,
        company=company_name(draws) if draws.chance(0.45) else None,
        address=_address(draws, city, pincode) if city_known else pincode,
        city=city.name if city_known else None,
        state=city.state if city_known else None,
        pincode=pincode,
        country_iso="IN",
        mobile_alt=_indian_mobile(draws) if draws.chance(0.1) else None,
        phone=_landline(draws, city) if landline else None,
        phone_alt=_landline(draws, city) if landline and draws.chance(0.3) else None,
        email_alt=_email(draws, name) if draws.chance(0.05) else None,
    )


def _foreign_buyer(draws: Draws) -> Buyer:
    country = draws.pick(COUNTRIES)
    name = _name(draws)
    number = f"{country.prefix}{draws.below(10**country.free_digits):0{country.free_digits}d}"
    return Buyer(
        name=name,
        mobile=f"+{country.calling_code}-{'' if draws.chance(_SHARE_CODE_ALONE) else number}",
        email=_email(draws, name) if draws.chance(0.85) else None,
        company=company_name(draws) if draws.chance(0.4) else None,
        address=None,
        city=draws.pick(country.cities) if draws.chance(0.5) else None,
        state=None,
        pincode=None,
        country_iso=country.iso,
        mobile_alt=None,
        phone=None,
        phone_alt=None,
        email_alt=_email(draws, name) if draws.chance(0.05) else None,
    )


def _name(draws: Draws) -> str:
    first = draws.pick(FIRST_NAMES)
    style = draws.below(12)
    if style == 0:
        return first
    if style == 1:
        return f"{first.lower()} {draws.pick(LAST_NAMES).lower()}"
    return f"{first} {draws.pick(LAST_NAMES)}"


def _indian_mobile(draws: Draws) -> str:
    # Three zeros in the middle: well-formed, and unlike the numbers that people have.
    return f"+91-{draws.between(7000, 9999)}000{draws.below(1000):03d}"


def _landline(draws: Draws, city: City) -> str:
    return f"{city.dialling_code}-{draws.between(22, 49)}000{draws.below(1000):03d}"[:12]


def _email(draws: Draws, name: str) -> str:
    return f"{'.'.join(name.lower().split())}{draws.between(1, 9999)}@{draws.pick(_MAIL_DOMAINS)}"


def _address(draws: Draws, city: City, pincode: str | None) -> str:
    parts = [city.name, city.state]
    if draws.chance(0.6):
        house = draws.pick(("No. {}/4", "Plot No. {}", "Shop {}", "R-{}", "#{}, 1st Floor", "Gala No. {} & 7"))
        parts = [house.format(draws.between(1, 999)), draws.pick(city.localities), *parts]
    text = ", ".join(parts)
    return f"{text},         {pincode}" if pincode else text
