"""Follow a server's events over lost connections: `python examples/events.py`.

The server of this example restarts after every second event, and the client misses none and gets none twice.
"""

from __future__ import annotations

import asyncio

from service import Answer, Service

import scallion

NEWS = ["planted", "watered", "grown", "harvested", "sold"]


class News(Service):
    """Streams at most two events, those after the caller's `Last-Event-ID`, and 204 when all are told."""

    asked: list[str]

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:  # noqa: ARG002
        last = headers.get("last-event-id", "0")
        self.asked.append(last)
        coming = list(enumerate(NEWS, 1))[int(last) :][:2]
        if not coming:
            return Answer(204, b"")
        text = "".join(f"id: {number}\ndata: {what}\n\n" for number, what in coming)
        stream = f": hello\nretry: 10\n{text}id: 99\ndata: cut o"
        return Answer(200, stream.encode(), {"Content-Type": "text/event-stream"})


def follow(url: str) -> list[str]:
    with scallion.Client() as client, client.sse(url, reconnect=True) as source:
        return [event.data for event in source]


async def follow_async(url: str) -> list[str]:
    patient = scallion.Reconnect(attempts=10, wait=1.0, cap=60.0)
    async with scallion.AsyncClient() as client, client.sse(url, reconnect=patient) as source:
        return [event.data async for event in source]


def main() -> None:
    news = News()
    url = f"http://127.0.0.1:{news.start()}/news"
    for told in (follow, lambda url: asyncio.run(follow_async(url))):
        news.asked = []
        events = told(url)
        print(
            f"events: {', '.join(events)}; the server was asked for what comes after {news.asked}"
        )
        assert events == NEWS
        assert news.asked == ["0", "2", "4", "5"]
    print("events: success")


if __name__ == "__main__":
    main()
