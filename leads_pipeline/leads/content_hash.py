"""The hash that tells whether a lead's content changed.

It is over the source fields as the API means them. So it stays the same whatever blank form, field order, answer
or position they come in, whether the schema already knows a field or keeps it in `extra`, and however the columns
are cleaned. Changing anything here makes every stored lead look changed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.cleaning import together
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
    pieces = together(_pieces, {name: known[name] for name in ordered}, _heads(ordered, len(unknown)))
    hashes = _hashes(pc.binary_join_element_wise(*pieces.values(), "")) if pieces else [_sha256(b"")] * len(unknown)
    with_others = [row for row, others in enumerate(unknown) if others]
    chosen = pa.array(with_others, pa.int64())
    for row, own in zip(with_others, _rows([column.take(chosen) for column in pieces.values()]), strict=True):
        others = [_piece(name, text) for name, text in unknown[row].items()]
        hashes[row] = _sha256("".join(sorted([*own, *others])).encode())
    return pa.array(hashes, TEXT)


def _rows(columns: Sequence[pa.Array]) -> Iterator[tuple[str, ...]]:
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _heads(names: Sequence[str], rows: int) -> dict[str, pa.Array]:
    return {name: pa.repeat(pa.scalar(_head(name), TEXT), rows) for name in names}


def _pieces(texts: pa.Array, heads: pa.Array) -> pa.Array:
    lengths = pc.binary_length(texts).cast(TEXT)
    return pc.fill_null(pc.binary_join_element_wise(heads, lengths, ":", texts, ";", ""), "")


def _hashes(contents: pa.Array) -> list[str]:
    """Return the hash of each text, of its bytes where they lie: to make Python texts of them takes as long again."""
    _, offsets, data = contents.buffers()
    ends = np.frombuffer(offsets, np.int32, len(contents) + 1, contents.offset * 4).tolist()
    content = memoryview(data)
    return [_sha256(content[start:end]) for start, end in pairwise(ends)]


def _sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _piece(name: str, text: str) -> str:
    return f"{_head(name)}{len(text.encode())}:{text};"


def _head(name: str) -> str:
    return f"{len(name.encode())}:{name}="
