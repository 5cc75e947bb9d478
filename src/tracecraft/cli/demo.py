"""demo: three agents, each command a process of its own, play one short run in which every primitive shows once."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tracecraft import layout
from tracecraft.cli.face import Face, command
from tracecraft.cli.output import clean, print_line
from tracecraft.errors import TracecraftError

_COMMAND_SECONDS = 120
_SCHEMA = {"fields": ["id", "name"]}


@command(acts=False)
def demo(face: Face) -> None:
    """Play a short run of three agents: designer, developer and reviewer.

    Without --store it is played in a new folder, which stays for you to look at.

    \b
    Example:
      tracecraft demo
      tracecraft demo --store s3://bucket/demo
    """
    root = Path(tempfile.mkdtemp(prefix="tracecraft-demo-"))
    url = face.store or (root / "store").as_uri()
    stage = Stage(face, root, url, face.project_name or f"demo-{layout.new_short_id()}")
    stage.tell(f"Three agents on {url}, project {stage.project}. Every line after a $ is a process of its own.\n")
    _play(stage)
    stage.tell("\nThe timeline, read back from the objects in the store:\n")
    stage.run("reviewer", "log", "--limit", "0")
    stage.tell("\nAll of it is plain JSON. Look around:\n")
    for line in _where_to_look(stage):
        stage.tell(f"    {line}")


class Stage(msgspec.Struct, frozen=True):
    """Where the play takes place: one folder per agent, one store for all."""

    face: Face
    root: Path
    url: str
    project: str

    def tell(self, text: str) -> None:
        """What a person reads between the commands."""
        if not self.face.json:
            print_line(text)

    def run(self, agent: str, *arguments: str, exits: int = 0) -> None:
        """Run one command as an agent and print it with its output. Raises when it ends otherwise than expected."""
        self.show(agent, arguments, self.start(agent, arguments), exits)

    def start(self, agent: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
        folder = self.root / agent
        folder.mkdir(exist_ok=True)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TRACECRAFT_")}
        return subprocess.Popen(
            [sys.executable, "-m", "tracecraft", *arguments],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def show(self, agent: str, arguments: Sequence[str], process: subprocess.Popen[str], exits: int = 0) -> None:
        try:
            output, _ = process.communicate(timeout=_COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        status = process.returncode
        text = f"{agent}$ tracecraft {shlex.join(arguments)}\n{textwrap.indent(clean(output.rstrip()), '    ')}"
        document = {"agent": agent, "command": list(arguments), "output": output, "exit": status}
        self.face.show(document, text + (f"\n    (exit {status})" if status else ""))
        if status != exits:
            raise TracecraftError(
                f"the demo expected exit {exits} and saw {status}", hint=f"tracecraft doctor --store {self.url}"
            )


def _play(stage: Stage) -> None:
    for agent in ("designer", "developer", "reviewer"):
        stage.run(agent, "init", "--store", stage.url, "--project", stage.project, "--agent", agent)

    stage.tell("\nThe designer claims the design; the developer tries too and is refused.\n")
    stage.run("designer", "claim", "design")
    stage.run("developer", "claim", "design", exits=3)

    print_line(
        "\nThe developer waits at a barrier while the designer works, shares what others need, and hands over.\n"
    )
    barrier = ("wait-for", "design", "--timeout", "60")
    waiting = stage.start("developer", barrier)
    (stage.root / "designer" / "schema.json").write_text(json.dumps(_SCHEMA))
    stage.run("designer", "memory", "set", "design.format", '{"name": "json", "version": 2}')
    stage.run("designer", "artifact", "upload", "schema.json", "--step", "design")
    stage.run("designer", "send", "developer", "the schema is an artifact of design", "--step", "design", "--ack")
    handover = ("--note", "two fields, ids are strings", "--to", "developer", "--next-action", "build the parser")
    stage.run("designer", "complete", "design", *handover)
    stage.tell("\nThe barrier opens.\n")
    stage.show("developer", barrier, waiting)

    stage.tell("\nThe developer takes over and builds.\n")
    stage.run("developer", "inbox", "--new")
    stage.run("developer", "handoff", "design")
    stage.run("developer", "memory", "get", "design.format")
    stage.run("developer", "artifact", "download", "schema.json", "--step", "design")
    stage.run("developer", "claim", "build")
    stage.run("developer", "broadcast", "the parser is on the branch parser")
    stage.run("developer", "complete", "build", "--note", "parser done, no tests yet", "--to", "reviewer")

    stage.tell("\nThe reviewer looks, and blocks.\n")
    stage.run("reviewer", "inbox", "--new")
    stage.run("reviewer", "claim", "review")
    stage.run("reviewer", "send", "developer", "please add tests for empty input", "--step", "review")
    stage.run("reviewer", "complete", "review", "--blocked", "--note", "tests for empty input are missing")
    stage.run("developer", "wait-for", "review", exits=6)
    stage.run("designer", "sent")
    stage.run("designer", "status")


def _where_to_look(stage: Stage) -> list[str]:
    """Commands for the curious."""
    program = "tracecraft" if shutil.which("tracecraft") else f"{shlex.quote(sys.executable)} -m tracecraft"
    status = f"cd {shlex.quote(str(stage.root / 'reviewer'))} && {program} status"
    replay = f"cd {shlex.quote(str(stage.root / 'reviewer'))} && {program} replay --html replay.html"
    if stage.face.store:
        place = f"{stage.url.partition('?')[0].rstrip('/')}/{stage.project}"
        return [
            f"aws s3 ls --recursive {place}/",
            f"aws s3 cp {place}/steps/review/claim.json - | jq .",
            status,
            replay,
        ]
    folder = shlex.quote(str(stage.root / "store" / stage.project))
    return [
        f"ls -R {folder}",
        f"jq . {folder}/steps/review/claim.json",
        f"jq -r '.from + \": \" + .message' {folder}/messages/developer/*.json",
        status,
        replay,
    ]
