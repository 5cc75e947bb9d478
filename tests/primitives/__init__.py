"""Tests of steps, mailbox, memory, artifacts and their kin through the API."""
