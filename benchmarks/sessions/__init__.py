"""What mirroring sessions costs: beside 0.2.5, in bulk, while following, and in small steps."""
