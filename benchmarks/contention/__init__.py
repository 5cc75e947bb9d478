"""A stampede on one step, and bursts of messages: run, logged, judged, and drawn into docs/contention.html."""
