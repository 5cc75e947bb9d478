"""Links inside the documentation lead to a file and, where they name one, to a heading in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_internal_links_resolve(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)}: {link}"


def test_every_page_is_reached_from_the_first_one() -> None:
    first = ROOT / "README.md"
    reached, waiting = {first}, [first]
    while waiting:
        page = waiting.pop()
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link}
        fresh = {target for target in targets if target.suffix == ".md"} - reached
        reached |= fresh
        waiting += fresh
    assert reached >= set(PAGES)
