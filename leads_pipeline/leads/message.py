"""From a message to the buyer's own words and its requirement lines as typed columns (contract: v2 success, 19).

A labelled line is `<label> : <value>`. Which ones are requirement lines:
- a line whose label is one of the form's (_KNOWN_LABELS), wherever it stands;
- a line with any other label in a run of labelled lines, without another line between, that holds a known one: the
  API puts what the buyer specified ("Model : ...") before and after the quantity. The message's first line is the
  buyer's opening, so there only a known label counts.
Everything else is the buyer's text: "Note: call me", "Time: 10:30" and web addresses too.

Of several lines for one column the first that can be read fills it. Every value that the typed columns do not hold
in full stays as it was said in `requirement_details`: under its label, repeats joined by newlines.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.cleaning import null_where
from leads_pipeline.leads.requirement_values import read_order_value, read_quantity
from leads_pipeline.leads.schema import QUANTITY, TEXT, UNREAD_REQUIREMENTS

_Ints = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


class _Kind(IntEnum):
    """What a line is about."""

    NO_LABEL = 0
    OTHER = 1  # a label that is not known
    DETAIL = 2  # a known label without a column of its own
    CURRENCY = 3
    QUANTITY = 4
    QUANTITY_UNIT = 5
    ORDER_VALUE = 6
    REQUIREMENT_TYPE = 7
    PREFERRED_LOCATION = 8


_KNOWN_LABELS: dict[str, _Kind] = {
    "quantity": _Kind.QUANTITY,
    "qty": _Kind.QUANTITY,
    "order quantity": _Kind.QUANTITY,
    "required quantity": _Kind.QUANTITY,
    "quantity required": _Kind.QUANTITY,
    "मात्रा": _Kind.QUANTITY,
    "quantity unit": _Kind.QUANTITY_UNIT,
    "probable order value": _Kind.ORDER_VALUE,
    "approximate order value": _Kind.ORDER_VALUE,
    "total order value": _Kind.ORDER_VALUE,
    "estimated order value": _Kind.ORDER_VALUE,
    "order value": _Kind.ORDER_VALUE,
    "probable requirement type": _Kind.REQUIREMENT_TYPE,
    "requirement type": _Kind.REQUIREMENT_TYPE,
    "preferred location": _Kind.PREFERRED_LOCATION,
    "preferred supplier location": _Kind.PREFERRED_LOCATION,
    "currency": _Kind.CURRENCY,
    "usage": _Kind.DETAIL,
    "application": _Kind.DETAIL,
    "usage/application": _Kind.DETAIL,
    "why do you need this": _Kind.DETAIL,
    "other products viewed by buyer": _Kind.DETAIL,
    "additional updates on buyer s requirement": _Kind.DETAIL,
    "additional updates on buyer's requirement": _Kind.DETAIL,
}
"""Labels of the API's own form in lower case, as seen from 2020 to 2024, and what they are about."""

_LABELLED = r"(?s)^(?P<label>\p{L}[^:]{0,59}):(?P<value>.*)$"
_MOST_WORDS_IN_A_LABEL = 8
_IN_RUPEES = re.compile(r" ?\((?:rs\.?|inr|₹)\)$")  # "Total Order Value(Rs)"
_RUPEES = r"(?i)\b(?:inr|rs|rupees?)\b|₹"
_GLUED = (
    r"([a-z0-9.)])((?:Quantity|Quantity Unit|Probable Order Value|Approximate Order Value|Probable Requirement Type"
    r"|Requirement Type|Preferred Location) ?:)"
)
"""Labels of the form that follow the word before without a break, as where tags were stripped."""


def requirement_columns(messages: pa.Array) -> dict[str, pa.Array]:
    """Return the columns REQUIREMENT_COLUMNS (schema.py) of cleaned messages, by name, as long as these.

    Never raises on any text. `unread_requirement_values` is 0 for a message without requirement lines and NULL
    without a message.
    """
    may_have_lines = pc.fill_null(pc.match_substring(messages, ":"), False)
    texts = messages.filter(may_have_lines)
    parsed = _Messages(texts)
    if parsed.has_glued_labels:
        parsed = _Messages(_unglued(texts))
    rows = np.flatnonzero(_flags(may_have_lines))
    columns = {name: _spread(values, rows, len(messages)) for name, values in parsed.columns.items()}
    columns["message_text"] = pc.replace_with_mask(messages, may_have_lines, parsed.text)
    columns[UNREAD_REQUIREMENTS] = null_where(pc.is_null(messages), pc.fill_null(columns[UNREAD_REQUIREMENTS], 0))
    return columns


def _unglued(texts: pa.Array) -> pa.Array:
    glued = pc.match_substring_regex(texts, _GLUED)
    return pc.replace_with_mask(texts, glued, pc.replace_substring_regex(texts.filter(glued), _GLUED, "\\1\n\\2"))


@dataclass(frozen=True)
class _Lines:
    """Distinct lines, column by column. The first one stands for every line without a label."""

    kind: _Ints
    label: _Ints
    """Place of the label in `labels`."""
    labels: pa.Array
    """Labels in lower case with single spaces."""
    value: pa.Array
    quantity: pa.Array
    unit: pa.Array
    """The unit that the line gives to the quantity."""
    order_value_min: pa.Array
    order_value_max: pa.Array
    is_said: _Flags
    """Whether there is anything to keep: a label of the form without a value says nothing."""
    is_readable: _Flags
    """Whether the column that the line is for can hold it."""
    is_all: _Flags
    """Whether that column holds all that the line says."""
    is_foreign: _Flags
    """Whether the line says that amounts are not in rupees."""


def _read_lines(lines: pa.Array) -> _Lines:
    """Return what distinct lines say; the first of the result is a line without a label."""
    lines = pa.concat_arrays([pa.array([""], TEXT), pc.utf8_trim_whitespace(lines)])
    found = pc.extract_regex(lines, _LABELLED)
    value = pc.fill_null(pc.utf8_trim_whitespace(pc.struct_field(found, "value")), "")
    written = null_where(pc.starts_with(value, "//"), pc.struct_field(found, "label")).dictionary_encode()
    folded = ["", *(" ".join(label.lower().split()) for label in written.dictionary.to_pylist())]
    labels = {name: place for place, name in enumerate(dict.fromkeys(folded))}
    label = np.array([labels[name] for name in folded])[pc.fill_null(pc.add(written.indices, 1), 0).to_numpy()]
    kind = np.array([_kind_of(name) for name in labels], np.int64)[label]
    has_value = _flags(pc.not_equal(value, ""))

    quantity_lines, order_lines = np.flatnonzero(kind == _Kind.QUANTITY), np.flatnonzero(kind == _Kind.ORDER_VALUE)
    quantities = [read_quantity(text) for text in value.take(pa.array(quantity_lines)).to_pylist()]
    orders = [read_order_value(text) for text in value.take(pa.array(order_lines)).to_pylist()]
    is_all = np.ones(len(lines), np.bool_)
    is_all[quantity_lines] = [one is not None and one.is_all for one in quantities]
    is_all[order_lines] = [one is not None and one.is_all for one in orders]
    is_readable = has_value & (kind >= _Kind.QUANTITY_UNIT)
    is_readable[quantity_lines] = [one is not None for one in quantities]
    is_readable[order_lines] = [one is not None for one in orders]
    own_unit = _spread(pa.array([one and one.unit for one in quantities], TEXT), quantity_lines, len(lines))
    is_unit = pa.array(has_value & (kind == _Kind.QUANTITY_UNIT))
    least, most = [one and one.minimum for one in orders], [one and one.maximum for one in orders]
    return _Lines(
        kind=kind,
        label=label,
        labels=pa.array(list(labels), TEXT),
        value=value,
        quantity=_spread(pa.array([one and one.amount for one in quantities], QUANTITY), quantity_lines, len(lines)),
        unit=pc.if_else(is_unit, pc.utf8_lower(value), own_unit),
        order_value_min=_spread(pa.array(least, pa.int64()), order_lines, len(lines)),
        order_value_max=_spread(pa.array(most, pa.int64()), order_lines, len(lines)),
        is_said=has_value | (kind <= _Kind.DETAIL),
        is_readable=is_readable,
        is_all=is_all,
        is_foreign=has_value & (kind == _Kind.CURRENCY) & ~_flags(pc.match_substring_regex(value, _RUPEES)),
    )


def _kind_of(label: str) -> _Kind:
    if not label or label.count(" ") >= _MOST_WORDS_IN_A_LABEL:
        return _Kind.NO_LABEL
    return _KNOWN_LABELS.get(_IN_RUPEES.sub("", label), _Kind.OTHER)


class _Messages:
    """Messages as lines: for each line its message in `_row`, its distinct line in `_code` and `_kind`.

    Only distinct amounts are read one by one; all else works on whole columns. Code 0 is the buyer's text.
    """

    def __init__(self, texts: pa.Array) -> None:
        self._count = len(texts)
        split = pc.split_pattern(texts, "\n")
        self._texts = split.flatten()
        self._row: _Ints = np.repeat(np.arange(self._count), pc.list_value_length(split).to_numpy())
        has_colon = pc.match_substring(self._texts, ":")
        encoded = self._texts.filter(has_colon).dictionary_encode()
        self.has_glued_labels = bool(pc.any(pc.match_substring_regex(encoded.dictionary, _GLUED), min_count=0).as_py())
        self._lines = _read_lines(encoded.dictionary)
        self._code: _Ints = np.zeros(len(self._texts), np.int64)
        self._code[_flags(has_colon)] = encoded.indices.to_numpy().astype(np.int64) + 1
        self._code[~self._is_requirement(self._lines.kind[self._code])] = 0
        self._kind: _Ints = self._lines.kind[self._code]

    def _is_requirement(self, kind: _Ints) -> _Flags:
        """Return which lines, of these kinds, are requirement lines by the rule above."""
        is_first = np.r_[True, self._row[1:] != self._row[:-1]][: len(self._row)]
        labelled = (kind != _Kind.NO_LABEL) & ~(is_first & (kind == _Kind.OTHER))
        starts = labelled & (is_first | ~np.r_[False, labelled[:-1]][: len(labelled)])
        run = np.cumsum(starts)
        has_known = np.bincount(run[labelled & (kind > _Kind.OTHER)], minlength=len(run) + 1) > 0
        requirement: _Flags = labelled & has_known[run]
        return requirement

    @property
    def text(self) -> pa.Array:
        """Return what remains without the requirement lines; NULL where nothing does."""
        free = self._code == 0
        lines = self._texts.filter(pa.array(free))
        joined = pc.utf8_trim_whitespace(pc.binary_join(_lists(self._row[free], self._count, lines), "\n"))
        return null_where(pc.equal(joined, ""), joined)

    @cached_property
    def _is_readable(self) -> _Flags:
        in_other_currency = np.zeros(self._count, np.bool_)
        in_other_currency[self._row[self._lines.is_foreign[self._code]]] = True
        is_no_value = (self._kind == _Kind.ORDER_VALUE) & in_other_currency[self._row]
        readable: _Flags = self._lines.is_readable[self._code] & ~is_no_value
        return readable

    def _first(self, kind: _Kind) -> _Ints:
        """Return the first readable line of this kind in each message that has one."""
        lines = np.flatnonzero(self._is_readable & (self._kind == kind))
        return lines[np.unique(self._row[lines], return_index=True)[1]]

    def first(self, kind: _Kind, of_distinct: pa.Array) -> pa.Array:
        """Return for each message what holds for its first readable line of this kind; NULL without one."""
        lines = self._first(kind)
        return _spread(of_distinct.take(pa.array(self._code[lines])), self._row[lines], self._count)

    @property
    def columns(self) -> dict[str, pa.Array]:
        """Return the columns of these messages but for the text; a unit beside the number goes before a line's."""
        lines = self._lines
        return {
            "quantity": self.first(_Kind.QUANTITY, lines.quantity),
            "quantity_unit": self._unit,
            "order_value_min_inr": self.first(_Kind.ORDER_VALUE, lines.order_value_min),
            "order_value_max_inr": self.first(_Kind.ORDER_VALUE, lines.order_value_max),
            "requirement_type": self.first(_Kind.REQUIREMENT_TYPE, lines.value),
            "preferred_location": self.first(_Kind.PREFERRED_LOCATION, lines.value),
            "requirement_details": self._details(),
            UNREAD_REQUIREMENTS: self._unread(),
        }

    @cached_property
    def _unit(self) -> pa.Array:
        return pc.coalesce(*(self.first(kind, self._lines.unit) for kind in (_Kind.QUANTITY, _Kind.QUANTITY_UNIT)))

    def _is_untold(self) -> _Flags:
        """Return which lines say something that the typed columns do not hold in full."""
        told = np.zeros(len(self._code), np.bool_)
        for kind in (_Kind.QUANTITY, _Kind.ORDER_VALUE, _Kind.REQUIREMENT_TYPE, _Kind.PREFERRED_LOCATION):
            told[self._first(kind)] = True
        lines = self._first(_Kind.QUANTITY_UNIT)
        chosen = self._unit.take(pa.array(self._row[lines]))
        told[lines] = _flags(pc.equal(self._lines.unit.take(pa.array(self._code[lines])), chosen))
        told &= self._lines.is_all[self._code]
        untold: _Flags = self._lines.is_said[self._code] & ~told & (self._code > 0)
        return untold

    def _details(self) -> pa.Array:
        """Return the values that no typed column holds in full, by label; NULL where there are none."""
        lines = np.flatnonzero(self._is_untold())
        label = self._lines.label[self._code[lines]]
        key = self._row[lines] * len(self._lines.labels) + label
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        place = np.empty(len(first), np.int64)  # of each group among all, in the order of their first lines
        place[np.argsort(first)] = np.arange(len(first))
        first.sort()
        by_group = np.argsort(place[group], kind="stable")
        values = self._lines.value.take(pa.array(self._code[lines[by_group]]))
        repeats = _lists(place[group][by_group], len(first), values)
        counts = np.bincount(self._row[lines[first]], minlength=self._count)
        return pa.MapArray.from_arrays(
            _offsets(counts),
            self._lines.labels.take(pa.array(label[first])),
            pc.binary_join(repeats, "\n"),
            mask=pa.array(counts == 0),
        )

    def _unread(self) -> pa.Array:
        """Return how many quantities and order values stand in the details because they could not be read."""
        is_amount = (self._kind == _Kind.QUANTITY) | (self._kind == _Kind.ORDER_VALUE)
        is_unread = is_amount & self._lines.is_said[self._code] & ~self._is_readable
        return pa.array(np.bincount(self._row[is_unread], minlength=self._count), pa.int32())


def _flags(values: pa.Array) -> _Flags:
    flags: _Flags = values.to_numpy(zero_copy_only=False)
    return flags


def _offsets(counts: _Ints) -> pa.Array:
    return pa.array(np.r_[0, np.cumsum(counts)], pa.int32())


def _lists(row: _Ints, rows: int, values: pa.Array) -> pa.Array:
    """Return the values as one list per row; `row` says for each, rising, where it belongs."""
    return pa.ListArray.from_arrays(_offsets(np.bincount(row, minlength=rows)), values)


def _spread(values: pa.Array, rows: _Ints, length: int) -> pa.Array:
    """Return the values in these rows of a column of that length, NULL in its other rows."""
    places = np.full(length, -1, np.int64)
    places[rows] = np.arange(len(rows))
    return values.take(pa.array(places, mask=places < 0))
