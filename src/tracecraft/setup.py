"""Sets a folder up: which store, which project, which agent; tries the store out; leaves .tracecraft.json."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from tracecraft import config, git, layout
from tracecraft.config import ConfigFile, FoundFile
from tracecraft.errors import NameTaken, UsageError
from tracecraft.localstate import make_own_folder
from tracecraft.project import Project, StoreFacts
from tracecraft.store import Store
from tracecraft.store.address import Address, parse

_MOST_PROJECTS = 1000


class Wishes(msgspec.Struct, frozen=True):
    """What the user asked for; empty where nothing was said."""

    store: str = ""
    endpoint: str = ""
    bucket: str = ""
    region: str = ""
    project: str = ""
    agent: str = ""
    access_key: str = ""
    secret_key: str = ""
    best_effort: bool = False
    force: bool = False


class Outcome(msgspec.Struct):
    """What was done."""

    project: Project
    address: Address
    file: Path
    facts: StoreFacts
    made_bucket: bool = False
    ignored_in: Path | None = None
    secrets_in_file: bool = False
    remarks: list[str] = msgspec.field(default_factory=list)


def set_up(folder: Path, wishes: Wishes, environ: Mapping[str, str] = os.environ) -> Outcome:
    """Set `folder` up. Everything that can be refused is refused before anything is written.

    Raises UsageError, NameTaken, and the store's errors.
    """
    found = config.find_file(folder)
    address = _address(wishes, found, environ)
    name, origin, named = _project_name(folder, wishes, found, environ)
    agent = _agent(wishes, found, environ)
    settings = config.Settings(
        address=address,
        project=layout.name("project", name),
        agent=layout.name("agent", agent),
        no_agent="",
        ttl=config.DEFAULT_TTL,
        best_effort=wishes.best_effort or bool(found and found.content.best_effort),
        file=folder / config.FILE,
    )
    project = Project.from_settings(settings, environ)
    if address == config.default_store():
        make_own_folder(Path.home())
    made = _make_bucket(project.store)
    before = project.stored_facts()
    _refuse_foreign(project, before, origin, named)
    facts = project.probe(before.origin if before and before.origin else origin)
    project.agents.register("set up", force=wishes.force)
    kept = found.content if found and not found.foreign else ConfigFile()
    same_place = found is not None and found.address == address
    content = msgspec.structs.replace(
        ConfigFile(**config.address_fields(address)),
        project=name,
        agent_id=agent,
        folder=str(folder),
        access_key=address.access_key if wishes.access_key or same_place else "",
        secret_key=address.secret_key if wishes.secret_key or same_place else "",
        hf_token=kept.hf_token,
        best_effort=settings.best_effort,
    )
    config.write_file(folder / config.FILE, content)
    outcome = Outcome(project, address, folder / config.FILE, facts, made_bucket=made)
    outcome.secrets_in_file = bool(content.secret_key)
    outcome.ignored_in = _ignore(folder)
    return outcome


def _address(wishes: Wishes, found: FoundFile | None, environ: Mapping[str, str]) -> Address:
    """The store: asked for, in the environment, as it was, or the default folder."""
    if bool(wishes.access_key) != bool(wishes.secret_key):
        raise UsageError("an access key and a secret key go together", hint="give both, or neither")
    if wishes.store and wishes.bucket:
        raise UsageError("--store and --bucket exclude each other", hint="choose one")
    keys = {"access_key": wishes.access_key, "secret_key": wishes.secret_key}
    url = wishes.store or (f"s3://{wishes.bucket}" if wishes.bucket else "") or environ.get("TRACECRAFT_STORE", "")
    if url:
        return parse(url, endpoint=wishes.endpoint, region=wishes.region, **keys)
    before = found.address if found else None
    if before is None:
        if wishes.endpoint or wishes.access_key:
            raise UsageError("an endpoint without a bucket", hint="add --bucket NAME")
        return config.default_store()
    changes = {"endpoint": wishes.endpoint, "region": wishes.region, **keys}
    return msgspec.structs.replace(before, **{key: value for key, value in changes.items() if value})


def _project_name(
    folder: Path, wishes: Wishes, found: FoundFile | None, environ: Mapping[str, str]
) -> tuple[str, str, bool]:
    """The project's name, the repository it belongs to, and whether somebody chose the name."""
    default, origin = config.default_project(folder)
    chosen = wishes.project or environ.get("TRACECRAFT_PROJECT", "") or (found.content.project if found else "")
    return chosen or default, origin, bool(chosen)


def _agent(wishes: Wishes, found: FoundFile | None, environ: Mapping[str, str]) -> str:
    before = found.content.agent_id if found and not found.foreign else ""
    return wishes.agent or environ.get("TRACECRAFT_AGENT", "") or before or config.new_agent_name(environ)


def _make_bucket(store: Store) -> bool:
    from tracecraft.store.folder import FolderStore

    if isinstance(store, FolderStore):
        store.sweep()
        return False
    from tracecraft.store.bucket import BucketStore

    return store.make_bucket() if isinstance(store, BucketStore) else False


def _refuse_foreign(project: Project, before: StoreFacts | None, origin: str, named: bool) -> None:
    """Two repositories that happen to have one name must not share a project unawares."""
    if before is not None and before.origin and before.origin != origin and not named:
        raise NameTaken(
            f"the project {project.name} on this store belongs to {before.origin}",
            hint="choose a name: tracecraft init --project NAME",
            origin=before.origin,
        )
    if before is not None:
        return
    for other in _projects(project.store):
        if other != project.name and other.casefold() == project.name.casefold():
            raise NameTaken(f"a project is already called {other}", hint="choose another name: --project NAME")


def _projects(store: Store) -> Iterator[str]:
    """Names at the top of a store: after each first key below one, the listing goes on behind all of its keys."""
    after: str | None = None
    for _ in range(_MOST_PROJECTS):
        info = next(iter(store.list("", after=after)), None)
        if info is None:
            return
        top, slash, _rest = info.key.partition("/")
        if slash:
            yield top
        # "0" is the character after "/".
        after = top + "0" if slash else info.key


def _ignore(folder: Path) -> Path | None:
    """Keep git from committing the settings; returns the file that was changed for it."""
    if git.worktree(folder) is None or git.ignores(folder, config.FILE):
        return None
    path = folder / ".gitignore"
    text = path.read_text() if path.exists() else ""
    with open(path, "a") as file:
        file.write(("" if text.endswith("\n") or not text else "\n") + config.FILE + "\n")
    return path
