"""The door for language models, used by the SDK's own client: over HTTP, and over stdio with the command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import CallToolResult
from ui_fixtures import SteeredReader, served, steered_reader, wait_for_line

from index import Library
from index.embedding import FakeEmbedder
from rag import Engine
from rag.record import cited, sources
from ui.answer_text import paragraphs
from ui.cli import cli
from ui.mcp_tools import PAGE_CHARS, PAGE_DOCUMENTS, AnswerResult
from ui.settings import Settings

T = TypeVar("T")

RADAR = "Why did Tesla remove radar and lidar?"
NOT_IN_IT = "Which GPU did Karpathy buy in Paris?"
NOTES = "# Ferry\n\nThe ferry has a bell.\n\n## Bells\n\nIt rings twice.\n\n# Train\n\n## Bells\n\nNone.\n"
DOCUMENTATION = Path(__file__).parent.parent.joinpath("docs", "mcp.md").read_text("utf-8")
READING = ["ask", "search", "list_documents", "read_section"]


@pytest.fixture(scope="module")
def module_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The bundled summary and two other documents; needs no model."""
    with Library.open(tmp_path_factory.mktemp("served"), embedder=FakeEmbedder()) as library:
        library.add_bundled()
        library.add(NOTES.encode(), name="notes.md")
        library.add(("# Long\n\n" + "The ferry rings. " * 700).encode(), name="long.md")
        yield library


@pytest.fixture(scope="module")
def url(module_library: Library) -> Iterator[str]:
    with served(module_library) as address:
        yield f"{address}/mcp"


def using(server: Any, work: Callable[[Client], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        async with Client(server, **options) as client:
            return await work(client)

    return asyncio.run(run())


def called(server: Any, tool: str, **arguments: object) -> CallToolResult:
    result = using(server, lambda client: client.call_tool(tool, arguments))
    assert isinstance(result, CallToolResult)
    return result


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text


def values_of(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error
    assert result.structured_content is not None
    return result.structured_content


def fault_of(server: Any, tool: str, **arguments: object) -> str:
    result = called(server, tool, **arguments)
    assert result.is_error
    return text_of(result)


def refused(server: Any, uri: str) -> str:
    """Why a resource cannot be read."""

    async def read(client: Client) -> str:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
        return str(caught.value)

    return using(server, read)


# What it says of itself


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_of_either_generation_is_told_what_it_is_for(url: str, mode: str) -> None:
    async def look(client: Client) -> tuple[str | None, list[str]]:
        return client.instructions, [tool.name for tool in (await client.list_tools()).tools]

    instructions, tools = using(url, look, mode=mode)
    assert instructions is not None
    assert "untrusted data" in instructions
    assert tools == READING


def test_every_tool_says_what_it_takes_and_gives(url: str) -> None:
    tools = using(url, lambda client: client.list_tools()).tools
    for tool in tools:
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        assert all("description" in each for each in tool.input_schema["properties"].values())
    ask = tools[0].input_schema["properties"]
    assert ask["question"]["maxLength"] == 5_000
    assert set(tools[0].output_schema["required"]) >= {"status", "confidence"}  # type: ignore[index]


# Asking


def test_an_answer_comes_as_values_and_as_text(url: str, module_library: Library) -> None:
    answer = Engine(module_library).ask(RADAR)
    result = called(url, "ask", question=RADAR)
    expected = AnswerResult(cited(answer, sources(answer, module_library))).model_dump(mode="json")
    assert values_of(result) == expected
    for number, quote in enumerate(answer.quotes, 1):
        assert f"{quote.text} [{number}]" in text_of(result)
        place = f"({quote.document_id}:{quote.start}-{quote.end})"
        assert f"{' › '.join(quote.section)} {place}" in text_of(result)


def test_not_found_is_said_and_leads_are_no_answer(url: str) -> None:
    result = called(url, "ask", question=NOT_IN_IT)
    assert values_of(result)["status"] == "not_found"
    assert text_of(result).startswith("The document does not say.\n\nClosest passages (not an answer):")


def test_some_documents_can_be_asked_alone(url: str, module_library: Library) -> None:
    notes = module_library.documents()[1].id
    answer = values_of(called(url, "ask", question="How often does the bell ring?", documents=[notes]))
    assert {quote["document_id"] for quote in answer["quotes"] + answer["leads"]} == {notes}


def test_search_gives_passages_as_they_stand(url: str, module_library: Library) -> None:
    result = called(url, "search", question=RADAR, limit=3)
    passages = values_of(result)["passages"]
    assert len(passages) == 3
    assert "none of them claims to answer it" in text_of(result)
    for each in passages:
        text = module_library.document(each["document_id"]).text
        assert text[each["start"] : each["end"]] == each["text"]
        assert f"({each['document_id']}:{each['start']}-{each['end']})" in text_of(result)


# Reading


def test_documents_are_listed_page_by_page(tmp_path: Path) -> None:
    with Library.open(tmp_path, embedder=FakeEmbedder()) as library:
        library.add_bundled()
        for number in range(PAGE_DOCUMENTS):
            library.add(f"# Note {number}\n\nThe bell rings {number} times.\n".encode(), name=f"{number}.md")
        with served(library) as address:
            first = called(f"{address}/mcp", "list_documents")
            second = called(f"{address}/mcp", "list_documents", offset=values_of(first)["next_offset"])
            ids = [record.id for record in library.documents()]
    listed = [each["id"] for page in (first, second) for each in values_of(page)["documents"]]
    assert listed == ids
    assert (values_of(second)["total"], values_of(second)["next_offset"]) == (len(ids), None)
    assert f"{ids[0]}  Hacking the Universe" in text_of(first)
    assert f"call again with offset {PAGE_DOCUMENTS}" in text_of(first)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        (1, "The ferry has a bell."),
        (2, "It rings twice."),
        ("2", "It rings twice."),
        ("Ferry › Bells", "It rings twice."),
        ("train  › bells", "None."),
        ("Ferry", "The ferry has a bell."),
    ],
)
def test_a_section_is_read_by_number_or_headings(
    url: str, module_library: Library, section: object, text: str
) -> None:
    document = module_library.document(module_library.documents()[1].id)
    result = called(url, "read_section", document_id=document.id, section=section)
    part = values_of(result)
    assert text in part["text"]
    assert document.text[part["start"] : part["end"]] == part["text"]
    assert f"> {text}" in text_of(result)
    assert (part["total"], part["next_offset"]) == (len(document.sections), None)


def test_a_long_section_comes_in_parts(url: str, module_library: Library) -> None:
    document = module_library.document(module_library.documents()[2].id)
    parts, offset = [], 0
    while offset is not None:
        result = called(url, "read_section", document_id=document.id, offset=offset)
        parts.append(values_of(result)["text"])
        assert ("call again with offset" in text_of(result)) == (values_of(result)["next_offset"] is not None)
        offset = values_of(result)["next_offset"]
    assert "".join(parts) == document.text[document.sections[0].start :]
    assert max(map(len, parts)) == PAGE_CHARS


def test_documents_are_resources(url: str, module_library: Library) -> None:
    async def read(client: Client) -> list[tuple[str | None, str, str]]:
        listed = (await client.list_resources()).resources
        return [
            (each.title, content.mime_type or "", getattr(content, "text", ""))
            for each in listed
            for content in (await client.read_resource(each.uri)).contents
        ]

    documents = [module_library.document(record.id) for record in module_library.documents()]
    assert using(url, read) == [(each.title, "text/plain", each.text) for each in documents]


def test_a_document_that_is_too_long_is_read_by_sections(
    url: str, module_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.mcp_server.MAX_RESOURCE_CHARS", 50)
    document_id = module_library.documents()[1].id
    assert "read_section" in refused(url, f"quoth://documents/{document_id}")


# Adding


def test_nobody_adds_unless_the_settings_say_so(url: str) -> None:
    assert "Unknown tool" in fault_of(url, "add_document", name="a.md", text="It rings.")


def test_a_document_can_be_added_where_the_settings_say_so(tmp_path: Path) -> None:
    with (
        Library.open(tmp_path, embedder=FakeEmbedder()) as library,
        served(library, settings=Settings(mcp_add=True)) as address,
    ):
        first = called(f"{address}/mcp", "add_document", name="notes.md", text=NOTES)
        again = called(f"{address}/mcp", "add_document", name="notes.md", text=NOTES)
        fault = fault_of(f"{address}/mcp", "add_document", name="notes.exe", text="\0\0")
        titles = {record.id: record.title for record in library.documents()}
    added = values_of(first)
    assert added["title"] == titles[added["document_id"]]
    assert values_of(again) == {**added, "is_new": False}
    assert added["is_new"]
    assert "notes.exe" in fault


# Errors


@pytest.mark.parametrize(
    ("tool", "arguments", "line"),
    [
        ("ask", {"question": " "}, "Error executing tool ask: the question is blank"),
        ("ask", {"question": "x" * 5_001}, "at most 5000 characters"),
        ("ask", {"question": RADAR, "documents": ["nowhere"]}, "no document 'nowhere'"),
        ("ask", {}, "Field required"),
        ("search", {"question": RADAR, "limit": 21}, "less than or equal to 20"),
        ("read_section", {"document_id": "nowhere"}, "no document 'nowhere'"),
    ],
)
def test_a_mistake_is_told_in_a_line(url: str, tool: str, arguments: dict[str, object], line: str) -> None:
    assert line in fault_of(url, tool, **arguments)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"section": "Whistles"}, "there is no section 'Whistles'; there are: 1. Ferry; 2. Bells; 3. Train"),
        ({"section": 0}, "there is no section 0"),
        ({"section": 5}, "there is no section 5"),
        ({"section": "Bells"}, "several sections are called 'Bells': give one of the numbers 2, 4"),
        ({"offset": 10_000}, "there is none at 10000"),
    ],
)
def test_what_a_document_does_not_have_is_told_with_what_it_has(
    url: str, module_library: Library, arguments: dict[str, object], line: str
) -> None:
    document_id = module_library.documents()[1].id
    assert line in fault_of(url, "read_section", document_id=document_id, **arguments)


def test_an_unknown_resource_is_told(url: str) -> None:
    assert "no document 'nowhere'" in refused(url, "quoth://documents/nowhere")
    assert "Unknown resource" in refused(url, "file:///etc/passwd")


def test_a_defect_shows_nothing_of_the_insides(module_library: Library) -> None:
    with served(module_library, steered_reader(read_error=RuntimeError("secret"))) as address:
        assert fault_of(f"{address}/mcp", "ask", question=RADAR) == "Error executing tool ask"


def test_tools_are_listed_before_the_models_are_loaded(module_library: Library) -> None:
    reader = SteeredReader()

    async def look_and_ask(client: Client) -> tuple[int, CallToolResult]:
        asking = asyncio.create_task(client.call_tool("ask", {"question": RADAR}))
        count = len((await client.list_tools()).tools)
        assert not asking.done()
        reader.loaded.set()
        return count, await asking

    with served(module_library, reader) as address:
        count, result = using(f"{address}/mcp", look_and_ask)
    assert count == len(READING)
    assert values_of(result)["status"] == "answered"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_is_no_session_to_listen_to_or_to_end(url: str, method: str) -> None:
    response = httpx.request(method, url, headers={"Accept": "text/event-stream"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_another_site_is_refused(url: str) -> None:
    response = httpx.post(url, json={}, headers={"Origin": "http://evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_who_hangs_up_ends_the_work(module_library: Library, mode: str) -> None:
    reader = SteeredReader()

    async def ask_in_vain(client: Client) -> None:
        with pytest.raises(MCPError, match=r"[Tt]imed out"):
            await client.call_tool("ask", {"question": RADAR}, read_timeout_seconds=1.0)

    with served(module_library, reader) as address:
        using(f"{address}/mcp", ask_in_vain, mode=mode)
        wait_for_line(address, 0)
        reader.loaded.set()


# What docs/mcp.md says


def test_the_documentation_has_every_tool_and_a_setup_that_works() -> None:
    assert re.findall(r"^\| `(\w+)` \|", DOCUMENTATION, re.MULTILINE) == [*READING, "add_document"]
    (setup,) = re.findall(r"```json\n(.*?)```", DOCUMENTATION, re.DOTALL)
    entry = json.loads(setup)["mcpServers"]["quoth"]
    assert entry["command"] == "quoth"
    assert set(entry["args"]) <= set(cli.commands)
    assert {name.removeprefix("QUOTH_").lower() for name in entry["env"]} <= set(Settings.model_fields)


@pytest.mark.model
@pytest.mark.parametrize("question", [RADAR, NOT_IN_IT])
def test_the_documentation_shows_what_a_model_gets(real_library: Library, question: str) -> None:
    answer = Engine(real_library).ask(question)
    text = "\n\n".join(paragraphs(answer, sources(answer, real_library), str))
    assert f"```text\n{text}\n```" in DOCUMENTATION


# The command


def command(library: Path) -> StdioServerParameters:
    environment = {**os.environ, "QUOTH_LIBRARY": str(library), "QUOTH_MCP_ADD": "1"}
    return StdioServerParameters(command=sys.executable, args=["-m", "ui", "mcp"], env=environment)


@pytest.mark.model
def test_the_command_serves_a_program_over_stdio(tmp_path: Path) -> None:
    async def asked(client: Client, question: str) -> CallToolResult:
        while True:
            result = await client.call_tool("ask", {"question": question})
            if "again" not in text_of(result):  # where loading takes more than a minute
                return result

    async def talk(client: Client) -> tuple[list[str], CallToolResult, CallToolResult]:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        return tools, await asked(client, RADAR), await asked(client, NOT_IN_IT)

    tools, found, missing = using(command(tmp_path), talk)
    assert tools == [*READING, "add_document"]
    assert values_of(found)["status"] == "answered"
    assert "radar" in text_of(found).lower()
    assert values_of(missing)["status"] == "not_found"


@pytest.mark.model
def test_a_person_can_stop_the_command(tmp_path: Path) -> None:
    started = command(tmp_path)
    with subprocess.Popen(
        [started.command, *started.args], env=started.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT
