"""doctor: does everything work, and what to do if not."""

from __future__ import annotations

import click
import msgspec

from tracecraft.cli.face import Face, command
from tracecraft.cli.output import as_json, one_line, print_line
from tracecraft.doctor import Finding, examine

_MARK = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}


@command()
@click.option("--repair", is_flag=True, help="Write views and history anew where they do not match.")
def doctor(face: Face, repair: bool) -> int:
    """Look over settings, store, clock, claims and views; say what to do. Exit 1 when there is a problem.

    \b
    Example:
      tracecraft doctor --repair
    """
    project = face.project
    findings = [
        Finding("settings", "ok", f"project {project.name}, {_who(face)}, settings from {project.settings_from}")
    ]
    if not project.has_agent:
        findings.append(Finding("agent", "warning", "no agent is named here", "tracecraft init"))
    if not face.json:
        print_line(_line(findings[0]))
    for finding in examine(project, agent=project.has_agent, repair=repair):
        findings.append(finding)
        if not face.json:
            print_line(_line(finding))
    if face.json:
        told = [msgspec.structs.asdict(finding) for finding in findings]
        print_line(as_json({"findings": told, "healthy": not _problems(findings)}))
    return 1 if _problems(findings) else 0


def _who(face: Face) -> str:
    return f"agent {face.project.agent}" if face.project.has_agent else "no agent"


def _line(finding: Finding) -> str:
    hint = f"\n          next: {one_line(finding.next)}" if finding.next else ""
    return f"{_MARK[finding.verdict]}  {finding.check}: {one_line(finding.message)}{hint}"


def _problems(findings: list[Finding]) -> bool:
    return any(finding.verdict == "problem" for finding in findings)
