"""YAML into plain values with the line of each key and value, and all of its mistakes.

Plain scalars are read as JSON reads them (numbers, true, false, null) and as text else: YAML 1.1's dates,
octal and base-60 numbers and its `no` for false have surprised too many. PyYAML takes duplicate keys
silently; here they are mistakes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Any

import yaml

from ingestor.errors import Problem
from ingestor.settings.places import Layer, Loc, Place
from ingestor.settings.wording import KEY_LOOK, dotted, quoted

FILE_BYTES = 262_144
NODES = 20_000
DEPTH = 40
NUMBER_CHARACTERS = 40
_TAG = "tag:yaml.org,2002:"
_DROPPED = object()

_SYNTAX = (
    ("character '\\t'", "a tab; indent with spaces"),
    (
        "mapping values are not allowed here",
        'a colon where none can be; put a text with ": " in it in quotes',
    ),
    ("could not find expected ':'", "a line without a colon; write `key: value`"),
    ("expected <block end>", "indented differently from the lines above; line up keys of one mapping"),
    ("expected a single document", "a second document; keep one, without `---`"),
    (
        "found undefined alias",
        "an alias (`*name`) without its anchor; a text that starts with * needs quotes",
    ),
    ("found unexpected end of stream", "a text whose closing quote is missing; close it"),
    ("expected ',' or ']'", "a list whose closing bracket or a comma is missing"),
    ("expected ',' or '}'", "a mapping whose closing brace or a comma is missing"),
    ("cannot start any token", "a character that no text can start with; put the text in quotes"),
)


class _Composer(yaml.SafeLoader):
    """PyYAML's parser with the scalars of JSON."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's way


for _name, _regexp, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", list("-0123456789")),
    ("float", r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", list("-0123456789")),
    ("merge", r"^<<$", ["<"]),
):
    _Composer.add_implicit_resolver(_TAG + _name, re.compile(_regexp), _first)


def read_yaml(raw: bytes, file: str) -> tuple[Layer | None, list[Problem]]:
    """The settings in a file's bytes, as far as they can be read, and all problems. None: not at all."""
    layer = Layer(origin=Place(file, 1))
    data, problems = _read(raw, file, layer)
    if data is None:
        return layer, problems
    if data is _DROPPED or not isinstance(data, dict):
        if data is not _DROPPED:
            said = f"the settings must be `key: value` lines, not {quoted(data)}"
            problems.append(layer.origin.problem(said))
        return None, problems
    layer.data = data
    return layer, problems


def read_value(text: str) -> Any:
    """One value written as YAML or JSON text. Raises `ValueError` when it has any mistake."""
    data, problems = _read(text.encode("utf-8", "replace"), "", Layer(origin=Place("", 1)))
    if problems:
        raise ValueError(problems[0].message)
    return data


def _read(raw: bytes, file: str, layer: Layer) -> tuple[Any, list[Problem]]:
    text, problems = _decode(raw, file)
    if text is None:
        return _DROPPED, problems
    problems += _keys_in(text, file)
    try:
        node = _compose(text, file)
    except _Unreadable as error:
        return _DROPPED, [*problems, error.problem]
    if node is None:
        return None, problems
    walk = _Walk(text, file, layer)
    try:
        data = walk.read(node, (), 0)
    except _Unreadable as error:
        return _DROPPED, [*problems, *walk.problems, error.problem]
    return data, problems + walk.problems


class _Unreadable(Exception):
    """Nothing that follows this problem means anything."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _decode(raw: bytes, file: str) -> tuple[str | None, list[Problem]]:
    if len(raw) > FILE_BYTES:
        return None, [Place(file).problem(f"is larger than {FILE_BYTES} bytes; this is no settings file")]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return None, [Place(file, line).problem("a character that is not UTF-8; save the file as UTF-8")]


def _keys_in(text: str, file: str) -> list[Problem]:
    """API keys anywhere in the file, comments included."""
    message = (
        "this looks like an API key, which never belongs in here; put it in AUROUS_API_KEY or in a file of "
        "its own, named by api.key_file (and replace the key if others can read this file)"
    )
    found = dict.fromkeys(text.count("\n", 0, match.start()) + 1 for match in KEY_LOOK.finditer(text))
    return [Place(file, line).problem(message) for line in found]


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = _Composer(text).get_single_node()
        return node
    except yaml.reader.ReaderError as error:
        line, said = text.count("\n", 0, error.position) + 1, "a control character; remove it"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, said = mark.line + 1 if mark else 1, _syntax(error)
    except (RecursionError, ValueError, OverflowError, yaml.YAMLError):
        # ValueError and OverflowError: PyYAML's scanner on escapes such as "\UFFFFFFFF".
        line, said = 1, "nested too deeply, or an escape that is no character; write plain values"
    raise _Unreadable(Place(file, line).problem(f"is not valid YAML: {said}"))


def _syntax(error: yaml.MarkedYAMLError) -> str:
    for part in (error.problem, error.context):
        for words, said in _SYNTAX:
            if part and words in part:
                return said
    return f"{error.problem or error.context}; look for a missing quote, colon or bracket"


class _Walk:
    """One pass over the node graph: builds the data and notes the places."""

    def __init__(self, text: str, file: str, layer: Layer) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._layer = layer
        self._ends = [at for at, letter in enumerate(text) if letter == "\n"]
        self._visits = 0

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, bisect_right(self._ends, node.start_mark.index - 1) + 1)

    def _refuse(self, node: yaml.Node, loc: Loc, message: str) -> object:
        name = dotted(loc)
        self.problems.append(self._place(node).problem(f"{name}: {message}" if name else message))
        return _DROPPED

    def read(self, node: yaml.Node, loc: Loc, depth: int) -> Any:
        """The node's value; `_DROPPED` when it has none that can be used."""
        self._count(node, loc, depth)
        self._layer.values[loc] = self._place(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, loc)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            return self._refuse(node, loc, f"the tag {quoted(node.tag)} is not understood here; leave it out")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc, depth)
        read = [self.read(item, (*loc, index), depth + 1) for index, item in enumerate(node.value)]
        return [None if item is _DROPPED else item for item in read]

    def _count(self, node: yaml.Node, loc: Loc, depth: int) -> None:
        """Aliases count each time they are met, so that a few lines cannot stand for millions of values."""
        self._visits += 1
        if self._visits > NODES or depth > DEPTH:
            said = "is nested too deeply" if depth > DEPTH else f"has more than {NODES} values, aliases counted"
            raise _Unreadable(self._place(node).problem(f"{dotted(loc)}: {said}; write it plainly"))

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind in ("str", "merge"):
            return text
        if kind in ("int", "float") and len(text) > NUMBER_CHARACTERS:
            return self._refuse(node, loc, f"a number of {len(text)} characters; put it in quotes if it is text")
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind in ("int", "float"):
                return int(text) if kind == "int" else float(text)
        except (KeyError, ValueError):
            pass
        return self._refuse(node, loc, f"the tag {quoted(node.tag)} is not understood here; leave it out")

    def _mapping(
        self, node: yaml.MappingNode, loc: Loc, depth: int, taken: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """Own keys, then what `<<` brings; own keys and those `taken` by an outer mapping win."""
        data: dict[str, Any] = {}
        merges = [pair for pair in node.value if pair[0].tag == _TAG + "merge"]
        own = [pair for pair in node.value if pair[0].tag != _TAG + "merge"]
        names = frozenset(key.value for key, _ in own if isinstance(key, yaml.ScalarNode))
        for key, value in own:
            if not (isinstance(key, yaml.ScalarNode) and key.value in taken):
                self._entry(data, key, value, loc, depth)
        if len(merges) > 1:
            self._refuse(merges[1][0], (*loc, "<<"), f"is written twice; the first is on {self._place(merges[0][0])}")
        for key, value in merges[:1]:
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                data.update(self._brought(key, source, loc, depth, taken | names))
        return data

    def _brought(
        self, key: yaml.Node, source: yaml.Node, loc: Loc, depth: int, taken: frozenset[str]
    ) -> dict[str, Any]:
        self._count(source, loc, depth)
        if not isinstance(source, yaml.MappingNode):
            self._refuse(key, (*loc, "<<"), "can only bring in a mapping; write `<<: *name`")
            return {}
        return self._mapping(source, loc, depth + 1, taken)

    def _entry(self, data: dict[str, Any], key: yaml.Node, value: yaml.Node, loc: Loc, depth: int) -> None:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name is None or key.tag != _TAG + "str":
            shown = "a list or a mapping" if name is None else quoted(name)
            self._refuse(key, loc, f"{shown} cannot be a key; put it in quotes if it is meant as text")
            return
        inner = (*loc, name)
        if inner in self._layer.keys:
            self._refuse(
                key,
                inner,
                f"is written twice; the first is on {self._layer.keys[inner]}; keep one of the two",
            )
            return
        self._layer.keys[inner] = self._place(key)
        read = self.read(value, inner, depth + 1)
        if read is not _DROPPED:
            data[name] = read
