"""What recording promises: nothing is raised, nothing is slow, nothing is lost or counted twice."""
