"""The hub: a store, a project's name and an agent's, and everything that can be done with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tracecraft import clock, config, currentrun
from tracecraft.currentrun import Within
from tracecraft.errors import BrokenRecord, StoreError, UnsafeStore, UsageError
from tracecraft.layout import Layout
from tracecraft.localstate import LocalState
from tracecraft.records import R, Record, Stored, decode_many, encode, read
from tracecraft.store import Guarantees, Info, Items, Object, Store, put_many
from tracecraft.store.opening import open_store

if TYPE_CHECKING:
    from tracecraft.agents import Agents
    from tracecraft.artifacts import Artifacts
    from tracecraft.events import Events
    from tracecraft.gc import Gc
    from tracecraft.mailbox import Mailbox
    from tracecraft.memory import Memory
    from tracecraft.steps import Steps


class StoreFacts(Record, omit_defaults=False):
    """`_store.json`: what a race on this store showed, and which repository the project belongs to."""

    atomic_create: bool
    compare_and_swap: bool
    refuses: bool = False
    quoted_etags: bool | None = None
    not_modified: bool = True
    list_after_write: bool = True
    probed_at: str = ""
    origin: str = ""


class Project:
    """One project on one store, seen by one agent.

    `tracecraft.Project.open()` makes one from the settings in force. It may be used from several threads. Without an
    agent everything can be read and nothing written.

    `within` says which run and span what it does now is part of; the SDK puts its own answer there. `inherited` is what
    the process that started this one says of it.

    `notices` collects what the caller should hear of though the call succeeded, such as views that could not be
    written; `broken` the records that were skipped because they are not what they should be.
    """

    def __init__(
        self,
        store: Store,
        project: str,
        agent: str = "",
        *,
        ttl: float = config.DEFAULT_TTL,
        best_effort: bool = False,
        local: LocalState | None = None,
        no_agent: str = "",
        settings_file: Path | None = None,
        inherited: Within | None = None,
    ) -> None:
        self.store = store
        self.layout = Layout(project)
        self.name = project
        self.ttl = ttl
        self.best_effort = best_effort
        self.local = local or LocalState(store.url, project)
        self.place = f"{os.uname().nodename}:{settings_file.parent if settings_file else Path.cwd()}"
        self.settings_file = settings_file
        self.settings_from = str(settings_file or "flags and environment")
        self.broken: list[BrokenRecord] = []
        store.recall(self.local.read("store"))
        self._agent = agent
        self._no_agent = no_agent
        self.inherited = inherited or Within()
        self.within: Callable[[], Within] = self._within
        self.notices: list[str] = []
        self.on_notice: Callable[[str], None] = lambda _notice: None

    @classmethod
    def open(
        cls,
        *,
        store: str | None = None,
        project: str | None = None,
        agent: str | None = None,
        ttl: str | None = None,
        folder: Path | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Project:
        """The project that the settings name (see `config.resolve`). No request is made. Raises UsageError."""
        return cls.from_settings(
            config.resolve(store=store, project=project, agent=agent, ttl=ttl, folder=folder, environ=environ), environ
        )

    @classmethod
    def from_settings(cls, settings: config.Settings, environ: Mapping[str, str] = os.environ) -> Project:
        return cls(
            open_store(settings.address, environ),
            settings.project,
            settings.agent,
            ttl=settings.ttl,
            best_effort=settings.best_effort,
            local=LocalState(settings.address.url, settings.project),
            no_agent=settings.no_agent,
            settings_file=settings.file,
            inherited=currentrun.inherited(environ),
        )

    def seen_by(self, agent: str) -> Project:
        """The same project on the same store, seen by another agent."""
        return Project(
            self.store,
            self.name,
            agent,
            ttl=self.ttl,
            best_effort=self.best_effort,
            local=self.local,
            settings_file=self.settings_file,
            inherited=self.inherited,
        )

    @property
    def agent(self) -> str:
        """The name of the agent that acts. Raises UsageError when there is none."""
        if not self._agent:
            raise UsageError(
                f"no agent: {self._no_agent or 'nothing names the agent that acts here'}",
                hint="run `tracecraft init` here, or set TRACECRAFT_AGENT",
            )
        return self._agent

    @property
    def has_agent(self) -> bool:
        return bool(self._agent)

    @property
    def run(self) -> str:
        """The id of the run that what this agent does is part of; empty where there is none."""
        return self.within().run

    def _within(self) -> Within:
        if self.inherited.run or not self._agent:
            return self.inherited
        return Within(currentrun.remembered(self.local, self._agent, self.place))

    @cached_property
    def steps(self) -> Steps:
        from tracecraft.steps import Steps

        return Steps(self)

    @cached_property
    def mailbox(self) -> Mailbox:
        from tracecraft.mailbox import Mailbox

        return Mailbox(self)

    @cached_property
    def memory(self) -> Memory:
        from tracecraft.memory import Memory

        return Memory(self)

    @cached_property
    def agents(self) -> Agents:
        from tracecraft.agents import Agents

        return Agents(self)

    @cached_property
    def artifacts(self) -> Artifacts:
        from tracecraft.artifacts import Artifacts

        return Artifacts(self)

    @cached_property
    def events(self) -> Events:
        from tracecraft.events import Events

        return Events(self)

    @cached_property
    def gc(self) -> Gc:
        from tracecraft.gc import Gc

        return Gc(self)

    def say(self, notice: str) -> None:
        """Add a notice; `on_notice` hears it at once."""
        self.notices.append(notice)
        self.on_notice(notice)

    def get_listed(self, infos: Sequence[Info]) -> dict[str, Object]:
        """The objects of a listing that still exist, in one wave; many that this machine knows are not read again."""
        from tracecraft.objectcache import ObjectCache

        return ObjectCache(self.local.folder).get_many(self.store, infos)

    def read_listed(self, infos: Sequence[Info], kind: type[R]) -> dict[str, Stored[R]]:
        """The same as records; broken ones go to `broken`."""
        return decode_many(self.get_listed(infos).values(), kind, self.broken)

    def write_after(self, items: Items, *, done: str) -> None:
        """Write what follows a decision. The decision stands even where this fails, so failing is only a notice."""
        try:
            put_many(self.store, items)
        except StoreError as error:
            self.say(
                f"{done}, but its views or event could not be written ({error.message}): tracecraft doctor --repair"
            )

    def store_time(self) -> float:
        """The store's time of this agent's last heartbeat: right after `agents.beat_now` about now, never later."""
        modified = self.store.head(self.layout.agent(self.agent)).modified
        self.local.write("clock", {"offset": modified - clock.now_ns() / 1e9})
        return modified

    def now_by_store(self) -> float:
        """The store's time as far as this machine can tell without a request. For showing ages, never for deciding."""
        offset = self.local.read("clock").get("offset", 0.0)
        return clock.now_ns() / 1e9 + (offset if isinstance(offset, int | float) else 0.0)

    def require_safe_claims(self) -> None:
        """Make sure that the store decides conditional writes, trying it out if nobody has. Raises UnsafeStore."""
        if self.store.guarantees is None:
            facts = self._known_facts() or self.probe()
            self.store.guarantees = Guarantees(facts.atomic_create, facts.compare_and_swap)
        if all(self.store.guarantees):
            return
        if not self.best_effort:
            raise UnsafeStore(
                f"{self.store.url} does not decide conditional writes: two agents could both win a claim",
                hint="use another store for claims, or accept the risk: tracecraft init --best-effort",
            )
        self._use_best_effort()
        self.say("best effort: this store does not exclude two winners of one claim")

    def probe(self, origin: str = "") -> StoreFacts:
        """Race the store, and leave what was found in `_store.json` and on this machine."""
        from tracecraft.store.probe import probe

        self.store.recall({})
        findings = probe(self.store, self.layout.probe())
        self.store.guarantees = Guarantees(findings.atomic_create, findings.compare_and_swap)
        facts = StoreFacts(
            atomic_create=findings.atomic_create,
            compare_and_swap=findings.compare_and_swap,
            refuses=findings.refuses,
            not_modified=findings.not_modified,
            list_after_write=findings.list_after_write,
            probed_at=clock.now(),
            origin=origin,
            **self.store.facts(),
        )
        self.store.put(self.layout.store_facts(), encode(facts))
        self._remember(facts)
        return facts

    def stored_facts(self) -> StoreFacts | None:
        """What an earlier probe left in the store."""
        found = read(self.store, self.layout.store_facts(), StoreFacts)
        return found.record if found else None

    def _known_facts(self) -> StoreFacts | None:
        """What an earlier probe found, from this machine's memory or else the store's."""
        kept = self.local.read("store")
        if isinstance(kept.get("atomic_create"), bool) and isinstance(kept.get("compare_and_swap"), bool):
            return StoreFacts(atomic_create=kept["atomic_create"], compare_and_swap=kept["compare_and_swap"])
        facts = self.stored_facts()
        if facts is not None:
            self._remember(facts)
        return facts

    def _remember(self, facts: StoreFacts) -> None:
        kept = {
            "atomic_create": facts.atomic_create,
            "compare_and_swap": facts.compare_and_swap,
            "quoted_etags": facts.quoted_etags,
        }
        self.store.recall(kept)
        self.local.write("store", kept)

    def _use_best_effort(self) -> None:
        from tracecraft.store.besteffort import BestEffortStore

        if not isinstance(self.store, BestEffortStore):
            self.store = BestEffortStore(self.store)
