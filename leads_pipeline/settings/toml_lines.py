"""In which line of a TOML file each key stands; the standard library's reader tells only where its form is wrong.

The text must be valid TOML. Keys inside inline tables are not looked for: they stand where their table begins.
"""

import re
import tomllib
from collections.abc import Iterable

_NAME = r"""(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_ONE_NAME = re.compile(_NAME)
_NO_STRUCTURE = re.compile(
    r'''(?P<long>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5})|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|(?P<comment>\#[^\n]*)''',
    re.DOTALL,
)
_STRING = re.compile(r""""(?:\\.|[^"\\\n])*"|'[^'\n]*\'""")


class KeyLines:
    """The lines of a file's keys, counted from 1."""

    def __init__(self, text: str) -> None:
        self._lines = dict(reversed([*_keys(text)]))  # of a name that stands twice the first counts

    def of(self, *path: str) -> int:
        """Return the line of the key, or of the nearest table around it that stands in the file, else 1."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._lines:
                return self._lines[path[:end]]
        return 1


def _keys(text: str) -> Iterable[tuple[tuple[str, ...], int]]:
    table: tuple[str, ...] = ()
    depth = 0
    for number, line in enumerate(_NO_STRUCTURE.sub(_lines_only, text).split("\n"), 1):
        value = line
        if depth == 0:
            header, key = _HEADER.match(line), _KEY.match(line)
            if header:
                table = _names(header[1])
                yield from _prefixes((), table, number)
                continue
            if key:
                yield from _prefixes(table, _names(key[1]), number)
                value = line[key.end() :]
        bare = _STRING.sub("", value)
        depth += sum(bare.count(opening) for opening in "[{") - sum(bare.count(closing) for closing in "]}")


def _prefixes(table: tuple[str, ...], names: tuple[str, ...], number: int) -> Iterable[tuple[tuple[str, ...], int]]:
    for end in range(len(names), 0, -1):
        yield (*table, *names[:end]), number


def _lines_only(found: re.Match[str]) -> str:
    """Return what takes the place of a string or comment: nothing that looks like a key, and as many lines."""
    if found["comment"]:
        return ""
    return '""' + "\n" * found[0].count("\n") if found["long"] else found[0]


def _names(dotted: str) -> tuple[str, ...]:
    parts = (found[0] for found in _ONE_NAME.finditer(dotted))
    return tuple(str(tomllib.loads(f"name = {part}")["name"]) if part[0] in "\"'" else part for part in parts)
