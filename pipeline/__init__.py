"""What flows and how: messages, the onion, the runtime, settings and errors."""

__all__: list[str] = []
