"""One file for each harness whose sessions are mirrored."""
