"""`llmgw doctor`."""
def doctor() -> None:
    """Check everything."""
