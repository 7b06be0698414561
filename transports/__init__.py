"""Where a request becomes bytes."""

__all__: list[str] = []
