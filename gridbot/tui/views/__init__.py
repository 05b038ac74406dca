"""The views of the deck: each module brings one body."""
