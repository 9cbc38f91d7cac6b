"""Files that are whole or not there: read at once, and written under another name, synced and renamed."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from tinygrad_nn.checkpoint.formats import FORMATS

__all__ = ["read_whole", "require_folder", "with_suffix", "write_whole"]


def with_suffix(path: str | os.PathLike) -> Path:
    """The path, ending in .safetensors if it has no suffix; ValueError for a suffix of another format."""
    path = Path(path)
    if not path.suffix:
        path = path.with_name(f"{path.name}.safetensors")
    if path.suffix not in FORMATS:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected {' or '.join(FORMATS)}")
    return path


def _regular(path: Path) -> os.stat_result | None:
    """What the system says about the file, None if there is none; OSError for a device, a pipe, a folder.

    A device may have no end, a pipe may wait for ever, and a new file in the place of either would take it away.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is no regular file but a folder, a device or a pipe; give the path of a file")
    return found


def require_folder(path: Path) -> None:
    """FileNotFoundError where the folder of a file to write is not there."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder} to write into, make it first", str(path))


def read_whole(path: Path) -> bytes:
    """All bytes of a regular file."""
    _regular(path)
    return path.read_bytes()


def write_whole(path: Path, data: bytes) -> None:
    """Write the file: the former one stays until the new one is whole.  It is as private as the former one."""
    place = path.resolve()  # a link stays a link
    former = _regular(place)
    require_folder(path)
    temporary = _beside(place)
    try:
        with open(temporary, "xb") as file:
            if former is not None:
                temporary.chmod(0o600)  # before anything is written
            file.write(data)
            if former is not None:
                _permit_as(former, temporary)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is in the folder, which is written on its own
        _sync_folder(place.parent)


def _sync_folder(path: Path) -> None:
    """Write a folder.

    Ctrl-C comes after calls, and a descriptor that a call has returned would be lost before it is kept: so it is opened
    into a list, and closed out of that, within one step of Python each.
    """
    opened: list[int] = []
    closing = map(os.close, opened)
    try:
        opened.extend(map(os.open, [path], [os.O_RDONLY]))
        os.fsync(opened[0])
    finally:
        [*closing]  # noqa: B018  no call: none that Ctrl-C could come after


def _beside(path: Path) -> Path:
    """A new name in the same folder, which is no longer where that of the file is as long as a system allows."""
    mark = f".{secrets.token_hex(4)}.tmp"
    name = os.fsencode(path.name)[: max(len(os.fsencode(path.name)) - len(mark) - 1, 32)]
    return path.with_name(f".{name.decode(errors='ignore')}{mark}")


def _permit_as(former: os.stat_result, path: Path) -> None:
    """Let those read and write the file who might the former one, and nobody else."""
    mode, mine = stat.S_IMODE(former.st_mode), path.stat()
    if hasattr(os, "chown") and (mine.st_uid, mine.st_gid) != (former.st_uid, former.st_gid):
        try:
            os.chown(path, former.st_uid, former.st_gid)
        except PermissionError:  # another group than the former one's, or another owner: neither gains by it
            mode &= 0o700
    os.chmod(path, mode)
