"""The page's JavaScript as text: what a reader, and whoever joins the modules into one, may rely on."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import tinygrad_nn as tn
from tinygrad_nn.view.renderers import modules

PAGE = Path(tn.__file__).parent / "view" / "page"
MODULES = sorted(PAGE.glob("*.mjs"))
ENGINE_LINES = 2_000  # nothing may be added without need
TOP = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.M)
IMPORT = re.compile(r"^import \{([^}]*)\} from \"\./([\w/]+\.mjs)\";$", re.M)


def engine():
    """The modules that `engine.mjs` imports, and itself."""
    found, stack = set(), ["engine.mjs"]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack += [module for _, module in names_imported((PAGE / name).read_text("utf-8"))]
    return [PAGE / name for name in sorted(found)]


def names_imported(text):
    return [
        (name.split(" as ")[0].strip(), module)
        for names, module in IMPORT.findall(text)
        for name in names.split(",")
        if name.strip()
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_opens_with_a_sentence_and_uses_what_it_imports(path):
    text = path.read_text("utf-8")
    lines = text.splitlines()
    assert re.match(r"// [A-Z].*[.;,:\w]$", lines[0]), "say in a sentence why it exists"
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 140
    assert "import(" not in text
    for name, module in names_imported(text):
        assert (PAGE / module).exists()
        assert module.startswith("vendor/") or re.search(
            rf"^export (?:function\*?|class|const) {name}\b", (PAGE / module).read_text("utf-8"), re.M
        ), name
        used = re.search(rf"\b{name} as (\w+)", text)
        assert len(re.findall(rf"\b{used[1] if used else name}\b", text)) > 1, f"{name} is not used"
    for name in TOP.findall(text):
        exported = re.search(rf"^export (?:function\*?|class|const) {name}\b", text, re.M)
        assert exported or len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is not used"


def test_functions_fit_on_a_screen():
    for path in MODULES:
        starts = [
            m.start()
            for m in re.finditer(
                r"^(?:  )?(?:export )?(?:get |static |\*)?[\w ]+\([^;]*\) \{$", path.read_text("utf-8"), re.M
            )
        ]
        text = path.read_text("utf-8")
        for start in starts:
            indent = len(text[start:]) - len(text[start:].lstrip(" "))
            end = text.index(f"\n{' ' * indent}}}", start)
            assert text.count("\n", start, end) <= 60, text[start : start + 60]


def test_no_circles():
    uses = {path.name: {module for _, module in names_imported(path.read_text("utf-8"))} for path in MODULES}

    def reached(name):
        found, stack = set(), list(uses[name])
        while stack:
            other = stack.pop()
            if other not in found:
                found.add(other)
                stack += uses.get(other, ())
        return found

    assert [name for name in uses if name in reached(name)] == []


def test_the_engine_knows_nothing_of_a_page_and_nobody_asks_other_hosts():
    for path in MODULES:
        text = path.read_text("utf-8")
        assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|eval|Function|innerHTML)\b", text), (
            path.name
        )
        if path in engine():
            assert not re.search(r"\b(document|window|globalThis)\b", text), path.name


def test_no_derivative_is_written_in_it():
    # the operations that exist in the page are operations of the tables; rules come as data
    text = "".join(path.read_text("utf-8") for path in MODULES)
    assert not re.search(r"vjp\s*:|derivative\s*:|backward\s*:", text)


def test_it_stays_short():
    assert sum(len(path.read_text("utf-8").splitlines()) for path in engine()) <= ENGINE_LINES


def test_what_is_vendored_is_what_the_lock_file_pins():
    record = json.loads((PAGE / "vendor" / "versions.json").read_text())
    lock = json.loads((Path(__file__).parent / "npm" / "package-lock.json").read_text())
    assert record["dagre"] == lock["packages"]["node_modules/@dagrejs/dagre"]["version"]
    for name, digest in record["sha256"].items():
        assert hashlib.sha256((PAGE / "vendor" / name).read_bytes()).hexdigest() == digest, "run: python docs/vendor.py"
    assert {"dagre.LICENSE", "dagre.mjs"} <= record["sha256"].keys()


def test_a_small_page_has_the_operations_that_its_own_modules_ask_for():
    """What a program has no use for is left out, but `descent.mjs` sums whatever the program does."""
    assert '"sum"' in (PAGE / "descent.mjs").read_text("utf-8")
    left_out = re.compile(r"\breductions\s*:\s*\{\s*\}")
    assert left_out.search(modules.joined("page", frozenset({"exp"}), frozenset({"descent"})))
    assert not left_out.search(modules.joined("page", frozenset({"exp"})))
