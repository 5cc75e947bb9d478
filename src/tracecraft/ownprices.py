"""The user's own prices of models, from a `prices.json`. They go before those of any price list."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec

from tracecraft.errors import UsageError
from tracecraft.localstate import OWN

FILE = "prices.json"
SOURCE = "prices.json"
"""How a cost tells that it was made with the user's prices."""

_EXAMPLE = '{"models": {"my-model": {"input": 3, "output": 15}}}, in US dollars for a million tokens'

_Dollars = Annotated[float, msgspec.Meta(ge=0)]


class OwnRates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for a million tokens. What comes from or goes into a cache costs as `input` where nothing is said."""

    input: _Dollars
    output: _Dollars
    cache_read: _Dollars | None = None
    cache_write: _Dollars | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    models: dict[str, OwnRates]


def rates(model: str, provider: str = "", environ: Mapping[str, str] = os.environ) -> OwnRates | None:
    """The user's price of a model; None where they gave none. Raises UsageError for a file that cannot be used.

    A model is looked for as `provider/model`, as it is named, and without what stands before a slash; first by its
    whole name, then by the longest beginning that ends in `*`.
    """
    named = environ.get("TRACECRAFT_PRICES")
    # Asked for every call of a model that is exported, so without the weight of pathlib.
    path = named or os.path.join(os.path.expanduser("~"), OWN, FILE)
    try:
        found = os.stat(path)
    except OSError as error:
        if named:
            raise _unusable(path, error.strerror or str(error)) from None
        return None
    known = _read(path, found.st_mtime_ns, found.st_size)
    names = [*([f"{provider}/{model}"] if provider else []), model, model.rpartition("/")[2]]
    exact = next((known[name] for name in names if name in known), None)
    return exact or _by_beginning(known, names)


def _by_beginning(known: Mapping[str, OwnRates], names: Iterable[str]) -> OwnRates | None:
    fitting = [
        pattern
        for pattern in known
        if pattern.endswith("*") and any(name.startswith(pattern.removesuffix("*")) for name in names)
    ]
    return known[max(fitting, key=len)] if fitting else None


@lru_cache(maxsize=4)
def _read(path: str, modified_ns: int, size: int) -> Mapping[str, OwnRates]:
    """The prices in a file, read again where it changed."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=_File).models
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unusable(path, str(error)) from None


def _unusable(path: str, reason: str) -> UsageError:
    return UsageError(f"cannot use the prices in {path}: {reason}", hint=f"mend or remove it; it looks like {_EXAMPLE}")
