"""The command line, as its users meet it: real processes, their output, their exit codes."""
