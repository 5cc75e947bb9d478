"""Side by side with the published tracecraft-ai 0.2.5 in one bucket."""
