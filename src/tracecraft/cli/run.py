"""run: experiments, tracked with what they were given, measured, used and did."""

from __future__ import annotations

import click

from tracecraft.cli.lazy import LazyGroup, Modules

COMMANDS: Modules = {
    "start": ("run_start", "start"),
    "log-metric": ("run_log", "log_metric"),
    "log-param": ("run_log", "log_param"),
    "log-artifact": ("run_log", "log_artifact"),
    "log-usage": ("run_log", "log_usage"),
    "note": ("run_log", "note"),
    "end": ("run_start", "end"),
    "exec": ("run_exec", "execute"),
    "list": ("run_list", "list_runs"),
    "inspect": ("run_show", "inspect_run"),
    "compare": ("run_compare", "compare"),
    "metrics": ("run_compare", "metrics"),
    "export": ("run_export", "export"),
    "delete": ("run_upkeep", "delete"),
    "reindex": ("run_upkeep", "reindex"),
}


@click.group(cls=LazyGroup, modules=COMMANDS)
def run() -> None:
    """Experiments, tracked with what they were given, measured, used and did."""
