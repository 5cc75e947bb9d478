"""Endpoint, region and credentials for a bucket, from where AWS tools keep them.

obstore itself asks the environment, web identity, containers and instance metadata, but does not read ~/.aws; the
static keys in there are read here. What else a profile may say (a login, a role, a program) is left to boto3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracecraft.errors import UsageError
from tracecraft.store.address import Address, check_endpoint

_METHODS = {
    "role_arn": "an assumed role",
    "sso_session": "single sign-on",
    "sso_start_url": "single sign-on",
    "login_session": "a console login",
    "credential_process": "a credential process",
    "web_identity_token_file": "a web identity",
}
"""Settings of a profile that say where its keys come from, when they are not written in it."""


def options(address: Address, environ: Mapping[str, str]) -> dict[str, Any]:
    """obstore's S3 options for an address. Raises UsageError when an own endpoint is named and no keys are found, or
    the profile needs boto3 and it is not installed."""
    profile = _profile(environ)
    endpoint = (
        address.endpoint
        or environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url", "")
    )
    region = (
        address.region
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or profile.get("region")
        or "us-east-1"
    )
    found: dict[str, Any] = {"region": region, **_credentials(address, environ, profile)}
    if endpoint:
        found["endpoint"] = check_endpoint(endpoint)
        if "access_key_id" not in found and "credential_provider" not in found:
            raise UsageError(
                f"no credentials for {endpoint}",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or init --access-key --secret-key",
            )
    return found


def _credentials(address: Address, environ: Mapping[str, str], profile: Mapping[str, str]) -> dict[str, Any]:
    """Keys; or who gets them for a profile that has none, or that goes on to a role with them."""
    keys = _keys(address, environ, {} if "role_arn" in profile else profile)
    method = next((text for setting, text in _METHODS.items() if setting in profile), "")
    if keys or not method:
        return keys
    from tracecraft.store.aws_session import ProfileCredentials

    return {"credential_provider": ProfileCredentials(_chosen(environ), method)}


def _keys(address: Address, environ: Mapping[str, str], profile: Mapping[str, str]) -> dict[str, str]:
    for access, secret, token in (
        (address.access_key, address.secret_key, ""),
        (
            environ.get("AWS_ACCESS_KEY_ID", ""),
            environ.get("AWS_SECRET_ACCESS_KEY", ""),
            environ.get("AWS_SESSION_TOKEN", ""),
        ),
        (
            profile.get("aws_access_key_id", ""),
            profile.get("aws_secret_access_key", ""),
            profile.get("aws_session_token", ""),
        ),
    ):
        if access and not secret:
            raise UsageError("an access key without its secret key", hint="give both")
        if access:
            keys = {"access_key_id": access, "secret_access_key": secret}
            return {**keys, "session_token": token} if token else keys
    return {}


def _profile(environ: Mapping[str, str]) -> dict[str, str]:
    """The chosen profile's settings from ~/.aws/config and ~/.aws/credentials, the latter winning."""
    chosen = _chosen(environ)
    home = Path(environ.get("HOME") or Path.home())
    found: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", chosen if chosen == "default" else f"profile {chosen}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", chosen),
    ):
        path = Path(environ.get(variable) or home / ".aws" / file)
        if path.exists():
            found.update(_section(path, section))
    return found


def _section(path: Path, section: str) -> Mapping[str, str]:
    """A section of one of these files; empty where it is not in there."""
    from configparser import ConfigParser
    from configparser import Error as ConfigError

    parser = ConfigParser(interpolation=None)
    try:
        parser.read(path)
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {type(error).__name__}", hint="mend it") from None
    return dict(parser.items(section)) if parser.has_section(section) else {}


def _chosen(environ: Mapping[str, str]) -> str:
    return environ.get("AWS_PROFILE") or "default"
