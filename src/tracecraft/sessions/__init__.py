"""Transcripts of coding agents, mirrored into the store: what agents did and thought, beside what they agreed on."""
