"""The documents tell the truth: their code runs and prints what they say, their pictures and links are right.

In a document, a block that is marked `python` is executed, in one namespace with those before it. A block marked
`text` right after it is exactly what it prints. One that cannot run is marked `python no-run: why`.
Requests go to a server on loopback; see `support.docs_service`.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import scallion
from scallion.middlewares.metric_events import EVENTS
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Runtime
from support.docs_service import DocsService

ROOT = Path(__file__).parent.parent
DOCS = {
    path.relative_to(ROOT).as_posix(): path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
PAGES = {**DOCS, "CHANGELOG.md": ROOT / "CHANGELOG.md"}

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        info: What stands after the opening fence.
        output: The text block that follows directly, or None.
        line: Where its body begins, counted from 1.
    """

    info: str
    body: str
    output: str | None
    line: int


def blocks_of(text: str) -> list[Block]:
    fences = list(_FENCE.finditer(text))
    blocks = []
    for fence, following in zip(fences, [*fences[1:], None], strict=False):
        output = None
        if following is not None and following["info"] == "text":
            between = text[fence.end() : following.start()]
            output = following["body"] if not between.strip() else None
        line = text.count("\n", 0, fence.start("body")) + 1
        blocks.append(Block(fence["info"].strip(), fence["body"], output, line))
    return blocks


async def _no_sleep(runtime: Runtime, seconds: float) -> None:
    pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server that the examples call; between their attempts no time passes."""
    monkeypatch.setattr(BlockingRuntime, "sleep", _no_sleep)
    monkeypatch.setattr(AsyncRuntime, "sleep", _no_sleep)
    with DocsService().running(monkeypatch):
        yield


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", DOCS)
def test_code_runs_and_prints_what_the_document_says(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Each document is a program, and its text blocks are its output.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(DOCS[name].read_text("utf-8")):
        if block.info != "python":
            continue
        # The lines above are filled up, so that a traceback shows the document's own line.
        code = compile("\n" * (block.line - 1) + block.body, str(DOCS[name]), "exec")
        exec(code, namespace)
        printed = capsys.readouterr().out
        assert (block.output or "") == printed, f"{name}, line {block.line}"
    # What an example left open is reported here, and not in whichever test comes next.
    namespace.clear()
    gc.collect()


@pytest.mark.parametrize("name", DOCS)
def test_every_block_is_held_to_something(name: str) -> None:
    """
    Code runs or says why it does not; other text is output, a picture that is compared, or commands.
    """
    pictures = {f"{scallion.compatible()!r}\n", f"{scallion.service_stack()!r}\n"}
    blocks = blocks_of(DOCS[name].read_text("utf-8"))
    for before, block in zip([None, *blocks], blocks, strict=False):
        where = f"{name}, line {block.line}"
        match block.info:
            case "python":
                pass
            case "text":
                output = (
                    before is not None and before.info == "python" and before.output is not None
                )
                assert output or block.body in pictures, where
            case "text drawing":
                # Compared by a test of its own.
                assert name == "docs/service-stack.md", where
            case "":
                lines = block.body.splitlines()
                assert all(line.startswith(("make ", "pip ", "scallion ")) for line in lines), where
            case info:
                assert re.fullmatch(r"python no-run: .{10,}", info), where


@pytest.mark.parametrize(
    ("name", "pipeline"),
    [
        ("README.md", scallion.compatible()),
        ("docs/default-onion.md", scallion.compatible()),
        ("docs/service-stack.md", scallion.service_stack()),
    ],
    ids=["readme", "compatible", "service"],
)
def test_the_onion_is_drawn_as_it_is(name: str, pipeline: scallion.Pipeline) -> None:
    """
    A picture of a built-in stack is what printing the stack gives.
    """
    drawn = [block.body for block in blocks_of(DOCS[name].read_text("utf-8"))]

    assert f"{pipeline!r}\n" in drawn


# Every layer of the service stack is on.
WHOLE = {
    "base_url": "http://orders",
    "coalescing": True,
    "idempotency_keys": True,
    "hedging": True,
    "endpoints": {"addresses": ["orders-1", "orders-2"]},
    "rate_limit": {"rate": "100/second"},
    "concurrency": True,
    "faults": {"rate": 0.1, "status": 503},
}


def names_of(pipeline: scallion.Pipeline) -> list[str]:
    return [type(layer).__name__ for layer in pipeline if type(layer).__name__ != "Slot"]


def test_the_whole_service_stack_is_drawn() -> None:
    """
    The drawing has each layer, in the order of the real onion, and says truly whether it is on.
    """
    text = DOCS["docs/service-stack.md"].read_text("utf-8")
    (drawing,) = [block.body for block in blocks_of(text) if block.info == "text drawing"]
    drawn = re.findall(r"^ *│ +(\w+) +(on|off) ", drawing, re.MULTILINE)
    # Redirects is always there, so that a call can ask for them, and follows none by itself.
    by_default = set(names_of(scallion.service_stack())) - {"Redirects"}
    whole = names_of(scallion.service_stack(WHOLE))

    assert [(name, "on" if name in by_default else "off") for name in whole] == drawn


@pytest.mark.parametrize(
    ("page", "pipeline"),
    [
        ("docs/default-onion.md", scallion.compatible()),
        ("docs/service-stack.md", scallion.service_stack(WHOLE)),
    ],
    ids=["compatible", "service"],
)
def test_each_layer_of_the_stacks_is_explained(page: str, pipeline: scallion.Pipeline) -> None:
    """
    The page on a stack has a paragraph for each of its layers.
    """
    text = DOCS[page].read_text("utf-8")

    assert [] == [layer for layer in names_of(pipeline) if f"**`{layer}`**" not in text]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """
    A link to a file of the repository finds the file, and in a page the heading.
    """
    text = _FENCE.sub("", PAGES[name].read_text("utf-8"))
    for match in _LINK.finditer(text):
        target, _, heading = match["target"].partition("#")
        if "://" in target:
            continue
        path = PAGES[name].parent / target if target else PAGES[name]
        assert path.exists(), f"{name}: {match['target']}"
        if heading:
            assert heading in headings_of(path), f"{name}: {match['target']}"


def headings_of(path: Path) -> set[str]:
    """The names by which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme() -> None:
    """
    Nobody has to guess which documents there are.
    """
    linked = {match["target"] for match in _LINK.finditer(DOCS["README.md"].read_text("utf-8"))}

    assert set() == {name for name in PAGES if name != "README.md"} - linked


def test_every_public_name_is_documented() -> None:
    """
    README or docs mention each exported name, as code.
    """
    text = "\n".join(path.read_text("utf-8") for path in DOCS.values())
    code = "\n".join([block.body for block in blocks_of(text)] + re.findall(r"`[^`\n]+`", text))

    assert [] == [name for name in scallion.__all__ if not re.search(rf"\b{name}\b", code)]


def test_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    """
    What the README tells to make can be made.
    """
    text = DOCS["README.md"].read_text("utf-8")
    commands = [block.body for block in blocks_of(text) if not block.info]
    commands += re.findall(r"`(make [^`\n]+)`", text)
    told = set(re.findall(r"^make (\w+)$", "\n".join(commands), re.MULTILINE))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    assert {"demo", "test"} <= told
    assert set() == told - targets


def test_every_error_is_on_the_page_of_errors() -> None:
    """
    The table has each exported exception.
    """
    text = DOCS["docs/errors.md"].read_text("utf-8")
    exported = {name: getattr(scallion, name) for name in scallion.__all__}
    errors = [
        name
        for name, value in exported.items()
        if isinstance(value, type) and issubclass(value, Exception)
    ]

    assert [] == [
        name for name in errors if not re.search(rf"^\| (\*\*)?`{name}`", text, re.MULTILINE)
    ]


def test_every_event_is_documented() -> None:
    """
    The table of events has those that layers and transports tell, and no others.
    """
    texts = [
        path.read_text("utf-8")
        for room in ("pipeline", "middlewares", "transports")
        for path in (ROOT / room).rglob("*.py")
    ]
    told = {event for text in texts for event in re.findall(r"note\(\s*\"([\w.]+)\"", text)}
    # Some are put together from a layer's name, or told by somebody else: these the metrics know.
    told |= {event for event in EVENTS if any(f".{event.partition('.')[2]}" in t for t in texts)}
    text = DOCS["docs/write-your-own-middleware.md"].read_text("utf-8")
    table = text.partition("| event | fields | told by |")[2].partition("\n\n")[0]

    named = {
        event
        for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
        for event in re.findall(r"`([\w.]+)`", cell)
    }

    assert told == named


def test_the_changelog_has_the_version() -> None:
    """
    The version that the package names is one that the changelog knows.
    """
    text = PAGES["CHANGELOG.md"].read_text("utf-8")

    assert "## [Unreleased]" in text
    assert scallion.__version__ in text
