"""Files of lines are read on in whole lines, byte for byte, whatever happens to them meanwhile."""

from __future__ import annotations

import io
import os
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecraft.errors import UsageError
from tracecraft.sessions import lines
from tracecraft.sessions.harness import Batch, Cursor, Found, Machine, Restarted, Source
from tracecraft.sessions.lines import LineHarness
from tracecraft.sessions.message import Entry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20


class Plain(LineHarness):
    name = "plain"

    def discover(self, machine: Machine, cwd: Path | None = None) -> Iterator[Found]:
        return iter(())

    def normalise(self, record: dict[str, Any]) -> Iterable[Entry]:
        return ()


HARNESS = Plain()


def read(source: Source, cursor: Cursor | None = None) -> Batch | None:
    return HARNESS.read_new(Found("plain", "s", source.path), source, cursor)


def drain(source: Source, cursor: Cursor | None = None) -> tuple[bytes, Cursor | None]:
    """All that is to be had behind the cursor, held to what a batch promises."""
    data = b""
    for _ in range(10_000):
        batch = read(source, cursor)
        if batch is None:
            return data, cursor
        new = b"".join(batch.chunks)
        assert len(new) == batch.size > 0
        assert new.endswith(b"\n")
        assert batch.cursor == {"end": (cursor or {"end": 0})["end"] + batch.size}
        data += new
        cursor = batch.cursor
        if not batch.more:
            assert read(source, cursor) is None
    raise AssertionError("no end of batches")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "main.jsonl")


def test_an_unterminated_last_line_waits(source: Source) -> None:
    source.path.write_bytes(b'{"a":1}\n{"b"')
    data, cursor = drain(source)
    assert data == b'{"a":1}\n'
    with source.path.open("ab") as file:
        file.write(b":2}\n")
    assert drain(source, cursor) == (b'{"b":2}\n', {"end": 16})


@pytest.mark.parametrize("content", [b"", b'{"half":', b"x" * 9 * MIB])
def test_without_a_whole_line_there_is_nothing(source: Source, content: bytes) -> None:
    source.path.write_bytes(content)
    assert read(source) is None


def test_raw_bytes_pass_through(source: Source) -> None:
    content = b'{"a":1}\r\n\n\0\0\0\0\n{"cut\n\xff\xfe\xed\xa0\x80\n \n'
    source.path.write_bytes(content)
    assert drain(source)[0] == content


def test_a_large_file_comes_in_batches_that_tell_of_more(source: Source) -> None:
    content = b"".join(b'{"n":%d,"x":"%s"}\n' % (n, b"y" * (n % 3000)) for n in range(12_000))
    source.path.write_bytes(content + b"unfinished" * MIB)
    first = read(source)
    assert first is not None
    assert first.more
    assert first.size <= 8 * MIB
    assert drain(source)[0] == content


@pytest.mark.parametrize("length", [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 9 * MIB, 17 * MIB + 5])
@pytest.mark.parametrize("behind", [b"", b"next\n", b"next\nunfinished"])
def test_a_line_may_have_any_length(source: Source, length: int, behind: bytes) -> None:
    line = b"a" * (length - 1) + b"\n"
    source.path.write_bytes(b"first\n" + line + behind)
    assert drain(source, {"end": 6})[0] == line + behind[:5]


@pytest.mark.parametrize("behind", [b"", b"next\n", b"next\nunfinished"])
def test_a_line_longer_than_a_batch_is_one_in_small_chunks(source: Source, behind: bytes) -> None:
    source.path.write_bytes(b"first\n" + b"a" * 17 * MIB + b"\n" + behind)
    batch = read(source, {"end": 6})
    assert batch is not None
    assert batch.size == 17 * MIB + 1
    assert batch.more == bool(behind)
    assert all(len(chunk) <= MIB for chunk in batch.chunks)


@settings(max_examples=60)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_growing_in_any_steps_loses_and_repeats_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, steps: list[int]
) -> None:
    source = Source(tmp_path_factory.mktemp("growing") / "f.jsonl")
    content = content.replace(b"a", b"\n")
    seen, cursor = b"", None
    for size in [*sorted(steps), len(content)]:
        source.path.write_bytes(content[:size])
        data, cursor = drain(source, cursor)
        seen += data
    assert seen == content[: content.rfind(b"\n") + 1]


@pytest.mark.parametrize("now", [b"", b"one\n", b"one\ntwo", b"other lines, longer than before\n"])
def test_a_file_that_no_longer_has_what_was_read_is_restarted(source: Source, now: bytes) -> None:
    source.path.write_bytes(b"one\ntwo\n")
    _, cursor = drain(source)
    source.path.write_bytes(now)
    with pytest.raises(Restarted):
        read(source, cursor)


@pytest.mark.parametrize("cursor", [{}, {"end": -1}, {"end": "8"}, {"end": True}, {"end": 1e3}, {"rows": 3}])
def test_a_cursor_of_something_else_is_restarted(source: Source, cursor: Cursor) -> None:
    source.path.write_bytes(b"one\ntwo\n")
    with pytest.raises(Restarted):
        read(source, cursor)
    assert HARNESS.recognises(source, cursor, None) in (False, None)


@pytest.mark.parametrize("change", ["truncate", "rewrite", "shift"])
def test_a_long_line_that_changes_while_it_is_read_is_not_passed_on(source: Source, change: str) -> None:
    source.path.write_bytes(b"a" * 10 * MIB + b"\n")
    batch = read(source)
    assert batch is not None
    chunks = iter(batch.chunks)
    seen = [next(chunks)]
    with source.path.open("r+b") as file:
        if change == "truncate":
            file.truncate(5 * MIB)
        else:
            file.seek(9 * MIB)
            file.write(b"b" if change == "rewrite" else b"\n")
    with pytest.raises(Restarted):
        seen.extend(chunks)
    assert sum(map(len, seen)) < batch.size


def test_a_file_replaced_while_it_is_read_is_read_to_the_end(source: Source) -> None:
    content = b"a" * 10 * MIB + b"\n"
    source.path.write_bytes(content)
    batch = read(source)
    assert batch is not None
    other = source.path.with_name("other")
    other.write_bytes(b"b" * 10 * MIB + b"\nmore\n")
    other.replace(source.path)
    assert b"".join(batch.chunks) == content
    assert HARNESS.recognises(source, batch.cursor, batch.bookmark) is False


def test_a_batch_that_is_never_read_leaves_nothing_open(source: Source) -> None:
    source.path.write_bytes(b"a" * 10 * MIB + b"\n")
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        assert read(source) is not None
    assert len(os.listdir("/dev/fd")) == before


def test_links_and_special_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("link", "pipe", "folder", "absent"):
        with pytest.raises(OSError, match=name):
            read(Source(tmp_path / f"{name}.jsonl"))


class TestWhole:
    @pytest.mark.parametrize("content", [b"no newline", b"lines\nand more", b"z" * 9 * MIB])
    def test_it_is_copied_once(self, tmp_path: Path, content: bytes) -> None:
        source = Source(tmp_path / "result.txt", "tool-results/result.txt", whole=True)
        source.path.write_bytes(content)
        batch = read(source)
        assert batch is not None
        assert b"".join(batch.chunks) == content
        assert batch.size == len(content)
        assert read(source, batch.cursor) is None
        assert HARNESS.recognises(source, batch.cursor, None) is True

    def test_an_empty_file_is_nothing(self, tmp_path: Path) -> None:
        source = Source(tmp_path / "result.txt", "result.txt", whole=True)
        source.path.touch()
        assert read(source) is None

    @pytest.mark.parametrize(("now", "known"), [(b"change", None), (b"longer than that", False), (b"", False)])
    def test_a_changed_one_is_restarted(self, tmp_path: Path, now: bytes, known: bool | None) -> None:
        source = Source(tmp_path / "result.txt", "result.txt", whole=True)
        source.path.write_bytes(b"before")
        batch = read(source)
        assert batch is not None
        before = HARNESS.bookmark(source, batch.cursor)
        source.path.write_bytes(now)
        os.utime(source.path, ns=(1, 1))
        assert HARNESS.recognises(source, batch.cursor, before) is known
        if known is False:
            with pytest.raises(Restarted):
                read(source, batch.cursor)

    def test_one_that_was_copied_is_the_same_once_it_was_compared(self, tmp_path: Path) -> None:
        source = Source(tmp_path / "result.txt", "result.txt", whole=True)
        source.path.write_bytes(b"before")
        batch = read(source)
        assert batch is not None
        os.utime(source.path, ns=(1, 1))
        assert HARNESS.recognises(source, batch.cursor, None) is None
        assert b"".join(HARNESS.read_again(source, 0, batch.size)) == b"before"
        assert read(source, batch.cursor) is None
        assert HARNESS.recognises(source, batch.cursor, HARNESS.bookmark(source, batch.cursor)) is True

    def test_one_that_changes_while_it_is_read_is_not_passed_on(self, tmp_path: Path) -> None:
        source = Source(tmp_path / "result.txt", "result.txt", whole=True)
        source.path.write_bytes(b"z" * 3 * MIB)
        batch = read(source)
        assert batch is not None
        with source.path.open("ab") as file:
            file.write(b"more")
        with pytest.raises(Restarted):
            list(batch.chunks)

    def test_a_compressed_one_is_copied_as_it_is(self, tmp_path: Path) -> None:
        source = Source(tmp_path / "result.zst", "result.zst", whole=True)
        source.path.write_bytes(b"whatever this is")
        batch = read(source)
        assert batch is not None
        assert b"".join(batch.chunks) == b"whatever this is"


class TestBookmarks:
    def remembered(self, source: Source, content: bytes) -> tuple[Cursor, dict[str, Any]]:
        source.path.write_bytes(content)
        _, cursor = drain(source)
        assert cursor is not None
        return cursor, HARNESS.bookmark(source, cursor)

    @pytest.mark.parametrize("content", [b"one\ntwo\n", b"line\n" * 5000])
    def test_a_file_that_grew_or_stayed_is_known(self, source: Source, content: bytes) -> None:
        cursor, mark = self.remembered(source, content)
        assert HARNESS.recognises(source, cursor, mark) is True
        with source.path.open("ab") as file:
            file.write(b"more\n")
        assert HARNESS.recognises(source, cursor, mark) is True

    def test_a_batch_carries_the_same_bookmark(self, source: Source) -> None:
        cursor, mark = self.remembered(source, b"line\n" * 5000)
        batch = read(source)
        assert batch is not None
        assert batch.cursor == cursor
        assert batch.bookmark == mark

    @pytest.mark.parametrize("at", [0, 4095, 25_000 - 4096, 24_999])
    def test_another_head_or_tail_is_noticed(self, source: Source, at: int) -> None:
        cursor, mark = self.remembered(source, b"line\n" * 5000)
        with source.path.open("r+b") as file:
            file.seek(at)
            file.write(b"!")
        assert HARNESS.recognises(source, cursor, mark) is False

    def test_a_shortened_file_is_noticed(self, source: Source) -> None:
        cursor, mark = self.remembered(source, b"line\n" * 5000)
        os.truncate(source.path, 24_995)
        assert HARNESS.recognises(source, cursor, mark) is False

    def test_another_file_with_the_same_beginning_cannot_be_told(self, source: Source) -> None:
        cursor, mark = self.remembered(source, b"line\n" * 5000)
        other = source.path.with_name("other")
        other.write_bytes(source.path.read_bytes())
        other.replace(source.path)
        assert HARNESS.recognises(source, cursor, mark) is None

    def test_one_that_was_touched_in_the_middle_cannot_be_told(self, source: Source) -> None:
        cursor, mark = self.remembered(source, b"line\n" * 5000)
        with source.path.open("r+b") as file:
            file.seek(12_000)
            file.write(b"!")
        os.utime(source.path, ns=(1, 1))
        assert HARNESS.recognises(source, cursor, mark) is None

    def test_without_a_fitting_bookmark_it_cannot_be_told(self, source: Source) -> None:
        cursor, mark = self.remembered(source, b"line\n" * 5000)
        assert HARNESS.recognises(source, cursor, None) is None
        assert HARNESS.recognises(source, cursor, {}) is None
        assert HARNESS.recognises(source, {"end": 5}, mark) is None
        source.path.unlink()
        assert HARNESS.recognises(source, cursor, mark) is None


class TestCompressed:
    def compressed(self, tmp_path: Path, content: bytes) -> Source:
        source = Source(tmp_path / "rollout.jsonl.zst")
        source.path.write_bytes(zstd.compress(content, 3))
        return source

    def test_it_is_read_decompressed(self, tmp_path: Path) -> None:
        content = b"".join(b'{"n":%d}\n' % n for n in range(300_000))
        source = self.compressed(tmp_path, content)
        assert drain(source)[0] == content
        middle = content.index(b"\n", 2_000_000) + 1
        assert drain(source, {"end": middle})[0] == content[middle:]

    def test_a_line_longer_than_a_batch(self, tmp_path: Path) -> None:
        content = b"short\n" + b"a" * 33 * MIB + b"\nshort\n"
        assert drain(self.compressed(tmp_path, content), {"end": 6})[0] == content[6:]

    def test_several_frames_follow_each_other(self, tmp_path: Path) -> None:
        source = self.compressed(tmp_path, b"one\n")
        with source.path.open("ab") as file:
            file.write(zstd.compress(b"two\n"))
        assert drain(source)[0] == b"one\ntwo\n"

    def test_cursors_of_the_plain_file_stay_right(self, tmp_path: Path) -> None:
        plain = Source(tmp_path / "rollout.jsonl")
        plain.path.write_bytes(b"line\n" * 5000)
        _, cursor = drain(plain)
        assert cursor is not None
        source = self.compressed(tmp_path, b"line\n" * 5000)
        assert read(source, cursor) is None
        assert HARNESS.recognises(source, cursor, HARNESS.bookmark(plain, cursor)) is None
        assert HARNESS.recognises(source, cursor, HARNESS.bookmark(source, cursor)) is True

    def test_a_shorter_one_is_restarted(self, tmp_path: Path) -> None:
        with pytest.raises(Restarted):
            read(self.compressed(tmp_path, b"line\n" * 10), {"end": 100})

    @pytest.mark.parametrize("damage", ["cut", "garbage"])
    def test_a_damaged_one_cannot_be_read(self, tmp_path: Path, damage: str) -> None:
        source = self.compressed(tmp_path, os.urandom(MIB) + b"\n")
        data = source.path.read_bytes()
        source.path.write_bytes(data[:5000] if damage == "cut" else b"garbage\n" * 100)
        with pytest.raises(OSError, match="zstd"):
            read(source)


def test_memory_is_bounded_whatever_the_file_is(source: Source) -> None:
    with source.path.open("wb") as file:
        file.write(b"short\n" * 1000)
        file.seek(64 * MIB, io.SEEK_CUR)  # a line of NULs, which takes no room on the disk
        file.write(b"\n")
        file.truncate(180 * MIB)
    tracemalloc.start()
    try:
        size, cursor = 0, None
        for _ in range(3):
            if batch := read(source, cursor):
                size += sum(len(chunk) for chunk in batch.chunks)
                cursor = batch.cursor
        assert size == 6000 + 64 * MIB + 1
        assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    finally:
        tracemalloc.stop()


def test_first_lines_reads_no_further_than_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"one\n" + b"x" * 200_000 + b"\nthree\n" + b"y" * 200_000 + b"\n")
    assert [len(line) for line in lines.first_lines(path, 1 << 20)] == [3, 200_000, 5, 200_000]
    assert [len(line) for line in lines.first_lines(path, 300_000)] == [3, 200_000, 5]
    assert list(lines.first_lines(path, 2)) == []


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"a": 1}\r', {"a": 1}),
        (b'{"a": "\\ud83d cut"}', {"a": "? cut"}),
        (b'{"a": "\xf0\x9f"}', {"a": "\ufffd"}),
        (b'{"a": NaN}', {"a": None}),
        (b"[1]", None),
        (b'"text"', None),
        (b'{"a": ', None),
        (b"\0\0\0", None),
        (b"", None),
        (b"[" * 100_000, None),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
        (b'{"a": 1e999}', None),
        (b'{"a":' + b"9" * 10_000 + b"}", None),
    ],
)
def test_parse(line: bytes, record: dict[str, Any] | None) -> None:
    assert lines.parse(line) == record


class TestStreams:
    def test_they_lie_in_a_folder_beside_the_main_file(self) -> None:
        main = Path("/p/abc.jsonl")
        assert HARNESS.stream_path(main, "") == main
        assert HARNESS.stream_path(main, "subagents/agent-1.jsonl") == Path("/p/abc/subagents/agent-1.jsonl")

    @pytest.mark.parametrize("stream", ["../x", "/etc/passwd", "a/../../b", "a//b", "a/./b", "a\nb", "a/", ".."])
    def test_none_leads_out(self, stream: str) -> None:
        with pytest.raises(UsageError):
            HARNESS.stream_path(Path("/p/abc.jsonl"), stream)
