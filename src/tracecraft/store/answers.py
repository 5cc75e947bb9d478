"""Turns what obstore raises into a store's answers: one place for all providers.

What obstore says may name URLs, and a URL may hold a signature. So nothing of its text is passed on but an HTTP status
and a provider's own error code, each found by a pattern that no secret fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from tracecraft.errors import Denied, NoBucket, NotFound, StoreError, Unreachable, UnsafeStore

_STATUS = r"status code: (\d{3})"
_CODE = r"<Code>([A-Za-z0-9]{1,64})</Code>"
_FAULT = r"kind: (Connect|Timeout|Request|Interrupted|Decode|Unknown)"
_NO_KEYS = r"token request|TokenRequest|AzureCli"
_NOT_NOW = r"4[02]8|429|5\d\d"
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled")
_NO_CONTAINER = "specified container does not exist"
"""All that is left of Azure's answer when it was one of many in a batch, as every DELETE is."""
_SKEWED = ("RequestTimeTooSkewed", "date header too old")


class Provider(msgspec.Struct, frozen=True):
    """What a provider calls its things, and what to do where it refuses."""

    place: str
    """What holds the objects: a bucket, a container."""
    denied: str
    """What to look at when access is refused."""
    credentials: str
    """What to set when no credentials are found."""


class Unanswered(Unreachable):
    """The store did not say what became of the request."""

    throttled = False


@contextmanager
def answering(key: str, provider: Provider, *passing: type[Exception]) -> Iterator[None]:
    """Turn what obstore raises into a store's answers. Answers to a condition pass through where they are named."""
    try:
        yield
    except passing:
        raise
    except FileNotFoundError as error:
        if names_no_bucket(error):
            raise no_bucket(provider) from error
        raise NotFound(key) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise _denied(key, str(error), provider) from error
    except (AlreadyExistsError, PreconditionError, NotModifiedError) as error:
        # What obstore makes of a 409, 412 or 304. Nobody asked under a condition.
        raise Unanswered("the store was busy with another write", hint="repeat the command") from error
    except BaseError as error:
        raise _failure(key, str(error), provider) from error


@contextmanager
def connecting(provider: Provider) -> Iterator[None]:
    """Turn what obstore raises while a client is made, which is about credentials it cannot use."""
    try:
        yield
    except (BaseError, ValueError) as error:
        raise Denied("the credentials cannot be used as they are", hint=provider.credentials) from error


def names_no_bucket(error: BaseException) -> bool:
    """Whether the provider said that there is no such bucket."""
    text = str(error)
    return _NO_CONTAINER in text or any(f"<Code>{code}</Code>" in text for code in _NO_BUCKET)


def no_bucket(provider: Provider) -> NoBucket:
    return NoBucket(f"the {provider.place} does not exist", hint="check its name, or let `tracecraft init` make it")


def _failure(key: str, text: str, provider: Provider) -> StoreError:
    status = re.search(_STATUS, text)
    code = re.search(_CODE, text)
    fault = re.search(_FAULT, text)
    if re.search(_NO_KEYS, text):
        return _no_token(status[1] if status else "", provider)
    if code and code[1] in _NO_BUCKET:
        return no_bucket(provider)
    if status and status[1] == "501":
        return UnsafeStore(
            f"the store refuses this kind of write ({key}: HTTP 501)",
            hint="it does not offer conditional writes; use another store for claims, or init --best-effort",
        )
    if (status and status[1] in ("401", "403")) or (code and code[1] == "InvalidAccessKeyId"):
        return _denied(key, text, provider)
    what = (
        f"HTTP {status[1]}"
        if status
        else {"Connect": "no connection", "Timeout": "timed out"}.get(fault[1] if fault else "", "the connection broke")
    )
    if code:
        what += f" {code[1]}"
    if fault and fault[1] == "Connect":
        return Unreachable(
            f"the store cannot be reached ({what})", hint="check the endpoint and the network: tracecraft doctor"
        )
    error = Unanswered(what, hint="the store did not answer properly; repeat the command")
    error.throttled = bool(status and status[1] in ("429", "503")) or bool(code and code[1] == "SlowDown")
    return error


def _no_token(status: str, provider: Provider) -> StoreError:
    """The request itself was never sent: nobody gave a token for it."""
    if re.fullmatch(_NOT_NOW, status):
        return Unreachable(f"no token for the store (HTTP {status})", hint="repeat the command")
    return Denied(
        "no credentials for the store were found" + (f" (HTTP {status})" if status else ""), hint=provider.credentials
    )


def _denied(key: str, text: str, provider: Provider) -> Denied:
    if any(sign in text for sign in _SKEWED):
        return Denied("this machine's clock is too far from the store's", hint="set the clock (NTP), then repeat")
    code = re.search(_CODE, text)
    return Denied(f"the store refuses access to {key}" + (f" ({code[1]})" if code else ""), hint=provider.denied)
