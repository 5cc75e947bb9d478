"""Files that a run keeps: copied while they are summed, so that they may change at once, and sent later.

The copies wait in a folder beside the spool, each under its checksum. In the store a file is there once for all runs
(`runs/blobs.py`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tracecraft.errors import UsageError
from tracecraft.runs import blobs
from tracecraft.runs.log import Artifact
from tracecraft.runs.recorder.spool import make_folder
from tracecraft.store.base import is_unicode

if TYPE_CHECKING:
    from tracecraft.project import Project

MOST_FILES = 10_000
"""Files of one folder that is kept."""
_CHUNK = 1 << 20
_COMING = ".coming-"


class FileSender:
    """The copies that wait in a folder, and their way into the store."""

    def __init__(self, project: Project, run: str, folder: Path) -> None:
        self._project = project
        self._run = run
        self.folder = folder

    @property
    def waits(self) -> bool:
        """Whether something is still to be sent."""
        return next(self._waiting(), None) is not None

    def keep(self, name: str, path: Path) -> Artifact:
        """Copy a file, or the files in a folder, and say what they are. Symbolic links in a folder are left out.

        Raises UsageError for what is neither, or too much, and OSError where it cannot be read or copied.
        """
        if path.is_file():
            sha256, size = self._copy(path)
            return Artifact(name=name, sha256=sha256, size=size)
        if not path.is_dir():
            raise UsageError(f"there is no file or folder {str(path)!r}", hint="nothing was recorded of it")
        found = sorted(_files_in(path))
        if len(found) > MOST_FILES:
            raise UsageError(f"{path} has more than {MOST_FILES} files", hint="keep an archive of it instead")
        files = [(str(file.relative_to(path)), *self._copy(file)) for file in found]
        listing = hashlib.sha256(msgspec.json.encode(files)).hexdigest()
        return Artifact(name=name, sha256=listing, size=sum(size for _, _, size in files), files=files)

    def send(self) -> None:
        """Bring what waits into the store. Raises StoreError and OSError; then it may be called again."""
        for copy in self._waiting():
            blobs.keep(self._project, copy.name, self._run, partial(self._upload, copy))
            copy.unlink()

    def remove(self) -> None:
        """Nothing waits here any more, whatever is left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _upload(self, copy: Path, key: str) -> None:
        self._project.store.upload(key, copy, lambda _chunk: None)

    def _waiting(self) -> Iterator[Path]:
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not entry.name.startswith(_COMING):
                    yield Path(entry.path)

    def _copy(self, path: Path) -> tuple[str, int]:
        """Copy a file under its checksum; the checksum and the size."""
        make_folder(self.folder)
        coming = self.folder / f"{_COMING}{os.urandom(6).hex()}"
        digest, size = hashlib.sha256(), 0
        try:
            with open(path, "rb") as source, open(coming, "xb") as target:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    target.write(chunk)
            os.replace(coming, self.folder / digest.hexdigest())
        finally:
            coming.unlink(missing_ok=True)
        return digest.hexdigest(), size


def _files_in(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if stat.S_ISREG(path.lstat().st_mode) and is_unicode(str(path)):
                yield path
