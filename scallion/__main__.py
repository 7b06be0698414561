"""`python -m scallion URL`: the command line."""

from __future__ import annotations

from scallion._cli import main

if __name__ == "__main__":
    main()
