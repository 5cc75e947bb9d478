"""What can be recorded of a run, of an agent in it, and of a step alike. Nothing here waits for a store.

Arguments of a wrong kind raise UsageError. Values may be anything: what JSON cannot hold becomes its text.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracecraft.errors import UsageError
from tracecraft.runs import log
from tracecraft.runs.tokens import normalised

if TYPE_CHECKING:
    from tracecraft.runs.sdk.running import Run

_LONGEST_NAME = 500


class Recording(ABC):
    """Records what it is told, with where that was: by which agent, in which span."""

    @property
    @abstractmethod
    def run(self) -> Run:
        """The run it is of."""

    @abstractmethod
    def _whereabouts(self) -> tuple[str, str]:
        """The agent and the span that a line is about."""

    def log_metrics(self, values: Mapping[str, float], step: float | None = None) -> None:
        """Numbers that were measured together, at a `step` of the training or loop where one is given.

        What is not finite is kept as NaN.
        """
        numbers = {_name("metric", name): _number(name, value) for name, value in _items("metrics", values)}
        if numbers:
            self._log(log.Metrics(values=numbers, step=None if step is None else _number("step", step)))

    def log_metric(self, name: str, value: float, step: float | None = None) -> None:
        """One of them."""
        self.log_metrics({name: value}, step)

    def log_params(self, values: Mapping[str, Any]) -> None:
        """What the run was given. The last value of a name counts."""
        self._log(params_line(values))

    def log_param(self, name: str, value: Any) -> None:
        """One of them."""
        self.log_params({name: value})

    def add_tags(self, *tags: str) -> None:
        """Tags by which the run is found: `run list --tag`."""
        if tags:
            self._log(tags_line(tags))

    def remove_tags(self, *tags: str) -> None:
        """Take tags back."""
        if tags:
            self._log(log.Tags(remove=[_name("tag", tag) for tag in tags]))

    def note(self, text: str) -> None:
        """A remark."""
        self._log(log.Note(text=str(text)))

    def log_usage(
        self,
        raw: Any = None,
        *,
        model: str = "",
        provider: str = "",
        input: int = 0,
        output: int = 0,
        cache_read: int = 0,
        cache_write: int = 0,
        reasoning: int = 0,
        cost: float | None = None,
        call: str = "",
    ) -> None:
        """Tokens that a call of a model used: a provider's usage or response as `raw`, or the numbers.

        Of the numbers, `input` is all that was sent, also what came from or went into a cache, and `cache_read` and
        `cache_write` are parts of it; `reasoning` is a part of `output`. `cost` is in US dollars, where the provider
        says it. Of several records with one `call` the one with the largest output counts.
        """
        if raw is None:
            counts = (input, output, cache_read, cache_write, reasoning)
            if any(not isinstance(count, int) or count < 0 for count in counts):
                raise UsageError("tokens are counted in whole numbers from 0 on", hint="check what log_usage was given")
            self._log(
                log.Usage(
                    model=model or self._model,
                    provider=provider,
                    input=input,
                    output=output,
                    cache_read=cache_read,
                    cache_write=cache_write,
                    reasoning=reasoning,
                    cost=cost,
                    call=call,
                )
            )
            return
        try:
            entries = normalised(raw, provider=provider, model=model, call=call, cost=cost)
        except UsageError as error:
            # The shape of a response is its provider's doing: nothing that may end the work.
            self.run._tell("usage", error.message)
            return
        for entry in entries:
            entry.model = entry.model or self._model
            self._log(entry)

    def log_artifact(self, path: str | Path, name: str | None = None) -> None:
        """Keep a file, or the files in a folder, as they are now. The same content is stored once per project.

        Takes as long as copying them; they are sent later. Raises UsageError when there is no such file or folder.
        """
        agent, span = self._whereabouts()
        kept_as = _name("artifact", name or Path(path).resolve().name)
        self.run._recorder.log_artifact(kept_as, path, at=time.time(), agent=agent, span=span)

    @property
    def _model(self) -> str:
        """The model that is used where a usage names none."""
        return ""

    def _log(self, line: log.Known) -> None:
        line.at = time.time()
        line.agent, line.span = self._whereabouts()
        self.run._recorder.log(line)


def params_line(values: Mapping[str, Any]) -> log.Params:
    """The line that says so. Raises UsageError."""
    return log.Params(values={_name("param", name): value for name, value in _items("params", values)})


def tags_line(tags: Sequence[str]) -> log.Tags:
    """The same for tags."""
    if isinstance(tags, str):
        raise UsageError("tags are given as a list", hint=f'tags=["{tags}"]')
    return log.Tags(add=[_name("tag", tag) for tag in tags])


def _items(what: str, values: Mapping[str, Any]) -> Any:
    if not isinstance(values, Mapping):
        raise UsageError(f"{what} are given as a mapping, not as {type(values).__name__}", hint='{"name": value}')
    return values.items()


def _name(kind: str, name: str) -> str:
    if not isinstance(name, str) or not name or len(name) > _LONGEST_NAME:
        raise UsageError(f"not a {kind}'s name: {str(name)[:80]!r}", hint=f"a text of 1 to {_LONGEST_NAME} characters")
    return name


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{name} is no number: {str(value)[:80]!r}", hint="other things are params or notes") from None
