"""What buyers write: subject, message with its requirement lines, in the forms that the API hands out."""

from dataclasses import dataclass

from leads_pipeline.fake_indiamart.catalogue import ORDER_VALUES, PREFERRED_LOCATIONS, Product
from leads_pipeline.fake_indiamart.draws import Draws

_QUANTITIES = ("1", "2", "6", "10", "25", "50", "100", "500", "1000", "5000", "1,00,000")

_OPENINGS = (
    "I want to buy {product}.",
    "I am interested in buying {product}. Kindly send me price and other details.",
    "I am looking for {product}.\r\rBefore purchasing I would like to know the price details."
    "\r\rKindly send me price and other details.",
    "My Requirement is for {product}. Kindly send me price and other details.",
    'Dear Sir, we need "{product}" on urgent basis. Kindly quote your best rate incl. GST & freight.',
    "{product} on our   site at the earliest, please share catalogue / price list.",
    "नमस्ते, मुझे {product} चाहिए। कृपया रेट और डिलीवरी का समय बताएं।",
)

_CHATS = (
    "Hi, price for {product}? 🙏",
    "Is {product} available in stock?\nPls share photos 📷",
    "भाई {product} का रेट क्या है?",
    "Hello sir,\n{product} ka best price batao, {quantity} {unit} chahiye 👍",
    "Interested in {product}\r\nCall me after 4 PM",
    "મારે {product} જોઈએ છે, ભાવ મોકલો",
    "Do you deliver {product} by road/rail? Need {quantity} {unit} every month.",
)


@dataclass(frozen=True)
class Enquiry:
    """What a buyer asks for; None where the API shows nothing."""

    subject: str | None
    product: str | None
    category: str | None
    message: str | None


def enquiry(draws: Draws, query_type: str, product: Product) -> Enquiry:
    """Return what a lead of this type (W, B, P, WA, BIZ; others read like W) asks about the product."""
    if query_type == "P":
        named = draws.chance(0.15)
        return Enquiry("Buyer Call", product.name if named else None, product.category if named else None, None)
    if query_type == "WA":
        return Enquiry(f"WhatsApp enquiry for {product.name}", product.name, product.category, _chat(draws, product))
    if query_type == "BIZ":
        return Enquiry("Catalog View", product.name, product.category, None)
    separator = " : " if query_type == "B" else " :   "
    opening = draws.pick(_OPENINGS).format(product=product.name)
    lines = _requirement_lines(draws, query_type, product)
    # Bought leads start each line at once, direct enquiries with a space.
    lead_in = "<br>" if query_type == "B" else "<br> "
    details = "".join(f"{lead_in}{name}{separator}{value}" for name, value in lines)
    location = f"<br>Preferred Location: {draws.pick(PREFERRED_LOCATIONS)}" if draws.chance(0.5) else ""
    return Enquiry(
        f"Requirement for {product.name}", product.name, product.category, f"{opening}{details}{location}<br>"
    )


def _chat(draws: Draws, product: Product) -> str:
    return draws.pick(_CHATS).format(product=product.name, quantity=draws.pick(_QUANTITIES), unit=product.unit.lower())


def _requirement_lines(draws: Draws, query_type: str, product: Product) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, values in product.specifications:
        if draws.chance(0.55):
            lines.append((name, draws.pick(values)))
    quantity = draws.pick(_QUANTITIES)
    if query_type == "B":
        lines.append(("Quantity", f"{quantity} {product.unit}"))
    elif draws.chance(0.85):
        lines += [("Quantity", quantity), ("Quantity Unit", product.unit.lower())]
    if draws.chance(0.7):
        lines.append(("Probable Order Value", draws.pick(ORDER_VALUES)))
    if draws.chance(0.3):
        lines.append(("Usage", product.usage))
    if draws.chance(0.6):
        lines.append(("Probable Requirement Type", "Business Use"))
    return lines
