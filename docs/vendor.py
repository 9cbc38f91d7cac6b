"""Renew what the living page vendors from npm: `python docs/vendor.py`, which needs npm; installing never does.

`tests/view/npm/package-lock.json` pins the versions with their hashes, which npm checks; a test compares the vendored
file with the hash in `vendor/versions.json`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "tests" / "view" / "npm"
VENDOR = ROOT / "tinygrad_nn" / "view" / "page" / "vendor"
FILES = {
    "dagre.mjs": "@dagrejs/dagre/dist/dagre.esm.js",
    "dagre.LICENSE": "@dagrejs/dagre/LICENSE",
    "dagre.LEGAL.txt": "@dagrejs/dagre/dist/dagre.esm.js.LEGAL.txt",
}


def renew() -> None:
    """Install what the lock file pins in a temporary folder, and copy what is vendored."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCK / name, folder)
        subprocess.run(["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit"], cwd=folder, check=True)
        versions = {}
        for name, source in FILES.items():
            content = (Path(folder) / "node_modules" / source).read_bytes()
            content = b"".join(line for line in content.splitlines(True) if not line.startswith(b"//# sourceMapping"))
            (VENDOR / name).write_bytes(content)
            versions[name] = hashlib.sha256(content).hexdigest()
    packages = json.loads((LOCK / "package-lock.json").read_text())["packages"]
    record = {"dagre": packages["node_modules/@dagrejs/dagre"]["version"], "sha256": versions}
    (VENDOR / "versions.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    renew()
