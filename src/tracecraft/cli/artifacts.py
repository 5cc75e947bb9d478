"""artifact: files shared between agents."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tracecraft.artifacts import Artifact, Progress
from tracecraft.cli.face import Face, command
from tracecraft.cli.output import one_line, table


@click.group()
def artifact() -> None:
    """Files shared between agents, of any size."""


@artifact.add_command
@command("upload", tidies_up=True)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--step", help="The step it belongs to.")
@click.option("--name", help="What to call it. [default: the file's name]")
def upload(face: Face, path: Path, step: str | None, name: str | None) -> None:
    """Store the file at PATH, replacing one of the same name.

    \b
    Example:
      tracecraft artifact upload build/report.pdf --step review
    """
    stored = face.project.artifacts.upload(path, step=step, name=name, progress=_progress(face, "uploading"))
    face.show(_document(stored), f"uploaded {stored.name} ({stored.size} bytes, sha256 {stored.sha256[:12]})")


@artifact.add_command
@command("download", tidies_up=True)
@click.argument("name")
@click.option("--step", help="The step it belongs to.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File or folder. [default: here]")
def download(face: Face, name: str, step: str | None, output: Path | None) -> None:
    """Fetch NAME, checked against its checksum. It appears complete or not at all.

    \b
    Example:
      tracecraft artifact download report.pdf --step review -o /tmp
    """
    found, path = face.project.artifacts.download(name, step=step, to=output, progress=_progress(face, "downloading"))
    checked = "checked" if found.verified else "unverified"
    face.show(
        {**_document(found), "path": str(path)}, f"downloaded {found.name} to {path} ({found.size} bytes, {checked})"
    )


@artifact.add_command
@command("list")
@click.option("--step", help="Only of this step.")
def list_artifacts(face: Face, step: str | None) -> None:
    """List stored files.

    \b
    Example:
      tracecraft artifact list --step review
    """
    found = face.project.artifacts.list(step=step)
    rows = [(a.step, a.name, a.size, a.uploaded_by, a.sha256[:12] or "unverified") for a in found]
    text = table(rows, heads=("STEP", "NAME", "BYTES", "BY", "SHA256"))
    face.show({"artifacts": [_document(a) for a in found]}, text or "no artifacts")


def _document(artifact: Artifact) -> dict[str, Any]:
    return {
        "step": artifact.step,
        "name": artifact.name,
        "size": artifact.size,
        "sha256": artifact.sha256 or None,
        "verified": artifact.verified,
        "uploaded_by": artifact.uploaded_by or None,
    }


def _progress(face: Face, label: str) -> Progress | None:
    """A bar on standard error, where a person watches."""
    if face.json or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        share = done / total if total else 1.0
        filled = round(share * 30)
        end = "\n" if done >= total else ""
        sys.stderr.write(
            f"\r{one_line(label)} [{'#' * filled}{'.' * (30 - filled)}] {share:4.0%} {done >> 20} MiB{end}"
        )
        sys.stderr.flush()

    return show
