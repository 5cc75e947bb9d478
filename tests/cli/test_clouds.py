"""The command line on Azure (Azurite) and on a double of Google Cloud Storage, which was not run against Google."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.azurite import ACCOUNT, KEY, blob_endpoint
from tests.support.gcs_double import google_double
from tests.support.places import make_place
from tests.support.processes import free_port
from tests.support.s3 import Endpoint
from tests.support.world import World, finish

RACERS = 16


def test_two_agents_work_together(cloud_world: World) -> None:
    world = cloud_world
    for agent in ("ann", "bob"):
        done = world.run(agent, "init", "--json").json
        assert (done["atomic_create"], done["compare_and_swap"], done["made_bucket"]) == (True, True, False)
    assert world.run("ann", "claim", "design", "--json").json["fence"] == 1
    refused = world.run("bob", "claim", "design", "--json", exits=3)
    assert (refused.error["code"], refused.error["holder"]) == ("held", "ann")

    world.run("ann", "send", "bob", "wait for me")
    assert "wait for me" in world.run("bob", "inbox", "--new").out

    world.run("ann", "memory", "set", "color", "blue")
    version = world.run("bob", "memory", "get", "color", "--json").json["version"]
    world.run("bob", "memory", "set", "color", "red", "--if-version", version)
    late = world.run("ann", "memory", "set", "color", "green", "--if-version", version, "--json", exits=3)
    assert late.error["code"] == "version_mismatch"
    assert json.loads(world.run("ann", "memory", "get", "color", "--json").out)["value"] == "red"

    world.run("ann", "complete", "design", "--note", "done", "--to", "bob")
    assert "done" in world.run("bob", "handoff", "design").out
    findings = world.run("bob", "doctor", "--json").json["findings"]
    assert {finding["verdict"] for finding in findings} == {"ok"}


def test_a_file_goes_there_and_back(cloud_world: World) -> None:
    world, data = cloud_world, bytes(range(256)) * 40_000
    (world.folder("ann") / "big.bin").write_bytes(data)
    world.run("ann", "artifact", "upload", "big.bin")
    world.run("bob", "artifact", "download", "big.bin")
    assert (world.folder("bob") / "big.bin").read_bytes() == data


def test_of_all_who_race_one_wins(cloud_world: World) -> None:
    world = cloud_world
    world.run("earlier", "init")
    for step in ("one", "two"):
        outcomes = finish([world.start(f"r{n}", "claim", step, "--json") for n in range(RACERS)])
        assert sorted(result.code for result in outcomes) == [0] + [3] * (RACERS - 1)
        winner = next(f"r{n}" for n, result in enumerate(outcomes) if result.code == 0)
        assert {result.error["holder"] for result in outcomes if result.code == 3} == {winner}


def test_the_settings_name_the_store_and_hold_no_secret(cloud_world: World) -> None:
    world = cloud_world
    world.run("ann", "init")
    text = (world.folder("ann") / ".tracecraft.json").read_text()
    assert json.loads(text)["store"] == world.url
    assert not any(secret in text for secret in world.variables.values())
    named = world.run(
        "ann", "claim", "design", "--json", TRACECRAFT_STORE="", TRACECRAFT_PROJECT="", TRACECRAFT_AGENT=""
    )
    assert named.json["agent"] == "ann"


def test_init_makes_a_container(azurite_endpoint: Endpoint, tmp_path: Path) -> None:
    url = f"az://made-by-init/pre?account={ACCOUNT}&endpoint={blob_endpoint(azurite_endpoint)}"
    world = World(tmp_path, url, variables={"AZURE_STORAGE_ACCOUNT_KEY": KEY})
    missing = world.run("ann", "claim", "design", "--json", exits=7)
    assert missing.error["code"] == "no_bucket"
    assert "made the bucket made-by-init" in world.run("ann", "init").out
    world.run("ann", "claim", "design")


def test_init_says_how_a_google_bucket_is_made(google_double_endpoint: Endpoint, tmp_path: Path) -> None:
    url = f"gs://not-there/pre?endpoint={google_double_endpoint.url}"
    world = World(tmp_path, url, variables={"GOOGLE_BEARER_TOKEN": "t"})
    refused = world.run("ann", "init", "--json", exits=7)
    assert refused.error["code"] == "denied"
    assert "gcloud storage buckets create gs://not-there" in refused.error["hint"]


def test_google_takes_one_change_a_second(tmp_path: Path) -> None:
    with google_double(slow=True) as endpoint:
        make_place(endpoint, "slow")
        world = World.in_bucket(tmp_path, endpoint, "slow")
        world.run("ann", "claim", "design")
        world.run("ann", "complete", "design")
        assert world.run("bob", "step-status", "design", "--json").json["state"] == "complete"


@pytest.mark.parametrize(
    ("url", "variables", "hint"),
    [
        ("az://container", {}, "AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://container?account=one&endpoint=HERE", {"AZURE_MSI_ENDPOINT": "HERE"}, "AZURE_STORAGE_ACCOUNT_KEY"),
        (
            "gs://bucket?endpoint=HERE",
            {"GCE_METADATA_HOST": "HOST", "GCE_METADATA_IP": "HOST"},
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ],
)
def test_without_credentials_it_says_what_to_set(
    tmp_path: Path, url: str, variables: dict[str, str], hint: str
) -> None:
    """Nobody answers at the place where a cloud's machine would ask."""
    host = f"127.0.0.1:{free_port()}"
    here = {name: value.replace("HERE", f"http://{host}").replace("HOST", host) for name, value in variables.items()}
    world = World(tmp_path, url.replace("HERE", f"http://{host}"), variables=here)
    refused = world.run("ann", "claim", "design", "--json", exits=None, PATH="/nowhere")
    assert refused.code == (2 if url == "az://container" else 7)
    assert hint in refused.error["hint"]


def test_hugging_face_is_still_refused(folder_world: World) -> None:
    refused = folder_world.run("ann", "init", "--store", "hf://bucket", "--json", exits=2)
    assert "not supported yet" in refused.error["message"]
