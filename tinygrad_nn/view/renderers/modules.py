"""The modules of the living page joined into one script, as a page loads nothing."""

from __future__ import annotations

import functools
import re
from pathlib import Path

__all__ = ["FOLDER", "joined", "without_comments"]

FOLDER = Path(__file__).parent.parent / "page"
_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w./]+)\.mjs";\n?', re.M)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.M)
_EXPORTS = re.compile(r"export\s*\{([^}]*)\};?")  # of a vendored module, at its end
_PIECE = re.compile(  # a text, the part of a template up to its next expression, a pattern, or code up to one of these
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`|(?<=[(,=!&|?:\[] )/(?:[^/\\\n]|\\.)+/|"""
    r"(?<=[(,=!&|?:\[])/(?:[^/\\\n]|\\.)+/|[^\"'`/{}]+|[{}/]"
)
_IN_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*(`|\$\{)", re.S)
_AROUND = re.compile(r" ?(!==|=>|[{}()=;,<>*:?&|]) ?| ([+-]) (?![+-])")  # signs that need no space; a - -b needs it
_ASKED = re.compile(r'\bcarryOut\("(\w+)"')  # an operation that a module itself needs
_COMMENT = re.compile(r"^\s*(?:/\*\*.*?\*/|//[^\n]*)\n", re.M | re.S)


@functools.cache
def joined(entry: str, operations: frozenset[str] | None = None, without: frozenset[str] = frozenset()) -> str:
    """A module with all that it imports, each in a function of its own, which returns what it exports.

    Comments and indentation stay in the files.  With `operations`, modules that hold none of these are left out, and
    so are those of `without`.
    """
    order: list[str] = []
    _visit(entry, order)
    if operations is not None:
        operations |= {name for module in set(order) - without for name in _ASKED.findall(_text(module))}
    unused = {name for name in order if operations is not None and not _is_used(name, order, operations)} | without
    return "\n".join(_empty(name) if name in unused else _wrapped(name) for name in order)


def _is_used(name: str, order: list[str], operations: frozenset[str]) -> bool:
    """Whether a module is more than a table `export const name = {...}` of operations that are none of these."""
    table = re.search(rf"^export const {name} = {{(.*?)^}};", _text(name), re.M | re.S)
    if table is None or any(_names(found) != [name] for other in order for found in _imports(other, name)):
        return True
    return bool(operations & set(re.findall(r"(?<![.\w])\w+", table[1])))  # not Math.exp


def _imports(name: str, of: str) -> list[re.Match[str]]:
    return [found for found in _IMPORT.finditer(_text(name)) if found[2] == of]


def _names(found: re.Match[str]) -> list[str]:
    return [part.strip() for part in found[1].split(",") if part.strip()]


def _empty(name: str) -> str:
    table = f" {name}: {{}} " if name.isalpha() else ""
    return f"const {_variable(name)} = {{{table}}};"


def _visit(name: str, order: list[str]) -> None:
    """The names of modules, each after those that it imports."""
    for found in _IMPORT.finditer(_text(name)):
        if found[2] not in order:
            _visit(found[2], order)
    if name not in order:
        order.append(name)


def _text(name: str) -> str:
    return (FOLDER / f"{name}.mjs").read_text("utf-8")


def _wrapped(name: str) -> str:
    text = _text(name)
    if not name.startswith("vendor/"):
        text = without_comments(text)
    exports = _EXPORT.findall(text)
    given = ", ".join(exports)
    for found in _EXPORTS.finditer(text):
        given = ", ".join(_renamed(part, "{1}: {0}") for part in found[1].split(","))
    body = _EXPORTS.sub("", _EXPORT.sub("", _IMPORT.sub(_import, text)))
    return f"const {_variable(name)} = (() => {{\n{body.strip()}\nreturn {{ {given} }};\n}})();"


def without_comments(text: str) -> str:
    """A script without comments and indentation."""
    text = re.sub(r"(?<=[;{},]) +// [^\"'`\n]*$", "", _COMMENT.sub("", text), flags=re.M)
    text = re.sub(r"^[ \t]+", "", text, flags=re.M)
    return re.sub(r"(?<=[({\[,])\n", "", _squeezed(text))


def _tight(code: str) -> str:
    """Code, in which no text stands, without spaces and line ends that nothing needs."""
    code = _AROUND.sub(lambda found: found[1] or found[2], code)
    return re.sub(r"(?<=[;{}])\n+(?!\n*(?:export|import)\b)|\n+(?=\n)", "", code).replace(";}", "}")


def _squeezed(text: str) -> str:
    """A script without the spaces that nothing needs: those in texts, templates and patterns stay."""
    found, at, depths, code = [], 0, [0], ""
    while at < len(text):
        piece = _PIECE.match(text, at)
        assert piece is not None, text[at : at + 40]
        at, part = piece.end(), piece[0]
        if part == "{":
            depths[-1] += 1
        elif part == "}" and depths[-1] == 0 and len(depths) > 1:  # the end of an expression in a template
            depths.pop()
            template = _IN_TEMPLATE.match(text, at)
            assert template is not None
            found += [_tight(code), part + template[0]]
            at, code = template.end(), ""
            depths += [0] * (template[1] != "`")
            continue
        elif part == "}":
            depths[-1] -= 1
        elif part == "`":
            template = _IN_TEMPLATE.match(text, at)
            assert template is not None
            found += [_tight(code), part + template[0]]
            at, code = template.end(), ""
            depths += [0] * (template[1] != "`")
            continue
        if len(part) > 1 and part[0] in "\"'/":
            found += [_tight(code), part]
            code = ""
        else:
            code += part
    return "".join([*found, _tight(code)])


def _import(found: re.Match[str]) -> str:
    names = ", ".join(_renamed(part, "{0}: {1}") for part in found[1].split(",") if part.strip())
    return f"const {{ {names} }} = {_variable(found[2])};\n"


def _renamed(part: str, form: str) -> str:
    name, _, alias = part.strip().partition(" as ")
    return form.format(name, alias) if alias else name


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name)
