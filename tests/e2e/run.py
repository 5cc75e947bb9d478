"""python -m tests.e2e.run [frames] [pictures] [--into FOLDER]: how smooth the page is, and pictures of it.

Frame times of 20,000 happenings go into docs/replay.md, every single run into benchmarks/results/replay-page.json. The
pictures are of `tracecraft demo`, played anew, and of the large story; those of the documentation go to docs/images,
the others to FOLDER (default: a new one), for you to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.machine import facts, sentence
from tests.e2e import stories
from tests.e2e.chrome import Page, browser, find_chromium
from tests.e2e.measure import Frames, measure, zoom
from tracecraft.replay.page import make_page

ROOT = Path(__file__).parents[2]
COUNT = 20_000
_RUNS = 5
_SECONDS = 4.0
_MARKED = re.compile(r"<!-- frames -->\n.*?<!-- /frames -->", re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, help="Where the other pictures go.")
    parser.add_argument("parts", nargs="*", choices=("frames", "pictures", []), help="Without any, both.")
    options = parser.parse_args()
    parts = options.parts or ["frames", "pictures"]
    into = options.into or Path(tempfile.mkdtemp(prefix="tracecraft-page-"))
    program = find_chromium()
    if program is None:
        print("no Chromium is installed: install one, or name it in TRACECRAFT_TEST_CHROMIUM", file=sys.stderr)
        return 1
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser(program) as page:
        version = page.ask("Browser.getVersion")["product"]
        large = Path(folder) / "large.html"
        large.write_text(make_page(stories.large(COUNT)))
        if "pictures" in parts:
            _pictures(page, _demo(Path(folder)), large, into)
            print(f"pictures in {into} and {ROOT / 'docs' / 'images'}")
        if "frames" in parts:
            runs = [_measured(page, large) for _ in range(_RUNS)]
            _keep(version, runs)
            print(_table(runs))
    return 0


def _demo(folder: Path) -> Path:
    """The page of the demo, made by the commands that anybody would use."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRACECRAFT_")}
    environment |= {"HOME": str(folder), "TMPDIR": str(folder)}
    place = ["--store", (folder / "store").as_uri(), "--project", "demo"]
    for arguments in (["demo", *place], ["replay", *place, "--html", "demo.html"]):
        subprocess.run(
            [sys.executable, "-m", "tracecraft", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=300,
        )
    return folder / "demo.html"


def _pictures(page: Page, demo: Path, large: Path, into: Path) -> None:
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        page.appearance(scheme)
        page.size(1280, 720, 1.5)
        page.go(demo.as_uri())
        page.picture(images / f"replay-{scheme}.png")
        page.size(1400, 860)
        page.go(large.as_uri())
        page.picture(into / f"large-{scheme}.png")
        zoom(page, 36, out=False)
        page.picture(into / f"zoomed-{scheme}.png")
        page.size(800, 900)
        page.go(demo.as_uri())
        page.picture(into / f"narrow-{scheme}.png")
    page.appearance("light")
    page.size(1400, 860)


def _measured(page: Page, large: Path) -> list[Frames]:
    page.go(large.as_uri())
    found = measure(page, _SECONDS)
    if page.requests() != [large.as_uri()] or page.complaints():
        raise SystemExit(f"the page asked for more or complained: {page.requests()} {page.complaints()}")
    return found


def _keep(version: str, runs: list[list[Frames]]) -> None:
    """The figures into the documentation, every run into the results."""
    machine = facts()
    raw = {
        "machine": machine,
        "browser": version,
        "happenings": COUNT,
        "runs": [[r._asdict() for r in run] for run in runs],
    }
    (ROOT / "benchmarks" / "results" / "replay-page.json").write_text(json.dumps(raw, indent=1) + "\n")
    told = f"{version}, headless, drawing without a graphics card. {sentence(machine)}"
    page = ROOT / "docs" / "replay.md"
    text = f"<!-- frames -->\n{_table(runs)}\n\nMedians of {_RUNS} runs. {told}\n<!-- /frames -->"
    page.write_text(_MARKED.sub(lambda _: text, page.read_text()))


def _table(runs: list[list[Frames]]) -> str:
    lines = [
        f"| {COUNT:,} happenings | median frame, ms | 95 of 100 below, ms | longest, ms |",
        "|---|---|---|---|",
    ]
    for same in zip(*runs, strict=True):
        figures = (median(getattr(frames, name) for frames in same) for name in ("median", "p95", "longest"))
        lines.append(f"| {same[0].name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
