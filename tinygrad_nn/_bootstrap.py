"""Sets a bare clone up, so that one command on a fresh machine runs the main job and one runs the tests.

The first run makes `.venv` in the clone and installs there (many systems refuse to install beside their own Python);
later runs start at once. Only the standard library is used here, and of the package `command_line`, which does the
same: what is not a command is refused before anything is installed.
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from command_line import make_parser  # type: ignore[import-not-found]  # beside this file, which Python runs from

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "tinygrad_nn.json"  # what was installed; without it, or with another one, the next run installs again


def main() -> int:
    """Set up what the command line asks for, then become that command in `.venv`."""
    arguments = sys.argv[1:]
    pyproject = ROOT / "pyproject.toml"
    if not pyproject.exists():
        raise SystemExit(f"{ROOT} is no clone of the project; from an installed package use `tinygrad-nn`.")
    version = tomllib.loads(pyproject.read_text("utf-8"))["project"]["version"]
    if arguments[:1] == ["test"] and arguments[1:] not in (["-h"], ["--help"]):
        set_up("test")
        os.chdir(ROOT)
        return run("-m", "pytest", *(arguments[1:] or ["-n", "auto"]))  # whole suite: on all cores; a selection: plain
    parser = make_parser(version, clone=True)
    command = parser.parse_args(arguments).command
    if command is None:
        parser.print_help()
        print("\nThe first command makes the folder .venv in the clone and installs there what it needs.")
        return 0
    if command == "docs":
        set_up("docs")
        return run(str(ROOT / "docs" / "site" / "build.py"), *arguments[1:])
    set_up("")
    return run("-P", "-m", "tinygrad_nn", *arguments)  # -P: take nothing from the current folder


def set_up(extra: str) -> None:
    """Make `.venv` hold the package, with `extra` if one is named; return at once where it does."""
    python = [sys.base_prefix, *sys.version_info[:2]]
    wanted = {"clone": str(ROOT), "python": python, "pyproject": (ROOT / "pyproject.toml").read_text("utf-8")}
    try:
        installed = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        installed = {}
    extras = installed.pop("extras", [])
    if installed == wanted and extra in extras and PYTHON.exists():
        return

    same_place = all(installed.get(key) == wanted[key] for key in ("clone", "python")) and PYTHON.exists()
    if not same_place:
        extras = []
        # Emptied only if it is ours: one made by hand, or interrupted, is completed instead.
        make_venv(clear=bool(installed))
    STAMP.unlink(missing_ok=True)
    extras = sorted({*extras, "", extra})
    names = ",".join(extras[1:])
    step(
        f"installing tinygrad_nn{f'[{names}]' if names else ''} and what it needs into .venv",
        # --prefer-binary: an older wheel rather than a newer source package, as a fresh machine has no compiler
        [*pip(), "install", "--prefer-binary", "--no-input", "--disable-pip-version-check"]
        + ["--editable", f"{ROOT}[{names}]" if names else str(ROOT), "pip"],
        "The first time, pip needs a connection to the package index. "
        f"If it has one: delete {VENV} and run the same command again.",
    )
    STAMP.write_text(json.dumps({**wanted, "extras": extras}), "utf-8")


def make_venv(clear: bool) -> None:
    """Make `.venv`, with a pip of its own where this Python can give it one."""
    if not os.access(ROOT, os.W_OK):
        raise SystemExit(f"cannot write to {ROOT}: copy the clone to a folder of your own and run the command there.")
    # Debian and Ubuntu keep ensurepip apart, in python3-venv. Without it the system's pip can still reach into .venv.
    with_pip = importlib.util.find_spec("ensurepip") is not None
    if not with_pip and system_pip() < (22, 3):  # the first with --python
        raise SystemExit(
            f"this Python ({sys.executable}) lacks ensurepip, with which virtual environments are made.\n"
            "Debian, Ubuntu: sudo apt-get install python3-venv\n"
            "Elsewhere: install Python from https://www.python.org/downloads/\n"
            "Then run the same command again."
        )
    step(
        f"making .venv with Python {sys.version.split()[0]}",
        [sys.executable, "-m", "venv"] + ["--clear"] * clear + ["--without-pip"] * (not with_pip) + [str(VENV)],
        f"Debian, Ubuntu: sudo apt-get install python3-venv\nElsewhere: delete {VENV} and run the same command again.",
    )


def system_pip() -> tuple[int, int]:
    """Return the version of the pip that belongs to this Python, (0, 0) without one."""
    try:
        major, minor, *_ = importlib.metadata.version("pip").split(".")
    except importlib.metadata.PackageNotFoundError:
        return 0, 0
    return int(major), int(minor)


def pip() -> list[str]:
    """Return the command that runs pip on `.venv`."""
    if any(VENV.glob("lib/*/site-packages/pip")) or (VENV / "Lib/site-packages/pip").exists():
        return [str(PYTHON), "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", str(PYTHON)]


def step(what: str, command: list[str], advice: str) -> None:
    """Run `command` quietly with one line of progress; if it fails, show what it printed and what to do."""
    print(f"{what} ... ", end="", flush=True, file=sys.stderr)
    start = time.monotonic()
    # A user's habit of `pip install --user` is refused inside a virtual environment, and a PYTHONPATH could hide it.
    environment = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        print("failed", file=sys.stderr)
        print(done.stdout.decode(errors="replace"), file=sys.stderr)
        raise SystemExit(f"failed: {what}.\n{advice}")
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)


def run(*arguments: str) -> int:
    """Run `.venv`'s Python with `arguments` in place of this process, and return its exit status."""
    sys.stdout.flush()
    command = [str(PYTHON), *arguments]
    if os.name == "posix":
        os.execv(command[0], command)
    try:  # on Windows execv would hand the terminal back while the command still runs
        return subprocess.call(command)
    except KeyboardInterrupt:
        return 130
