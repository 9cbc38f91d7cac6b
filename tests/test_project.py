"""The project as files: what lies where, what a wheel carries, and what is promised about the set-up."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
PROJECT = tomllib.loads(PYPROJECT.read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def project_files() -> list[Path]:
    """The files git keeps or would keep, relative to the top."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git clone: no telling the project's files from others")
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True).stdout.decode().split("\0")
    return [Path(name) for name in names if name and (ROOT / name).exists()]


def test_top_level_holds_only_what_the_house_allows():
    allowed = {"pyproject.toml", "README.md", "SECURITY.md", "LICENSE", "tinygrad_nn", "tests", "examples", "docs"}
    allowed |= {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"}
    top = {path.parts[0] for path in project_files()}
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_every_extra_has_its_reason_above_it():
    lines = PYPROJECT.read_text("utf-8").splitlines()
    for extra in EXTRAS:
        (at,) = (i for i, line in enumerate(lines) if re.match(rf"{extra} = \[", line))
        assert lines[at - 1].startswith("# "), f"extra {extra!r} has no reason"


def test_extras_refer_to_extras_that_exist():
    for requirement in (requirement for extra in EXTRAS.values() for requirement in extra):
        if named := re.match(r"tinygrad_nn\[(.*)\]", requirement):
            assert set(named[1].split(",")) <= set(EXTRAS)


def test_graphviz_pure_is_asked_for_only_where_it_has_wheels():
    from packaging.requirements import Requirement

    layouts = [Requirement(line) for line in PROJECT["project"]["dependencies"] if "graphviz-pure" in line]

    def asked_for(system, machine):
        platform = {"sys_platform": system, "platform_machine": machine}
        return sum(layout.marker.evaluate(platform) for layout in layouts)

    for system, machine in [
        ("linux", "x86_64"), ("linux", "aarch64"),
        ("darwin", "x86_64"), ("darwin", "arm64"),
        ("win32", "AMD64"), ("win32", "ARM64"),
    ]:  # fmt: skip
        assert asked_for(system, machine) == 1, (system, machine)
    for system, machine in [
        ("linux", "i686"), ("linux", "armv7l"), ("linux", "riscv64"), ("linux", "ppc64le"), ("linux", "s390x"),
        ("win32", "x86"), ("freebsd14", "amd64"), ("emscripten", "wasm32"), ("android", "aarch64"),
    ]:  # fmt: skip
        assert asked_for(system, machine) == 0, (system, machine)


def test_types_are_announced():
    assert (ROOT / "tinygrad_nn" / "py.typed").exists()


def test_no_module_hides_one_of_pythons():
    """`python3 tinygrad_nn` puts the package's folder on the search path, before the standard library."""
    modules = {path.stem for path in (ROOT / "tinygrad_nn").iterdir() if path.suffix in ("", ".py")}
    assert not modules & set(sys.stdlib_module_names)


def test_setting_up_needs_nothing_but_python():
    for name in ("__main__.py", "_bootstrap.py", "command_line.py"):
        for node in ast.walk(ast.parse((ROOT / "tinygrad_nn" / name).read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= set(sys.stdlib_module_names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module in {*sys.stdlib_module_names, "_bootstrap", "command_line", "tinygrad_nn.cli"}


@pytest.mark.parametrize("command", ["python3 tinygrad_nn demo", "python3 tinygrad_nn test"])
def test_readme_and_ci_run_the_same_two_commands(command):
    for name in ("README.md", ".ci/run"):
        assert command in (ROOT / name).read_text("utf-8"), f"{name} does not run `{command}`"


def test_wheel_carries_all_of_the_package_and_the_examples(tmp_path, monkeypatch):
    build = pytest.importorskip("hatchling.build", reason="extra `test` is not installed")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        carried = set(wheel.namelist())
    files = project_files()
    package = {path.as_posix() for path in files if path.parts[0] == "tinygrad_nn"}
    examples = {f"tinygrad_nn/_{path.as_posix()}" for path in files if path.parts[0] == "examples"}
    assert {name for name in carried if ".dist-info/" not in name} == package | examples
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in carried)
