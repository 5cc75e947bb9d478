"""The list of commands, each imported only when it is called, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from tracecraft import __version__
from tracecraft.cli.lazy import LazyGroup, Modules
from tracecraft.cli.output import print_error
from tracecraft.errors import TracecraftError, UsageError

COMMANDS: Modules = {
    "init": ("init", "init"),
    "status": ("status", "status"),
    "doctor": ("doctor", "doctor"),
    "agents": ("agents", "agents"),
    "log": ("log", "log"),
    "replay": ("replay", "replay"),
    "gc": ("gc", "gc"),
    "demo": ("demo", "demo"),
    "claim": ("claims", "claim"),
    "release": ("claims", "release"),
    "renew": ("claims", "renew"),
    "exec": ("execute", "execute"),
    "complete": ("claims", "complete"),
    "reopen": ("claims", "reopen"),
    "step-status": ("claims", "step_status"),
    "handoff": ("claims", "handoff"),
    "wait-for": ("claims", "wait_for"),
    "next": ("steps", "next_step"),
    "step": ("steps", "step"),
    "memory": ("memory", "memory"),
    "send": ("messages", "send"),
    "broadcast": ("messages", "broadcast"),
    "sent": ("messages", "sent"),
    "inbox": ("messages", "inbox"),
    "ack": ("messages", "ack"),
    "artifact": ("artifacts", "artifact"),
    "session": ("session", "session"),
    "run": ("run", "run"),
    "runs": ("runs", "runs"),
    "completion": ("completion", "completion"),
}


@click.group(cls=LazyGroup, modules=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tracecraft")
@click.option("--json", "as_json", is_flag=True, expose_value=False, help="The same as after the command.")
def tracecraft() -> None:
    """Coordinate coding agents through a folder or bucket you own.

    Agents claim steps so that nobody works twice, send messages, share memory and files, and wait for each other. Start
    with `tracecraft init`; `tracecraft status` shows the project on one screen.

    \b
    Exit codes: 0 done, 1 failed, 2 usage, 3 refused by another's state, 4 not found or nothing to do,
    5 timed out, 6 blocked, 7 store unreachable, not allowed, or outcome unknown.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    # A reader that went away ends the command quietly, as it does for any Unix tool. Ctrl-C ends even a request that is
    # under way; commands that must tidy up set a handler of their own.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    as_json = _wants_json(arguments)
    try:
        result = tracecraft.main(args=list(arguments), prog_name="tracecraft", standalone_mode=False, obj=as_json)
    except click.exceptions.NoArgsIsHelpError as error:
        if not as_json:
            click.echo(error.ctx.get_help() if error.ctx else "", err=True)
            return UsageError.exit_code
        failure: TracecraftError = UsageError("no command is named", hint=_help_of(error))
    except click.ClickException as error:
        failure = UsageError(error.format_message(), hint=_help_of(error))
    except TracecraftError as error:
        failure = error
    except (click.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT
    except OSError as error:
        failure = _os_error(error)
    except Exception as error:
        if os.environ.get("TRACECRAFT_DEBUG"):
            raise
        failure = TracecraftError(
            f"unexpected {type(error).__name__}: {error}", hint="this is a bug; TRACECRAFT_DEBUG=1 shows where"
        )
    else:
        return result if isinstance(result, int) else 0
    print_error(failure, as_json=as_json)
    # The codes of `exec` below 100 are its command's.
    words = [argument for argument in arguments if not argument.startswith("-")]
    is_exec = words[:1] == ["exec"] or (words[:1] in (["run"], ["runs"]) and words[1:2] == ["exec"])
    return failure.exit_code + (100 if is_exec else 0)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether an error must be JSON, known even when the arguments cannot be parsed."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before or wants_json_by_environment()


def wants_json_by_environment() -> bool:
    return os.environ.get("TRACECRAFT_JSON", "") not in ("", "0")


def _help_of(error: click.ClickException) -> str:
    """The command that shows how the failed one is used."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{context.command_path if context else 'tracecraft'} --help"


def _os_error(error: OSError) -> TracecraftError:
    where = f"{error.filename}: " if error.filename else ""
    return TracecraftError(f"{where}{error.strerror or error}", hint="check the path and its permissions")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
