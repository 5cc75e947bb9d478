"""Records survive other writers, broken objects are named, and who won a conditional write is told truly."""
