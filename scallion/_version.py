"""The version, for the `User-Agent` and the package."""

__version__ = "0.1.0"
