"""The layers, one file each."""

__all__: list[str] = []
