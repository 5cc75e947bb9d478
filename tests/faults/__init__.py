"""What becomes of commands when answers are lost, servers fail, or the process is killed."""
