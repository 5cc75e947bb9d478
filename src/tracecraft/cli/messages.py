"""send, broadcast, sent, inbox, ack: mail between agents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from tracecraft.cli.face import Face, command, read_text
from tracecraft.cli.output import indented, one_line, print_line, show_time
from tracecraft.clock import iso
from tracecraft.errors import UsageError
from tracecraft.layout import BROADCAST
from tracecraft.mailbox import Letter, Message, Receipt, short_id


@command()
@click.argument("to", metavar="AGENT")
@click.argument("message")
@click.option("--step", help="The step it is about.")
@click.option("--reply-to", metavar="ID", help="The message it answers.")
@click.option("--ack", is_flag=True, help="Ask for a receipt; see it with `tracecraft sent`.")
def send(face: Face, to: str, message: str, step: str | None, reply_to: str | None, ack: bool) -> None:
    """Send MESSAGE (- reads standard input) to AGENT.

    \b
    Example:
      tracecraft send developer "the schema is in docs/schema.md" --step design --ack
    """
    _send(face, to, message, step=step, reply_to=reply_to, ack=ack)


@command()
@click.argument("message")
@click.option("--step", help="The step it is about.")
@click.option("--reply-to", metavar="ID", help="The message it answers.")
@click.option("--ack", is_flag=True, help="Ask for receipts.")
def broadcast(face: Face, message: str, step: str | None, reply_to: str | None, ack: bool) -> None:
    """Send MESSAGE to everybody in the project.

    \b
    Example:
      tracecraft broadcast "main is frozen until 14:00"
    """
    _send(face, BROADCAST, message, step=step, reply_to=reply_to, ack=ack)


@command()
@click.option("--unread", is_flag=True, help="Only what nobody has read.")
def sent(face: Face, unread: bool) -> None:
    """Show what you sent and what became of it: stored, read, acknowledged.

    \b
    Example:
      tracecraft sent --unread
    """
    receipts = face.project.mailbox.sent(unread=unread)
    document = [
        {"id": r.id, **_fields(r.message), "state": r.state, "read_by": r.read_by, "acked_by": r.acked_by}
        for r in receipts
    ]
    lines = [_receipt_line(receipt) for receipt in receipts]
    face.show({"sent": document}, "\n".join(lines) or ("nothing unread" if unread else "nothing sent"))


@command()
@click.option("--new", "only_new", is_flag=True, help="Only what you were not shown before.")
@click.option("--watch", is_flag=True, help="Print new messages as they come, until interrupted.")
@click.option("--delete", is_flag=True, help="Remove direct messages for good once they are shown.")
@click.option("--limit", type=click.IntRange(min=1), help="At most N, the oldest first.")
def inbox(face: Face, only_new: bool, watch: bool, delete: bool, limit: int | None) -> None:
    """Show your messages and broadcasts, oldest first.

    With --new each is marked as read once it was printed: it is shown again only if printing was cut off.

    \b
    Example:
      tracecraft inbox --new
    """
    if only_new + watch + delete > 1:
        raise UsageError("--new, --watch and --delete exclude each other", hint="choose one")
    if watch:
        for batch in face.project.mailbox.watch():
            for letter in batch:
                face.show(_document(letter), _line(letter))
    elif only_new:
        _show_new(face, limit)
    else:
        letters = face.project.mailbox.read()[:limit]
        face.show(
            {"messages": [_document(letter) for letter in letters]}, "\n".join(map(_line, letters)) or "no messages"
        )
        if delete:
            face.project.mailbox.delete(letters)


@command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def ack(face: Face, ids: Sequence[str]) -> None:
    """Acknowledge messages: tell their senders that you have dealt with them.

    An ID may be shortened to any unambiguous beginning or end.

    \b
    Example:
      tracecraft ack 5f0c1a2b
    """
    done = face.project.mailbox.ack(ids)
    face.show({"acknowledged": done}, f"acknowledged {', '.join(done)}")


def _send(face: Face, to: str, message: str, *, step: str | None, reply_to: str | None, ack: bool) -> None:
    letter = face.project.mailbox.send(to, read_text(message), step=step, reply_to=reply_to, ack=ack)
    face.show({"id": letter.id, "to": to}, f"sent to {'everybody' if to == BROADCAST else to} (id {letter.short_id})")


def _show_new(face: Face, limit: int | None) -> None:
    """Batch by batch, each marked as read after it was printed."""
    shown = 0
    if face.json:
        # One document is one batch: it is only whole when all of it is printed.
        for batch in face.project.mailbox.new(limit=limit, batch=sys.maxsize):
            face.show({"messages": [_document(letter) for letter in batch]}, "")
            shown += 1
        if not shown:
            face.show({"messages": []}, "")
        return
    for batch in face.project.mailbox.new(limit=limit):
        for letter in batch:
            print_line(_line(letter))
            shown += 1
    if not shown:
        print_line("no new messages")


def _line(letter: Letter) -> str:
    """A message as text: who, what, when; what the sender wrote can never look like a line of ours."""
    message = letter.message
    about = f" [step {one_line(message.step)}]" if message.step else ""
    kind = "everybody" if letter.broadcast else "you"
    wants = " (wants an ack)" if message.ack else ""
    answers = f" (re {one_line(message.reply_to)})" if message.reply_to else ""
    return (
        f"{show_time(letter.modified)} #{one_line(letter.short_id)} {one_line(message.sender or '?')} to {kind}"
        f"{about}{answers}{wants}: "
        f"{indented(message.message)}"
    )


def _receipt_line(receipt: Receipt) -> str:
    by = _by(receipt.acked_by or receipt.read_by)
    to = one_line(receipt.message.to)
    return f"#{one_line(short_id(receipt.id))} to {to}: {receipt.state}{by}: {indented(receipt.message.message)}"


def _document(letter: Letter) -> dict[str, Any]:
    place = {"broadcast": letter.broadcast, "stored_at": iso(letter.modified)}
    return {"id": letter.id, **_fields(letter.message), **place}


def _fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "from": message.sender,
        "to": message.to,
        "message": message.message,
        "sent_at": message.sent_at,
    }
    optional = {"step": message.step, "reply_to": message.reply_to, "ack": message.ack}
    return fields | {name: value for name, value in optional.items() if value}


def _by(names: Sequence[str]) -> str:
    return f" by {one_line(', '.join(names))}" if names else ""
