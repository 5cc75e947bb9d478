"""init: set this folder up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import clean
from tracecraft.errors import UsageError
from tracecraft.setup import Outcome, Wishes, set_up


@command()
@click.option("--endpoint", default="", metavar="URL", help="The endpoint, where it is not the provider's own.")
@click.option("--bucket", default="", metavar="NAME", help="The bucket; made if it is not there.")
@click.option("--region", default="", metavar="NAME", help="The bucket's region.")
@click.option("--access-key", default="", help="Kept in the file. Better: AWS_ACCESS_KEY_ID, or a profile.")
@click.option("--secret-key", default="", help="Kept in the file. Better: AWS_SECRET_ACCESS_KEY, or a profile.")
@click.option("--best-effort", is_flag=True, help="Accept a store on which two agents may both win a claim.")
@click.option("--force", is_flag=True, help="Use an agent's name though it is at work elsewhere.")
@click.option("--backend", type=click.Choice(["s3", "hf"]), default="s3", hidden=True)
def init(
    face: Face,
    endpoint: str,
    bucket: str,
    region: str,
    access_key: str,
    secret_key: str,
    best_effort: bool,
    force: bool,
    backend: str,
) -> None:
    """Set this folder up: name the store, the project and the agent, and try the store out.

    Without options: a folder store under ~/.tracecraft, the project of this git repository, and an agent name of this
    worktree's own.

    \b
    Example:
      tracecraft init
      tracecraft init --store s3://bucket/prefix --project demo --agent designer
      tracecraft init --store az://container/prefix --project demo --agent designer
      tracecraft init --bucket tracecraft --endpoint http://localhost:8333 --agent designer
    """
    if backend == "hf":
        raise UsageError("Hugging Face buckets are not supported yet", hint="use a folder or a bucket elsewhere")
    wishes = Wishes(
        store=face.store or "",
        endpoint=endpoint,
        bucket=bucket,
        region=region,
        project=face.project_name or "",
        agent=face.agent or "",
        access_key=access_key,
        secret_key=secret_key,
        best_effort=best_effort,
        force=force,
    )
    outcome = set_up(Path.cwd(), wishes)
    face.show(_document(outcome), "\n".join(_lines(outcome)))


def _lines(outcome: Outcome) -> list[str]:
    project, facts = outcome.project, outcome.facts
    lines = [f"project {project.name}, agent {project.agent}", f"store {outcome.address.url}"]
    if outcome.made_bucket:
        lines.append(f"made the bucket {outcome.address.bucket}")
    if facts.atomic_create and facts.compare_and_swap:
        lines.append("claims are safe here: one winner in every race of 16")
    elif project.best_effort:
        lines.append("claims are best effort here: two agents may both win one")
    elif facts.refuses:
        lines.append("claims are refused here: the store says that it has no conditional writes (or --best-effort)")
    else:
        lines.append("claims are refused here: several won one race (use another store, or --best-effort)")
    lines.append(f"wrote {clean(outcome.file)}")
    if outcome.secrets_in_file:
        lines.append("the access keys are in that file, readable only by you: do not commit it")
    if outcome.ignored_in:
        lines.append(f"added it to {clean(outcome.ignored_in)}")
    return [*lines, "next: tracecraft status"]


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "project": outcome.project.name,
        "agent": outcome.project.agent,
        "store": outcome.address.url,
        "file": str(outcome.file),
        "made_bucket": outcome.made_bucket,
        "atomic_create": outcome.facts.atomic_create,
        "compare_and_swap": outcome.facts.compare_and_swap,
        "secrets_in_file": outcome.secrets_in_file,
        "gitignore": str(outcome.ignored_in) if outcome.ignored_in else None,
    }
