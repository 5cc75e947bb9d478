"""Several hosts with one store between them, and a network that fails."""
