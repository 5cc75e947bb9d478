"""The only code that spells object keys, both ways, and that says which names are allowed.

The layout is a public format (docs/bucket-layout.md). Names that are written are narrow; names that are read are
taken as they come, as long as they stay one segment, because other programs wrote them.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from tracecraft import clock
from tracecraft.errors import UsageError
from tracecraft.store.base import is_unicode

BROADCAST = "_broadcast"
SHARED = "shared"
HISTORY = "memory/_history/"

_NAME = re.compile(r"[A-Za-z0-9-][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_IN_EVENT = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_MEMORY_KEY = 512
_LONGEST_SUBJECT = 64
_DAY = 86400


class Leaf(NamedTuple):
    """What the name of an appended object (a message, a memory version) tells."""

    name: str
    ts_ns: int
    agent: str

    @property
    def short_id(self) -> str:
        return self.name.rsplit("_", 1)[-1]


class EventKey(NamedTuple):
    """What the key of an event tells: when by its writer's clock, what, who, about what."""

    at: str
    type: str
    agent: str
    subject: str
    short_id: str

    @property
    def day(self) -> int | None:
        """The writer's day, counted since 1970; None where the key does not tell."""
        return day_of_text(self.at[:8])


class FragmentKey(NamedTuple):
    """Lines of a run's log: whose, from which to which."""

    writer: str
    first: int
    last: int


class MailKey(NamedTuple):
    """What an object below `messages/` is: whose mailbox it lies in, and which message it is about.

    `kind` is `message`, `ack`, `copy` (of a sent one) or `reader` (a position; it is about no message).
    """

    box: str
    kind: str
    message: str


def name(kind: str, text: str) -> str:
    """A name that may be written: 1 to 64 of `A-Z a-z 0-9 . _ -`, not starting with `_` or `.`. Raises UsageError."""
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"not a valid {kind} name: {_shown(text)}",
            hint="use 1 to 64 of A-Z a-z 0-9 . _ - and do not begin with . or _",
        )
    return text


def valid_name(text: str, default: str) -> str:
    """The nearest allowed name to any text, or `default` when nothing is left of it."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-").lstrip("._-")[:64]
    return cleaned or default


def segment(kind: str, text: str) -> str:
    """A name that may be read: any one path segment without control characters. Raises UsageError."""
    if not is_segment(text):
        raise UsageError(f"not a valid {kind} name: {_shown(text)}", hint="a name is one path segment")
    return text


def is_segment(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and not _CONTROL.search(text) and is_unicode(text)


def step_id(text: str) -> str:
    """A step's id: lower case, dots become dashes (`S1.A` is `s1-a`). Raises UsageError."""
    step = text.lower().replace(".", "-")
    if step == SHARED:
        raise UsageError("a step cannot be called 'shared'", hint="that name stands for artifacts of no step")
    return name("step", step)


def readable_step_id(text: str) -> str:
    """The same for steps that are only read, which other programs may have named more freely."""
    return segment("step", text.lower().replace(".", "-"))


def memory_key(text: str) -> str:
    """A memory key that may be written: names joined by dots, at most 512 bytes. Raises UsageError."""
    if len(text.encode(errors="replace")) > _LONGEST_MEMORY_KEY:
        raise UsageError(f"the memory key is longer than {_LONGEST_MEMORY_KEY} bytes", hint="choose a shorter one")
    for part in text.split("."):
        if not _NAME.fullmatch(part):
            raise UsageError(
                f"not a valid memory key: {_shown(text)}",
                hint="join names with dots: build.status; a name is A-Z a-z 0-9 _ - and does not begin with _",
            )
    return text


def readable_memory_key(text: str) -> str:
    for part in text.split("."):
        segment("memory key", part)
    return text


def now_leaf(agent: str, short_id: str) -> str:
    """The name of an object appended now: `<ts_ns>_<agent>_<id8>`."""
    return f"{clock.now_ns()}_{agent}_{short_id}"


def new_short_id() -> str:
    return os.urandom(4).hex()


def parse_leaf(text: str) -> Leaf | None:
    """The parts of `<ts_ns>_<agent>_<id8>[.json]`; None when it is something else."""
    stem = text.removesuffix(".json")
    head, _, rest = stem.partition("_")
    agent, _, short_id = rest.rpartition("_")
    if not head.isascii() or not head.isdigit() or not agent or not short_id:
        return None
    return Leaf(stem, int(head), agent)


class Layout:
    """Keys of one project."""

    def __init__(self, project: str) -> None:
        self.project = name("project", project)
        self.root = self.project + "/"

    def store_facts(self) -> str:
        return f"{self.root}_store.json"

    def probe(self) -> str:
        return f"{self.root}_probe/"

    def agents(self) -> str:
        return f"{self.root}agents/"

    def agent(self, agent: str) -> str:
        return f"{self.agents()}{segment('agent', agent)}.json"

    def agent_of(self, key: str) -> str | None:
        """The agent whose record this key is."""
        return _only_segment(key, self.agents(), ".json")

    def memory_root(self) -> str:
        return f"{self.root}memory/"

    def memory(self, key: str) -> str:
        return f"{self.memory_root()}{readable_memory_key(key).replace('.', '/')}.json"

    def memory_history(self, key: str) -> str:
        return f"{self.root}{HISTORY}{readable_memory_key(key).replace('.', '/')}/"

    def memory_version(self, key: str, leaf: str) -> str:
        return f"{self.memory_history(key)}{leaf}.json"

    def memory_key_of(self, key: str) -> str | None:
        """The memory key of an object; None for history and for what is no memory object."""
        path = key.removeprefix(self.memory_root())
        if key.startswith(self.root + HISTORY) or path == key or not path.endswith(".json"):
            return None
        return path.removesuffix(".json").replace("/", ".")

    def messages(self) -> str:
        return f"{self.root}messages/"

    def mail_of(self, key: str) -> MailKey | None:
        """What an object of somebody's mail is; None for what is nothing of ours."""
        path = key.removeprefix(self.messages()).removesuffix(".json").split("/")
        if not key.endswith(".json") or not all(map(is_segment, path)):
            return None
        match path:
            case [box, "_reader"]:
                return MailKey(box, "reader", "")
            case [box, "_acks", message]:
                return MailKey(box, "ack", message)
            case [box, "_sent", message]:
                return MailKey(box, "copy", message)
            case [box, message] if not message.startswith("_"):
                return MailKey(box, "message", message)
        return None

    def mailbox(self, agent: str) -> str:
        return f"{self.messages()}{agent if agent == BROADCAST else segment('agent', agent)}/"

    def message(self, agent: str, leaf: str) -> str:
        return f"{self.mailbox(agent)}{segment('message', leaf)}.json"

    def reader(self, agent: str) -> str:
        return f"{self.mailbox(agent)}_reader.json"

    def cursor_of_02(self, agent: str) -> str:
        """The read position that tracecraft 0.2.x keeps. Read once, never written."""
        return f"{self.mailbox(agent)}_cursor.json"

    def acks(self, agent: str) -> str:
        return f"{self.mailbox(agent)}_acks/"

    def ack(self, agent: str, message: str) -> str:
        return f"{self.acks(agent)}{segment('message', message)}.json"

    def sent(self, agent: str) -> str:
        return f"{self.mailbox(agent)}_sent/"

    def sent_copy(self, agent: str, leaf: str) -> str:
        return f"{self.sent(agent)}{segment('message', leaf)}.json"

    def steps(self) -> str:
        return f"{self.root}steps/"

    def spec(self, step: str) -> str:
        return self._of_step(step, "spec.json")

    def claim(self, step: str) -> str:
        return self._of_step(step, "claim.json")

    def status(self, step: str) -> str:
        return self._of_step(step, "status.json")

    def handoff(self, step: str) -> str:
        return self._of_step(step, "handoff.json")

    def step_object_of(self, key: str) -> tuple[str, str] | None:
        """The step and the object's name (`claim.json`) behind a key."""
        step, slash, leaf = key.removeprefix(self.steps()).partition("/")
        return (step, leaf) if slash and is_segment(step) and leaf and "/" not in leaf else None

    def artifacts(self, step: str | None = None) -> str:
        return f"{self.root}artifacts/" + ("" if step is None else f"{segment('step', step)}/")

    def artifact(self, step: str, artifact: str) -> str:
        return f"{self.artifacts(step)}{segment('artifact', artifact)}"

    def artifact_of(self, key: str) -> tuple[str, str] | None:
        """The step (or `shared`) and name of an artifact."""
        step, _, artifact = key.removeprefix(self.artifacts()).partition("/")
        return (step, artifact) if is_segment(step) and is_segment(artifact) and not step.startswith("_") else None

    def artifact_sum(self, step: str, artifact: str) -> str:
        return f"{self.root}artifacts/_sums/{segment('step', step)}/{segment('artifact', artifact)}.json"

    def sessions(self, harness: str | None = None) -> str:
        return f"{self.root}sessions/" + ("" if harness is None else f"{segment('harness', harness)}/")

    def session(self, harness: str, session: str) -> str:
        return f"{self.sessions(harness)}{segment('session', session)}/"

    def manifest(self, harness: str, session: str) -> str:
        return f"{self.session(harness, session)}meta.json"

    def manifest_of(self, key: str) -> tuple[str, str] | None:
        """The harness and session whose manifest this key is."""
        path = key.removeprefix(self.sessions()).split("/")
        return (path[0], path[1]) if len(path) == 3 and path[2] == "meta.json" and all(map(is_segment, path)) else None

    def part(self, harness: str, session: str, seq: int, short_id: str) -> str:
        """The key of a part; 0.2.x spells it the same."""
        return f"{self.session(harness, session)}{segment('part', f'part-{seq:05d}-{short_id}')}.jsonl"

    def is_part(self, key: str) -> bool:
        """Whether a key below a session is one of a part."""
        leaf = key.rpartition("/")[2]
        return leaf.startswith("part-") and leaf.endswith(".jsonl")

    def runs(self) -> str:
        return f"{self.root}runs/"

    def run(self, run: str) -> str:
        return f"{self.runs()}{segment('run', run)}/"

    def run_meta(self, run: str) -> str:
        return f"{self.run(run)}meta.json"

    def run_meta_of(self, key: str) -> str | None:
        """The run whose record this key is."""
        run = (
            _only_segment(key.removesuffix("/meta.json") + ".", self.runs(), ".")
            if key.endswith("/meta.json")
            else None
        )
        return run if run is not None and not run.startswith("_") else None

    def run_logs(self, run: str) -> str:
        return f"{self.run(run)}log/"

    def run_log(self, run: str, writer: str) -> str:
        """Where the fragments of one writer's log lie."""
        return f"{self.run_logs(run)}{segment('writer', writer)}/"

    def fragment(self, run: str, writer: str, first: int, last: int) -> str:
        """The key of the lines `first` to `last` of a writer's log."""
        return f"{self.run_log(run, writer)}{first:010d}-{last:010d}.jsonl"

    def fragment_of(self, key: str, run: str) -> FragmentKey | None:
        """Which lines of which writer an object below a run's logs holds."""
        writer, _, leaf = key.removeprefix(self.run_logs(run)).partition("/")
        first, dash, last = leaf.removesuffix(".jsonl").partition("-")
        numbers = dash and leaf.endswith(".jsonl") and all(part.isascii() and part.isdigit() for part in (first, last))
        return FragmentKey(writer, int(first), int(last)) if numbers and is_segment(writer) else None

    def run_index(self) -> str:
        return f"{self.runs()}_index/"

    def run_entries(self) -> str:
        """Where the index entries of writers lie that were not collected into a segment."""
        return f"{self.run_index()}new/"

    def run_entry(self, run: str, writer: str) -> str:
        return f"{self.run_entries()}{segment('run', run)}~{segment('writer', writer)}.json"

    def run_entry_of(self, key: str) -> tuple[str, str] | None:
        """The run and the writer of an index entry."""
        run, tilde, writer = (_only_segment(key, self.run_entries(), ".json") or "").rpartition("~")
        return (run, writer) if tilde and run and writer else None

    def run_index_segments(self) -> str:
        return f"{self.run_index()}segments/"

    def run_index_segment(self) -> str:
        """The key of a new segment of the index."""
        return f"{self.run_index_segments()}{event_time(clock.now_ns())}-{new_short_id()}.jsonl"

    def blobs(self) -> str:
        """Where the files that runs kept lie, each once."""
        return f"{self.runs()}_blobs/"

    def blob(self, sha256: str) -> str:
        return f"{self.blobs()}{sha256[:2]}/{segment('checksum', sha256)}/data"

    def blob_users(self, sha256: str) -> str:
        """Where an object for each run lies that uses a file."""
        return f"{self.blobs()}{sha256[:2]}/{segment('checksum', sha256)}/refs/"

    def blob_user(self, sha256: str, run: str) -> str:
        return f"{self.blob_users(sha256)}{segment('run', run)}"

    def blob_collectors(self, sha256: str) -> str:
        """Where an object for each process lies that is about to remove a file."""
        return f"{self.blobs()}{sha256[:2]}/{segment('checksum', sha256)}/going/"

    def blob_collector(self, sha256: str, collector: str) -> str:
        return f"{self.blob_collectors(sha256)}{segment('collector', collector)}"

    def blob_part_of(self, key: str) -> tuple[str, str, str] | None:
        """The checksum behind a key of a file, what it is of it (`data`, `refs` or `going`), and whose it is."""
        path = key.removeprefix(self.blobs()).split("/")
        if not key.startswith(self.blobs()) or not 3 <= len(path) <= 4 or not all(map(is_segment, path)):
            return None
        return path[1], path[2], path[3] if len(path) == 4 else ""

    def events(self) -> str:
        return f"{self.root}events/"

    def event(self, kind: str, agent: str, subject: str) -> str:
        at = event_time(clock.now_ns())
        return f"{self.events()}{at}~{kind}~{cut_subject(agent)}~{cut_subject(subject)}~{new_short_id()}.json"

    def event_of(self, key: str) -> EventKey | None:
        stem = _only_segment(key, self.events(), ".json")
        parts = stem.split("~") if stem else []
        return EventKey(*parts) if len(parts) == 5 else None

    def event_segments(self) -> str:
        """Where old events are kept together. It sorts behind every event's own key."""
        return f"{self.events()}_segments/"

    def event_segment(self, day: int) -> str:
        """The key of a new segment for events of a day, which is counted since 1970 by the store's clock."""
        return f"{self.event_segments_of(day)}{new_short_id()}.jsonl"

    def event_segments_of(self, day: int) -> str:
        """What the keys of a day's segments begin with."""
        return f"{self.event_segments()}{datetime.fromtimestamp(day * _DAY, UTC):%Y%m%d}~"

    def event_segment_day(self, key: str) -> int | None:
        """The day whose events a segment holds; None when the key is none of a segment."""
        stem = _only_segment(key, self.event_segments(), ".jsonl") or ""
        return day_of_text(stem[:8]) if stem[8:9] == "~" else None

    def _of_step(self, step: str, leaf: str) -> str:
        return f"{self.steps()}{segment('step', step)}/{leaf}"


def cut_subject(text: str) -> str:
    """A subject as an event's key has it: 64 characters at most, and none that would split the key."""
    cut = _NOT_IN_EVENT.sub("_", text)[:_LONGEST_SUBJECT]
    return cut if is_segment(cut) else "-"


def event_time(ts_ns: int) -> str:
    """A time as event keys begin with it: it sorts as text and has no colons."""
    moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{ts_ns % 1_000_000_000 // 1000:06d}Z"


@lru_cache(maxsize=1024)
def day_of_text(text: str) -> int | None:
    """A day written as `20261120`, counted since 1970."""
    if len(text) != 8 or not text.isascii() or not text.isdigit():
        return None
    try:
        return int(datetime(int(text[:4]), int(text[4:6]), int(text[6:]), tzinfo=UTC).timestamp()) // _DAY
    except ValueError:
        return None


def _only_segment(key: str, folder: str, ending: str) -> str | None:
    inner = key.removeprefix(folder).removesuffix(ending)
    return inner if key == f"{folder}{inner}{ending}" and is_segment(inner) else None


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:77] + "...")
