"""How fast, how large, how contended: figures that anyone can measure again with `make bench`."""
