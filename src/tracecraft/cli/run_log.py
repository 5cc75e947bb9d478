"""run log-metric, log-param, log-artifact, log-usage, note: one thing at a time is recorded of the current run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import msgspec

from tracecraft.cli.face import Face, command, read_text, read_value
from tracecraft.cli.output import indented, one_line
from tracecraft.cli.run_naming import current_run
from tracecraft.errors import UsageError
from tracecraft.runs import log, oneshot

_COUNT = click.IntRange(min=0)


@command("log-metric")
@click.argument("name")
@click.argument("value", type=float)
@click.option("--step", type=float, metavar="N", help="The step of the training or loop.")
def log_metric(face: Face, name: str, value: float, step: float | None) -> None:
    """Record that the metric NAME is VALUE now. The last value counts; all are kept.

    What is not finite is kept as NaN.

    \b
    Example:
      tracecraft run log-metric quality_score 0.92 --step 10
    """
    if step is not None and not math.isfinite(step):
        raise UsageError("a step is a finite number", hint="leave it out where there is none")
    _record(face, log.Metrics(values={_name(name): value}, step=step), f"{one_line(name)} = {value:g}")


@command("log-param")
@click.argument("name", metavar="K")
@click.argument("value", metavar="V")
def log_param(face: Face, name: str, value: str) -> None:
    """Record that the run was given V for K. V is JSON, or else text; - reads standard input, @file a file.

    \b
    Example:
      tracecraft run log-param temperature 0.2
    """
    given = value_of(read_value(value))
    _record(face, log.Params(values={_name(name): given}), f"{one_line(name)} is recorded")


@command("log-artifact", tidies_up=True)
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
def log_artifact(face: Face, name: str, path: Path) -> None:
    """Keep the file or folder at PATH as NAME. The same content is stored once per project.

    \b
    Example:
      tracecraft run log-artifact answers out/answers.jsonl
    """
    run = current_run(face)
    kept = oneshot.keep_file(face.project, run, _name(name), path)
    many = f"{len(kept.files)} files, " if kept.files or path.is_dir() else ""
    document = {"run": run, "name": name, "sha256": kept.sha256, "size": kept.size, "files": len(kept.files) or None}
    face.show(document, f"kept {one_line(name)} ({many}{kept.size} bytes, sha256 {kept.sha256[:12]})")


@command("log-usage")
@click.option("--model", required=True, metavar="NAME", help="The model that was called.")
@click.option(
    "--input", "whole", type=_COUNT, metavar="N", help="All tokens sent, what a cache held included (OpenAI)."
)
@click.option("--uncached-input", type=_COUNT, metavar="N", help="Instead: those no cache held or got (Anthropic).")
@click.option("--output", type=_COUNT, required=True, metavar="N", help="All tokens that came back.")
@click.option("--cache-read", type=_COUNT, default=0, metavar="N", help="Of those sent: what came from a cache.")
@click.option("--cache-write", type=_COUNT, default=0, metavar="N", help="Of those sent: what went into a cache.")
@click.option("--reasoning", type=_COUNT, default=0, metavar="N", help="Of those that came back: thinking.")
@click.option("--provider", default="", metavar="NAME", help="Whose model it is, where the name is not enough.")
@click.option("--cost", type=click.FloatRange(min=0), metavar="USD", help="What the provider says it cost.")
@click.option("--call", default="", metavar="ID", help="Of several records of one call the largest output counts.")
def log_usage(
    face: Face,
    model: str,
    whole: int | None,
    uncached_input: int | None,
    output: int,
    cache_read: int,
    cache_write: int,
    reasoning: int,
    provider: str,
    cost: float | None,
    call: str,
) -> None:
    """Record the tokens of a call of a model. What they cost is worked out when it is read.

    Providers count in two ways. OpenAI's input holds what came from a cache: give it as --input. Anthropic's does not:
    give it as --uncached-input, and --cache-read and --cache-write are added to it.

    \b
    Example:
      tracecraft run log-usage --model claude-sonnet-4-5 --uncached-input 1200 --output 340 --cache-read 8000
    """
    if (whole is None) == (uncached_input is None):
        raise UsageError("give either --input or --uncached-input", hint="tracecraft run log-usage --help")
    sent = whole if whole is not None else (uncached_input or 0) + cache_read + cache_write
    if cache_read + cache_write > sent:
        raise UsageError(
            f"--input {sent} is less than what came from and went into caches",
            hint="--input holds those too; a number without them is --uncached-input",
        )
    line = log.Usage(
        model=model,
        provider=provider,
        input=sent,
        output=output,
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=reasoning,
        cost=cost,
        call=call,
    )
    _record(face, line, f"{one_line(model)}: {sent} tokens in, {output} out")


@command("note")
@click.argument("text")
def note(face: Face, text: str) -> None:
    """Add a remark to the run; - reads standard input.

    \b
    Example:
      tracecraft run note "the second prompt is better on long questions"
    """
    told = read_text(text)
    _record(face, log.Note(text=told), f"noted: {indented(told)}")


def value_of(text: str) -> Any:
    """A param as it is meant: JSON where it is some, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def _record(face: Face, line: log.Known, told: str) -> None:
    run = current_run(face)
    oneshot.record(face.project, run, [oneshot.placed(face.project, line)])
    face.show({"run": run}, told)


def _name(text: str) -> str:
    if not text or len(text) > 500:
        raise UsageError("a name has 1 to 500 characters", hint="choose another")
    return text
