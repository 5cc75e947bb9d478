"""The documentation is held to what the program does: examples run, links lead somewhere, lists are complete."""
