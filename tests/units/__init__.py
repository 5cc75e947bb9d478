"""The small pieces of the ground floor, each by itself."""
