"""Which field of LeadSquared has its text from where, unless the accounts file says otherwise.

The map is ours: what LeadSquared's own connector for IndiaMART does by default is published nowhere (contract 1.7). It
names the fields that every account has; plain `City` and `State` are refused by some, the `mx_` ones by none
(contract 1.4).
"""

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "FirstName": "{sender_first_name}",
        "LastName": "{sender_last_name}",
        "EmailAddress": "sender_email",
        "Phone": "sender_mobile",
        "Mobile": "sender_mobile_alt",
        "Company": "sender_company",
        "Source": "{lead_source}",
        "mx_Street1": "sender_address",
        "mx_City": "sender_city",
        "mx_State": "sender_state",
        "mx_Country": "{country_name}",
        "Notes": "{lead_source} {query_id}: {subject}\n{query_product_name}\n{query_message}",
    }
)
"""The CRM's field, and our column or a text with columns in braces."""
