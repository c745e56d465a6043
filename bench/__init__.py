"""Benchmarks: the gateway against nginx and a direct connection, on this machine, in one run.

The program under test is pinned to one core; the load generator and the mock provider share the other. Rounds are
interleaved, medians and ratios are printed. `python -m bench --help` lists the options.
"""
