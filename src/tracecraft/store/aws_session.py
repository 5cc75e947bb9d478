"""Credentials of an AWS profile that are not written in it: a login, a role, a program. boto3 gets them.

The only code that imports boto3, which is optional and takes ten times as long to import as the store itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tracecraft.errors import Denied, UsageError

if TYPE_CHECKING:
    from obstore.store import S3Credential

_LIFE = timedelta(minutes=6)
"""How long obstore keeps what it was given. It asks again from 5 minutes before that; boto3 renews in time for it."""


class ProfileCredentials:
    """Gives obstore the keys of a profile whenever it asks; those that run out are renewed."""

    def __init__(self, profile: str, method: str) -> None:
        """`method` says how the profile gets its keys. Raises UsageError when boto3 is not installed."""
        if find_spec("boto3") is None:
            raise UsageError(
                f"the AWS profile {profile} uses {method}, which needs boto3",
                hint="pip install 'tracecraft-ai[aws]', or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        self._profile = profile
        self._method = method
        self._source: Any = None

    def __call__(self) -> S3Credential:
        """Keys that are good for some minutes. Raises Denied when the profile gives none."""
        try:
            keys = self._credentials().get_frozen_credentials()
        except Exception as error:  # whatever boto3, a program or a network raises; its text may hold keys
            raise Denied(
                f"the AWS profile {self._profile} ({self._method}) gave no credentials: {type(error).__name__}",
                hint=f"try it: aws sts get-caller-identity --profile {self._profile}",
            ) from None
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC) + _LIFE,
        }

    def _credentials(self) -> Any:
        if self._source is None:
            import boto3  # type: ignore[import-untyped]  # it comes without types

            self._source = boto3.Session(profile_name=self._profile).get_credentials()
        return self._source
