"""`python -m tracecraft` is the `tracecraft` command."""

from tracecraft.cli import main

main()
