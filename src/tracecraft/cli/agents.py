"""agents: who is there."""

from __future__ import annotations

from tracecraft import clock
from tracecraft.cli.face import Face, command
from tracecraft.cli.output import table
from tracecraft.overview import look


@command()
def agents(face: Face) -> None:
    """List the agents of the project: what they hold and when they last did something.

    \b
    Example:
      tracecraft agents
    """
    overview = look(face.project, with_mail=False)
    rows = [
        (a.name, a.status, overview.step_of(a.name) or "-", f"{clock.show_duration(a.age)} ago", a.record.place)
        for a in overview.agents
    ]
    document = [
        {
            "agent": a.name,
            "status": a.status,
            "step": overview.step_of(a.name),
            "heartbeat": a.record.heartbeat,
            "heartbeat_age_s": round(a.age),
            "place": a.record.place,
        }
        for a in overview.agents
    ]
    face.show({"agents": document}, table(rows, heads=("AGENT", "STATUS", "STEP", "HEARTBEAT", "PLACE")) or "no agents")
