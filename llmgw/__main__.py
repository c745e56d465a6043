"""`python -m llmgw`."""

from __future__ import annotations

from llmgw.cli.main import main

if __name__ == "__main__":
    main()
