"""tracecraft: the coordination layer and flight recorder for coding agents, in a bucket or folder you own.

import tracecraft

tracecraft.init(project="my-research")
with tracecraft.run("prompt-comparison") as run:        # an experiment, recorded
    with run.agent("researcher") as agent:
        with agent.step("search", kind="tool_call") as step:
            step.log_output(["..."])
        agent.send("writer", "Research complete")
    run.log_metrics({"quality_score": 0.92})

from tracecraft import Project

project = Project.open()                     # the settings that the command line uses
with project.steps.hold("design") as held:   # claimed, renewed, completed at the end
    project.memory.set("design.version", "2")
    held.check()                             # raises LostLease once somebody else holds it
"""

from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"
__all__ = [
    "Project",
    "Run",
    "RunAgent",
    "Step",
    "TracecraftError",
    "__version__",
    "current_run",
    "errors",
    "init",
    "run",
    "step",
]

if TYPE_CHECKING:
    from tracecraft import errors
    from tracecraft.errors import TracecraftError
    from tracecraft.project import Project
    from tracecraft.runs.sdk import Run, RunAgent, Step, current_run, init, run, step


def __getattr__(name: str) -> Any:
    """Import on first use: `import tracecraft` alone costs nothing."""
    from importlib import import_module

    if name == "errors":
        return import_module("tracecraft.errors")
    if name not in __all__:
        raise AttributeError(f"module 'tracecraft' has no attribute {name!r}")
    homes = {"Project": "tracecraft.project", "TracecraftError": "tracecraft.errors"}
    return getattr(import_module(homes.get(name, "tracecraft.runs.sdk")), name)
