"""Which field of SharpSpring has its text from where, unless the accounts file says otherwise.

The map is ours: SharpSpring has no connector for IndiaMART to copy. It names only standard fields (contract 2.6), for
every account has those; what was asked for goes into the description, where sales people read first.
"""

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "emailAddress": "sender_email",
        "firstName": "{sender_first_name}",
        "lastName": "{sender_last_name}",
        "companyName": "sender_company",
        "phoneNumber": "sender_mobile",
        "mobilePhoneNumber": "sender_mobile",
        "officePhoneNumber": "sender_phone",
        "street": "sender_address",
        "city": "sender_city",
        "state": "sender_state",
        "zipcode": "sender_pincode",
        "country": "{country_name}",
        "description": "{lead_source} {query_id}: {subject}\n{query_product_name}\n{query_message}",
    }
)
"""The CRM's field, and our column or a text with columns in braces."""
