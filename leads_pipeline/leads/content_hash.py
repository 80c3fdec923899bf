"""The hash that tells whether a lead's content changed.

It is over the source fields as the API means them. So it stays the same whatever blank form, field order, answer
or position they come in, whether the schema already knows a field or keeps it in `extra`, and however the columns
are cleaned. Changing anything here makes every stored lead look changed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import TEXT


def content_hashes(known: Mapping[str, pa.Array], unknown: Sequence[Mapping[str, str]]) -> pa.Array:
    """Return the SHA-256 (hex) of each lead's fields.

    `known` holds for each known field its trimmed texts, NULL where blank; `unknown` for each lead the trimmed
    texts of its other fields that are not blank. The hash is over the sorted pieces
    `<length of name>:<name>=<length of text>:<text>;` of the fields that are not blank, in UTF-8 with lengths in
    bytes.
    """
    if not unknown:
        return pa.array([], TEXT)
    ordered = sorted((name for name in known if known[name].null_count < len(unknown)), key=_head)
    pieces = [_pieces(name, known[name]) for name in ordered]
    joined = pc.binary_join_element_wise(*pieces, "").to_pylist()
    with_others = [row for row, others in enumerate(unknown) if others]
    chosen = pa.array(with_others, pa.int64())
    for row, own in zip(with_others, _rows([column.take(chosen) for column in pieces]), strict=True):
        others = [_piece(name, text) for name, text in unknown[row].items()]
        joined[row] = "".join(sorted([*own, *others]))
    return pa.array([hashlib.sha256(content.encode()).hexdigest() for content in joined], TEXT)


def _rows(columns: Sequence[pa.Array]) -> Iterator[tuple[str, ...]]:
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _pieces(name: str, texts: pa.Array) -> pa.Array:
    lengths = pc.binary_length(texts).cast(TEXT)
    return pc.fill_null(pc.binary_join_element_wise(_head(name), lengths, ":", texts, ";", ""), "")


def _piece(name: str, text: str) -> str:
    return f"{_head(name)}{len(text.encode())}:{text};"


def _head(name: str) -> str:
    return f"{len(name.encode())}:{name}="
