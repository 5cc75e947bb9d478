"""Addresses of stores, and where keys, region and endpoint of a bucket come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecraft.errors import UsageError
from tracecraft.store.address import Address, parse
from tracecraft.store.aws import options
from tracecraft.store.folder import FolderStore
from tracecraft.store.opening import open_store

SEGMENT = st.text(min_size=1).filter(lambda text: text.strip("/") == text)


@pytest.mark.parametrize(
    ("url", "bucket", "prefix", "endpoint", "region"),
    [
        ("s3://b", "b", "", "", ""),
        ("s3://b/", "b", "", "", ""),
        ("s3://b/team/x/", "b", "team/x", "", ""),
        ("s3://b/a%20b", "b", "a b", "", ""),
        ("s3://b?endpoint=http://h:1", "b", "", "http://h:1", ""),
        ("s3://b/p?region=eu-1&endpoint=https://h", "b", "p", "https://h", "eu-1"),
    ],
)
def test_buckets(url: str, bucket: str, prefix: str, endpoint: str, region: str) -> None:
    address = parse(url)
    assert (address.scheme, address.bucket, address.prefix) == ("s3", bucket, prefix)
    assert (address.endpoint, address.region) == (endpoint, region)


@given(st.text(min_size=1).filter(lambda text: text.strip("/") == text and text.isprintable()))
def test_a_bucket_is_found_again_by_its_url(prefix: str) -> None:
    address = Address("s3", bucket="b", prefix=prefix, endpoint="http://h:1/p?a=b&c", region="eu 1")
    assert parse(address.url) == address


@pytest.mark.parametrize(
    "url",
    [
        "gs://bucket", "gs://bucket.name_1/team/x", "gs://bucket/a%20b?endpoint=http://127.0.0.1:1",
        "az://container", "az://container/team/x?account=one", "az://con-1/p?account=one&endpoint=http://h:1/one",
    ],
)  # fmt: skip
def test_google_and_azure(url: str) -> None:
    address = parse(url)
    assert address.url == url
    assert parse(address.url) == address
    assert address.bucket in url
    for more in ({"region": "eu"}, {"access_key": "k", "secret_key": "s"}):
        with pytest.raises(UsageError, match="takes no region and no access key"):
            parse(url, **more)
    assert parse(url, endpoint="http://two").endpoint == "http://two"


def test_what_is_given_beside_a_url_goes_before_what_it_says() -> None:
    address = parse("s3://b?endpoint=http://one&region=r1", endpoint="http://two", region="r2")
    assert (address.endpoint, address.region) == ("http://two", "r2")


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "a b#c?d%e"
    assert parse(odd.as_uri()).path == str(odd)
    assert parse(str(odd)).path == str(odd)
    assert parse("sub").path == str(tmp_path / "sub")
    assert parse("~/store").path == str(home / "store")
    assert parse("file://localhost/a").path == "/a"
    assert parse(parse(str(odd)).url).path == str(odd)


@pytest.mark.parametrize(
    "url",
    ["", "s3://", "s3:///prefix", "s3://key:secret@bucket", "http://h/b", "gs://b", "az://b", "hf://b", "file://host/x",
     "gs://", "gs:///prefix", "gs://key:secret@bucket", "gs://UPPER", "gs://bucket?region=eu", "gs://-bucket",
     "az://", "az:///prefix", "az://key:secret@container", "az://container?sig=secret@", "az://con--tainer",
     "az://container?sv=1&account=one", "az://con..tainer", "az://account.blob.core.windows.net",
     "file:relative", "file://", "s3://[bad", "http://[", "nonsense:x"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError) as told:
        parse(url)
    assert told.value.hint
    assert "secret@" not in told.value.message


def test_secrets_are_never_shown() -> None:
    address = parse("s3://b", access_key="AKIA", secret_key="hidden")
    assert "hidden" not in repr(address) + address.url
    assert "AKIA" not in address.url


def test_opening_a_folder(tmp_path: Path) -> None:
    store = open_store(parse(str(tmp_path / "s")), {})
    assert isinstance(store, FolderStore)
    assert not (tmp_path / "s").exists()
    store.put("a", b"1")
    assert (tmp_path / "s" / "a").read_bytes() == b"1"


KEYS = {"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "env-secret"}


def write_profiles(home: Path) -> dict[str, str]:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\n"
        "[profile team]\nregion = eu-west-2\nendpoint_url = http://team:1/\naws_access_key_id = old\n"
    )
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = d\naws_secret_access_key = d%secret\n"
        "[team]\naws_access_key_id = t\naws_secret_access_key = ts\naws_session_token = tt\n"
    )
    return {"HOME": str(home)}


def test_the_default_profile(home: Path) -> None:
    found = options(parse("s3://b"), write_profiles(home))
    assert found == {"region": "eu-west-1", "access_key_id": "d", "secret_access_key": "d%secret"}


def test_a_named_profile(home: Path) -> None:
    found = options(parse("s3://b"), {**write_profiles(home), "AWS_PROFILE": "team"})
    assert found == {
        "region": "eu-west-2",
        "endpoint": "http://team:1",
        "access_key_id": "t",
        "secret_access_key": "ts",
        "session_token": "tt",
    }


def test_the_environment_goes_before_a_profile(home: Path) -> None:
    environ = {**write_profiles(home), **KEYS, "AWS_REGION": "r", "AWS_ENDPOINT_URL": "http://e"}
    found = options(parse("s3://b"), {**environ, "AWS_PROFILE": "team"})
    assert found == {"region": "r", "endpoint": "http://e", "access_key_id": "env", "secret_access_key": "env-secret"}
    assert options(parse("s3://b"), {**environ, "AWS_ENDPOINT_URL_S3": "http://s3"})["endpoint"] == "http://s3"
    assert options(parse("s3://b"), {**environ, "AWS_SESSION_TOKEN": "t"})["session_token"] == "t"


def test_the_address_goes_before_the_environment(home: Path) -> None:
    address = parse("s3://b", endpoint="http://a", region="ra", access_key="a", secret_key="as")
    environ = {
        **write_profiles(home),
        **KEYS,
        "AWS_SESSION_TOKEN": "t",
        "AWS_REGION": "r",
        "AWS_ENDPOINT_URL": "http://e",
    }
    found = options(address, environ)
    assert found == {"region": "ra", "endpoint": "http://a", "access_key_id": "a", "secret_access_key": "as"}


def test_other_places_of_the_files(home: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = o\naws_secret_access_key = os\n")
    environ = {
        **write_profiles(home),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys"),
        "AWS_CONFIG_FILE": "/none",
    }
    assert options(parse("s3://b"), environ) == {
        "region": "us-east-1",
        "access_key_id": "o",
        "secret_access_key": "os",
    }


def test_without_any_keys(home: Path) -> None:
    """On AWS itself the machine's role may serve; an endpoint of one's own needs keys."""
    assert options(parse("s3://b"), {"HOME": str(home)}) == {"region": "us-east-1"}
    with pytest.raises(UsageError, match="no credentials for http://h"):
        options(parse("s3://b", endpoint="http://h"), {"HOME": str(home)})


@pytest.mark.parametrize("environ", [{"AWS_ACCESS_KEY_ID": "k"}, {"AWS_PROFILE": "half"}])
def test_half_a_pair_of_keys(home: Path, environ: dict[str, str]) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("[half]\naws_access_key_id = k\n")
    with pytest.raises(UsageError, match="without its secret"):
        options(parse("s3://b"), {"HOME": str(home), **environ})


@pytest.mark.parametrize("content", [b"no section\n", b"[a]\n[a]\n", b"\xff\xfe\x00", b"[a]\nx=1\nx=2\n"])
def test_files_that_cannot_be_read_are_named(home: Path, content: bytes) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot read .*credentials"):
        options(parse("s3://b"), {"HOME": str(home)})


@pytest.mark.parametrize("endpoint", ["h:1", "ftp://h", "localhost"])
def test_what_is_no_endpoint(home: Path, endpoint: str) -> None:
    with pytest.raises(UsageError, match="not an endpoint"):
        options(parse("s3://b", endpoint=endpoint), {"HOME": str(home), **KEYS})
