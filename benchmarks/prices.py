"""What requests cost, as the providers say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """Dollars for a million requests that write or list, and for a million that read. DELETE is free at both."""

    provider: str
    write: float
    read: float
    source: str
    note: str


AWS = Price(
    "AWS us-east-1",
    5.0,
    0.4,
    "https://aws.amazon.com/s3/pricing/",
    "S3 Standard; 304 and 404 are billed as the GET they answer",
)
R2 = Price(
    "Cloudflare R2",
    4.5,
    0.36,
    "https://developers.cloudflare.com/r2/pricing/",
    "class A and B; 304 and 404 are not named there and counted as class B; a free million and ten million a month "
    "are not taken off",
)
PRICES = (AWS, R2)

_WRITES = ("PUT", "LIST")
_FREE = ("DELETE",)


def dollars(price: Price, requests: Mapping[str, float]) -> float:
    """The bill for so many requests of each kind (see counting.py)."""
    total = 0.0
    for kind, count in requests.items():
        if kind not in _FREE:
            total += count * (price.write if kind in _WRITES else price.read) / 1e6
    return total
