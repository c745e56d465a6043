"""Breakers as one process knows them: all there is of them on one node, and what nodes of a cluster go by."""
