"""The hash that tells whether a lead's content changed.

It is over the source fields as the API means them. So it stays the same whatever blank form, field order, answer
or position they come in, whether the schema already knows a field or keeps it in `extra`, and however the columns
are cleaned. Changing anything here makes every stored lead look changed.
"""

import hashlib
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.schema import TEXT


def content_hashes(known: Mapping[str, pa.Array], unknown: Mapping[int, Mapping[str, str]]) -> pa.Array:
    """Return the SHA-256 (hex) of each lead's fields.

    `known` holds for each known field its trimmed texts, NULL where blank; `unknown` the trimmed texts of the other
    fields that are not blank, by row, for those that have any. The hash is over the sorted pieces
    `<length of name>:<name>=<length of text>:<text>;` of the fields that are not blank, in UTF-8 with lengths in
    bytes.
    """
    ordered = sorted(known, key=_head)
    parts = [part for name in ordered for part in (_starts(name, known[name]), known[name])]
    # Each piece but the last ends where the next one starts, so that texts are copied once.
    hashes = _hashes(pc.binary_join_element_wise(*parts, ";", "", null_handling="skip"))
    for row, others in unknown.items():
        own = {name: text for name in ordered if (text := known[name][row].as_py()) is not None}
        hashes[row] = _sha256("".join(sorted(_piece(name, text) for name, text in {**own, **others}.items())).encode())
    return pa.array(hashes, TEXT)


def _starts(name: str, texts: pa.Array) -> pa.Array:
    """Return what stands before each of the field's texts, behind the end of the piece before."""
    lengths = pc.binary_length(texts).dictionary_encode()
    return pa.array([f";{_head(name)}{length}:" for length in lengths.dictionary.to_pylist()], TEXT).take(
        lengths.indices
    )


def _hashes(contents: pa.Array) -> list[str]:
    """Return the hash of each text but for its first byte.

    It is of the bytes where they lie: to make Python texts of them takes as long again.
    """
    if not len(contents):
        return []
    _, offsets, data = contents.buffers()
    ends = np.frombuffer(offsets, np.int32, len(contents) + 1, contents.offset * 4).tolist()
    content = memoryview(data)
    return [_sha256(content[start + 1 : end]) for start, end in pairwise(ends)]


def _sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _piece(name: str, text: str) -> str:
    return f"{_head(name)}{len(text.encode())}:{text};"


def _head(name: str) -> str:
    return f"{len(name.encode())}:{name}="
