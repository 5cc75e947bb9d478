"""A store in a local folder: one file per object, so `ls`, `grep` and `jq` see everything.

Readers never meet half an object: a complete temporary file is made visible by link(2) (create) or rename(2)
(replace), after fsync of the file and before fsync of its folder. Replacing happens under an flock of the key, which
the kernel lets go when its holder dies. Symbolic links and special files below the root are treated as absent,
so nothing planted in a shared folder can lead outside it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tracecraft import clock
from tracecraft.clock import Pace
from tracecraft.errors import Conflict, Denied, NotFound, Unreachable, UsageError
from tracecraft.store.base import Guarantees, Info, Object, OnChunk, check_prefix, is_unicode
from tracecraft.store.bell import Bell
from tracecraft.store.waves import run_in_order

T = TypeVar("T")

_OWN = ".tracecraft"
_UNFINISHED = "unfinished"
_LOCKS = 256
_CHUNK = 1 << 20
_ABANDONED_AFTER = 86400.0
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP)


class FolderStore:
    """Objects as files below `root`. `.tracecraft/` in it holds locks and unfinished files, never objects."""

    remote = False

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root.expanduser()))
        self.url = self.root.as_uri()
        self.guarantees: Guarantees | None = Guarantees(atomic_create=True, compare_and_swap=True)

    def get(self, key: str) -> Object:
        with self._reading(key) as (fd, info):
            chunks = []
            while chunk := os.read(fd, _CHUNK):
                chunks.append(chunk)
        return Object(b"".join(chunks), info)

    def get_if_changed(self, key: str, etag: str) -> Object | None:
        return None if self.head(key).etag == etag else self.get(key)

    def head(self, key: str) -> Info:
        with self._reading(key) as (_, info):
            return info

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        with self._unfinished(key) as (fd, temporary):
            _write_all(fd, data)
            return self._publish(key, fd, temporary, if_absent=if_absent, if_match=if_match)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _answering():
            if _leads_elsewhere(path.parent):
                return
            with self._locked(key):
                if path.is_dir() and not path.is_symlink():
                    return
                try:
                    os.unlink(path)
                except (FileNotFoundError, NotADirectoryError):
                    return
                _sync_folder(path.parent)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[Info]:
        check_prefix(prefix)
        if prefix:
            self._path(prefix[:-1])
        with _answering():
            if not _leads_elsewhere(self.root / prefix):
                yield from self._walk(prefix, after)

    def upload(self, key: str, path: Path, on_chunk: OnChunk) -> str:
        with self._unfinished(key) as (fd, temporary), open(path, "rb") as source:
            while chunk := source.read(_CHUNK):
                on_chunk(chunk)
                _write_all(fd, chunk)
            return self._publish(key, fd, temporary)

    def download(self, key: str, path: Path, on_chunk: OnChunk) -> Info:
        with self._reading(key) as (fd, info), open(path, "wb") as target:
            while chunk := os.read(fd, _CHUNK):
                on_chunk(chunk)
                target.write(chunk)
        return info

    def pace(self) -> Pace:
        return Bell(self.root / _OWN / _UNFINISHED)

    def together(self, calls: Sequence[Callable[[], T]]) -> Sequence[T]:
        return run_in_order(calls)

    def exposed(self, key: str) -> str:
        """Other users get in where every folder on the way lets them pass."""
        for folder in (self.root, *self.root.parents):
            with suppress(FileNotFoundError):
                if not folder.stat().st_mode & stat.S_IXOTH:
                    return ""
        return f"every user of this machine can read {self.root} (chmod o-rx to change that)"

    def facts(self) -> dict[str, Any]:
        return {}

    def recall(self, facts: Mapping[str, Any]) -> None:
        pass

    def sweep(self) -> int:
        """Remove unfinished files that a killed process left more than a day ago; returns how many."""
        removed = 0
        folder = self.root / _OWN / _UNFINISHED
        if _leads_elsewhere(folder) or not folder.is_dir():
            return 0
        with _answering():
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    if not entry.is_dir(follow_symlinks=False) and _is_abandoned(entry):
                        os.unlink(entry.path)
                        removed += 1
        return removed

    def _path(self, key: str) -> Path:
        """The file of a key. A key that is not a plain relative path is refused whatever the layers above did."""
        segments = key.split("/")
        plain = not any(part in ("", ".", "..") or "\0" in part for part in segments) and is_unicode(key)
        if not plain or segments[0] == _OWN:
            raise UsageError(f"not a key of a folder store: {key!r}")
        return self.root.joinpath(*segments)

    @contextmanager
    def _reading(self, key: str) -> Iterator[tuple[int, Info]]:
        with _answering():
            fd = self._open(key)
            try:
                yield fd, _info(key, os.fstat(fd))
            finally:
                os.close(fd)

    def _open(self, key: str) -> int:
        path = self._path(key)
        try:
            if _leads_elsewhere(path.parent):
                raise NotFound(key)
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(key) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENAMETOOLONG):
                raise NotFound(key) from None
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotFound(key)
        return fd

    @contextmanager
    def _unfinished(self, key: str) -> Iterator[tuple[int, Path]]:
        """A temporary file on the same file system; whatever happens it is gone afterwards."""
        self._path(key)
        with _answering():
            path = self.root / _OWN / _UNFINISHED / os.urandom(12).hex()
            fd = _open_own(path, os.O_WRONLY | os.O_EXCL)
            try:
                yield fd, path
            finally:
                os.close(fd)
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def _publish(
        self, key: str, fd: int, temporary: Path, *, if_absent: bool = False, if_match: str | None = None
    ) -> str:
        """Make the finished temporary file the object, if the condition holds. Returns its etag."""
        path = self._path(key)
        if _leads_elsewhere(path.parent):
            raise Denied(f"{path.parent} is a symbolic link out of the store", hint="remove the link")
        os.fsync(fd)
        with self._locked(key):
            try:
                before: os.stat_result | None = os.stat(path, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                before = None
            if if_absent and before is not None:
                raise Conflict(key)
            if if_match is not None and (before is None or _etag(before) != if_match):
                raise Conflict(key)
            etag = _stamp(fd, before)
            _rename(temporary, path, replace=not if_absent)
        _sync_folder(path.parent)
        return etag

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Hold the lock of a key. Keys share a fixed set of lock files, which are never removed."""
        path = self.root / _OWN / "locks" / f"{zlib.crc32(key.encode()) % _LOCKS:02x}"
        fd = _open_own(path, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            # Closing alone would not do: a child that was forked meanwhile has the file open too.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def _walk(self, folder: str, after: str | None) -> Iterator[Info]:
        """Keys in order: a folder sorts as its name with a slash, since that is how its keys begin."""
        try:
            with os.scandir(self.root / folder) as entries:
                names = sorted(
                    entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name
                    for entry in entries
                    if is_unicode(entry.name)
                )
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            key = folder + name
            if key == _OWN + "/":
                continue
            if name.endswith("/"):
                if after is None or key > after or after.startswith(key):
                    yield from self._walk(key, after)
            elif after is None or key > after:
                try:
                    status = os.stat(f"{self.root}/{key}", follow_symlinks=False)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield _info(key, status)


@contextmanager
def _answering() -> Iterator[None]:
    """Say what the operating system refused in the words of a store."""
    try:
        yield
    except OSError as error:
        where = error.filename or "the folder"
        if error.errno in _DENIED:
            raise Denied(f"{where}: {error.strerror}", hint="check who owns the store's folder") from error
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(f"the name is too long for this file system: {where}") from error
        raise Unreachable(f"{where}: {error.strerror}", hint="check the disk, then repeat the command") from error


def _leads_elsewhere(folder: Path) -> bool:
    """Whether a symbolic link on the way (the root is already resolved) takes a folder out of its place."""
    return os.path.realpath(folder) != str(folder)


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    return clock.now_ns() / 1e9 - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER


def _open_own(path: Path, flags: int) -> int:
    """Open a file of the store's own, made with its folder where it is not there."""
    if _leads_elsewhere(path.parent):
        raise Denied(f"{path.parent} is a symbolic link out of the store", hint="remove the link")
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        _make_folders(path.parent)
        return os.open(path, flags, 0o666)


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}"


def _info(key: str, status: os.stat_result) -> Info:
    return Info(key, _etag(status), status.st_size, status.st_mtime_ns / 1e9)


def _stamp(fd: int, before: os.stat_result | None) -> str:
    """Set the file's time to now by the file system's own clock, later than the version it replaces.

    Inodes are used again and kernels stamp in ticks of milliseconds, so without this two versions in one tick
    could share an etag.
    """
    os.utime(fd)
    status = os.fstat(fd)
    if before is not None and status.st_mtime_ns <= before.st_mtime_ns:
        os.utime(fd, ns=(before.st_mtime_ns + 1, before.st_mtime_ns + 1))
        status = os.fstat(fd)
    return _etag(status)


def _rename(temporary: Path, path: Path, *, replace: bool) -> None:
    """Make the file visible under its name. The key's lock is held, so `replace` is safe where links do not exist."""
    try:
        (os.replace if replace else os.link)(temporary, path)
    except FileNotFoundError:
        _make_folders(path.parent)
        _rename(temporary, path, replace=replace)
    except FileExistsError:
        raise Conflict(str(path)) from None
    except OSError as error:
        if replace or error.errno not in _NO_LINKS:
            raise
        os.replace(temporary, path)


def _make_folders(folder: Path) -> None:
    """Make a folder and its parents, each on disk before anything is put into it."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
