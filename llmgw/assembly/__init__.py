"""The composition root: the only part that knows which adapter stands behind which port.

`backend` opens what commands work on and loads nothing else, for most of a command's time is imports; `installation`
is what a server process has.
"""
