"""stub"""

from pathlib import Path

from tracecraft.replay.story import Story


def write_page(story: Story, path: Path) -> int:
    return 0
