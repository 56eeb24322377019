"""Makes and checks private files and folders: 0600 in 0700."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...errors import StoreUnavailable

# On these, locks and shared memory are promises that the machines do not keep to each other.
_NETWORK = "9p afs beegfs ceph cifs glusterfs lustre ncpfs nfs nfs4 smb2 smb3 smbfs sshfs"
_REMOTE = {kind for name in _NETWORK.split() for kind in (name, f"fuse.{name}")}
_MOUNTS = Path("/proc/mounts")


def make_private(path: Path) -> None:
    """Make the file and its folder, where they are missing, and see that they are ours alone.

    Raises:
        StoreUnavailable: the folder can be written to by everybody, the file is a link of somebody
            else's, or is on another machine.
        OSError: they cannot be made.
    """
    folder = path.parent
    _make_folders(folder)
    if hasattr(os, "geteuid"):  # pragma: no branch - absent on Windows only
        if folder.stat().st_mode & stat.S_IWOTH:
            raise StoreUnavailable(
                "everybody can write to its folder; give it one of its own, with mode 0700"
            )
        if path.is_symlink() and path.lstat().st_uid not in (0, os.geteuid()):
            raise StoreUnavailable("it is a link that belongs to somebody else")
    remote = _remote(folder.resolve())
    if remote:
        raise StoreUnavailable(
            f"it is on a file system of another machine ({remote}), where locks do not hold;"
            " put it on a disk of this one, or use a Redis"
        )
    path.touch(0o600)


def open_private(path: str) -> int:
    """A file that is made where it is missing, for this process and not for the programs that it starts."""
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)


def _make_folders(folder: Path) -> None:
    """All that are missing, private each; `Path.mkdir` would leave those above to the umask."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(0o700, exist_ok=True)


def _remote(folder: Path) -> str:
    """The kind of the file system, if that is one of another machine; empty where that is not known."""
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    kinds = {line.split()[1].replace("\\040", " "): line.split()[2] for line in lines}
    at = next((str(place) for place in (folder, *folder.parents) if str(place) in kinds), "")
    kind = kinds.get(at, "")
    return kind if kind in _REMOTE else ""
