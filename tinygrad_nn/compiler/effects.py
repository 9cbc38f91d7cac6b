"""What a step does to the world outside, told by the names in its code: a replay would not do it."""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import re
import sys
from types import CodeType, ModuleType
from typing import Any

from tinygrad_nn.compiler.ir import code_line

__all__ = ["effect_named", "globals_of", "line_that_names", "names_of"]

# By module: the names that read or change something outside ("" for all that it has), and what they do.
_EFFECTS = {
    "builtins": ("print input open", "prints, asks for input or opens a file"),
    "time": ("time time_ns perf_counter perf_counter_ns monotonic monotonic_ns process_time ctime", "reads the clock"),
    "datetime": ("now today utcnow", "reads the clock"),
    "os": ("environ getenv urandom system write", "reads or changes the environment"),
    "sys": ("stdout stderr stdin", "writes to the terminal"),
    "logging": ("", "logs"),
    "threading": ("Thread Timer", "starts a thread"),
    "concurrent.futures.thread": ("", "works in other threads"),
    **dict.fromkeys(("random", "secrets", "uuid"), ("", "draws random numbers")),
    **dict.fromkeys(("socket", "subprocess"), ("", "does something outside of this program")),
}
# Methods of files, sockets, queues, loggers and databases.
_METHODS = {
    "write", "writelines", "writerow", "writerows", "write_text", "write_bytes", "send", "sendall", "sendto",
    "put_nowait", "execute", "executemany", "submit", "apply_async", "run_in_executor",
}  # fmt: skip
_OF_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"}


@functools.lru_cache(4096)
def names_of(code: CodeType) -> frozenset[str]:
    """The globals and attributes that a function names, functions within it included."""
    inner = [names_of(c) for c in code.co_consts if isinstance(c, CodeType)]
    return frozenset(code.co_names).union(*inner)


@functools.lru_cache(4096)
def globals_of(code: CodeType) -> frozenset[str]:
    """Those of its names that are globals, as its instructions tell: there may be no source, or only its first line."""
    inner = [globals_of(c) for c in code.co_consts if isinstance(c, CodeType)]
    own = {of.argval for of in dis.get_instructions(code) if of.opname in _OF_GLOBALS}
    return frozenset(own).union(*inner)


def effect_named(code: CodeType, known: dict[str, Any]) -> str:
    """What a function does outside, with the line; '' if it names nothing of the kind.  `known` are its globals."""
    names = names_of(code)
    if {"type", "ndarray"} <= names:
        return (
            f"the step asks for the type of an array{line_that_names([code], 'ndarray')}, which is another one while "
            "it is recorded: use isinstance"
        )
    for name in sorted(names):
        what = _effect_of(name, names, known)
        if what:
            return (
                f"the step {what}{line_that_names([code], name)}, and a replay would not: do it outside and pass what "
                "it gives as an argument, or mark it with tn.at_each_replay"
            )
    return ""


def _effect_of(name: str, names: frozenset[str], known: dict[str, Any]) -> str:
    if name in _METHODS and name not in known:
        return "does something outside of this program"
    found = known.get(name, getattr(builtins, name, None))
    for module, (which, what) in _EFFECTS.items():
        if found is sys.modules.get(module) and isinstance(found, ModuleType):
            return what if not which or not names.isdisjoint(which.split()) else ""
        home = getattr(found, "__module__", "") or ""
        if home.lstrip("_") in (module, "io") and callable(found) and (name in which.split() or not which):
            return what
        if home == module == "datetime" and not names.isdisjoint(which.split()):
            return what
    return "logs" if type(found).__module__ == "logging" else ""


def line_that_names(codes: list[CodeType], name: str) -> str:
    """The line of code in which a name stands, for messages."""
    for code in codes:
        try:
            lines, start = inspect.getsourcelines(code)
        except (OSError, TypeError):
            continue
        word = re.compile(rf"\b{re.escape(name)}\b(?!\s*:)")
        found = [(number, text) for number, text in enumerate(lines, start) if word.search(text)]
        found.sort(key=lambda line: line[1].split()[0] in ("def", "global", "nonlocal", "class"))
        if found:
            return f" ({code_line((code.co_filename, found[0][0]))})"
    return ""
