"""tracecraft: the coordination layer and flight recorder for coding agents, in a bucket or folder you own.

from tracecraft import Project

project = Project.open()                     # the settings that the command line uses
with project.steps.hold("design") as held:   # claimed, renewed, completed at the end
    project.memory.set("design.version", "2")
    held.check()                             # raises LostLease once somebody else holds it
"""

from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"
__all__ = ["Project", "TracecraftError", "__version__", "errors"]

if TYPE_CHECKING:
    from tracecraft import errors
    from tracecraft.errors import TracecraftError
    from tracecraft.project import Project


def __getattr__(name: str) -> Any:
    """Import on first use: `import tracecraft` alone costs nothing."""
    from importlib import import_module

    homes = {"Project": "tracecraft.project", "TracecraftError": "tracecraft.errors", "errors": "tracecraft"}
    if name not in homes:
        raise AttributeError(f"module 'tracecraft' has no attribute {name!r}")
    if name == "errors":
        return import_module("tracecraft.errors")
    return getattr(import_module(homes[name]), name)
