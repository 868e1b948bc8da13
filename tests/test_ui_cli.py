from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import GERMAN, Quoth
from pydantic import TypeAdapter

from index import Excerpt, Feedback, Library
from index.embedding import FakeEmbedder, SentenceTransformerEmbedder
from index.store import DATABASE
from rag import Answer
from ui.cli import cli
from ui.commands.feedback import feedback
from ui.settings import Settings, env_name

RADAR = "Why did Tesla remove radar and lidar?"
QUOTH = str(Path(sys.executable).with_name("quoth"))
NOTE = "Radar was removed in 2021. It disagreed with the cameras.\n"
LIMIT_SECONDS = 120
ANSWER = json.dumps(asdict(Answer("Why?", "Why?", "not_found", 0.1)))

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def note(tmp_path: Path) -> Path:
    file = tmp_path / "note.txt"
    file.write_text(NOTE, encoding="utf-8")
    return file


def listed(quoth: Quoth) -> list[dict[str, str]]:
    result = quoth("list", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def one_line(text: str) -> str:
    """The text, which has to be one line that begins with the program's name."""
    (line,) = text.splitlines()
    assert line.startswith("quoth: ")
    return line


# The library


def test_a_new_library_holds_the_bundled_summary(quoth: Quoth) -> None:
    (record,) = listed(quoth)
    assert record["title"].startswith("Hacking the Universe")


def test_a_removed_summary_stays_removed(quoth: Quoth) -> None:
    (record,) = listed(quoth)
    assert quoth("remove", record["id"]).exit_code == 0
    assert listed(quoth) == []


def test_add_list_show_remove(quoth: Quoth, note: Path) -> None:
    added = quoth("add", str(note))
    assert (added.exit_code, added.stderr) == (0, "")
    prefix = added.stdout[:8]
    assert [line.split("\t")[0] for line in quoth("list").stdout.splitlines()][1:] == [prefix]
    assert "2 sentences" in quoth("show", prefix).stdout
    removed = quoth("remove", prefix)
    assert removed.stdout.startswith(f"removed {prefix}")
    assert prefix not in quoth("list").stdout


def test_the_same_content_twice_is_one_document(quoth: Quoth, note: Path) -> None:
    first, second = (json.loads(quoth("add", "--json", str(note)).stdout)[0] for _ in range(2))
    assert (first["new"], second["new"]) == (True, False)
    assert first["id"] == second["id"]
    assert "was there already" in quoth("add", str(note)).stdout
    assert len(listed(quoth)) == 2


def test_files_that_fail_do_not_keep_the_others_out(quoth: Quoth, note: Path, tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n")
    missing = tmp_path / "missing.txt"
    result = quoth("add", str(missing), str(tmp_path / "blank.txt"), str(tmp_path), str(note))
    assert result.exit_code == 1
    failures = result.stderr.splitlines()
    assert len(failures) == 3
    assert str(missing) in failures[0]
    assert "blank.txt" in failures[1]
    assert all(one_line(failure) for failure in failures)
    assert [record["name"] for record in listed(quoth)][1:] == ["note.txt"]


def test_add_as_json_has_an_entry_for_every_file(quoth: Quoth, note: Path, tmp_path: Path) -> None:
    result = quoth("add", "--json", str(note), str(tmp_path / "missing.txt"))
    good, bad = json.loads(result.stdout)
    assert result.exit_code == 1
    assert good["file"] == str(note)
    assert set(bad) == {"file", "error"}


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Two German files, and a model that knows English."""
    monkeypatch.setattr(FakeEmbedder, "languages", {"en"})
    files = [tmp_path / "german" / name for name in ("fluss.md", "bach.md")]
    files[0].parent.mkdir()
    for file in files:
        file.write_text(f"# {file.stem}\n\n{GERMAN}\n", encoding="utf-8")
    return [str(file) for file in files]


def test_a_language_that_the_model_does_not_know_is_told_once(
    quoth: Quoth, german: list[str], note: Path
) -> None:
    result = quoth("add", str(note), *german)
    assert result.exit_code == 0
    assert one_line(result.stderr).startswith(
        "quoth: fluss.md seems to be in German, and the model knows English"
    )
    assert len(listed(quoth)) == 4
    result = quoth("add", "--json", str(note), *german)
    assert [entry["language"] for entry in json.loads(result.stdout)] == [None, "de", "de"]
    assert "fluss.md" in one_line(result.stderr)


def test_standard_input_is_a_document(quoth: Quoth) -> None:
    added = quoth("add", "--json", "-", "--name", "notes.md", stdin="# Sensors\n\nRadar was removed.\n")
    assert added.exit_code == 0
    assert json.loads(added.stdout)[0]["title"] == "Sensors"
    assert listed(quoth)[1]["name"] == "notes.md"
    assert quoth("add", "-", stdin=NOTE).exit_code == 0
    assert listed(quoth)[2]["name"] == "standard-input.txt"


def test_a_file_larger_than_the_setting_allows(
    quoth: Quoth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUOTH_MAX_DOCUMENT_MB", "1")
    (tmp_path / "large.txt").write_text("Many words stand here. " * 50_000)
    for result in (
        quoth("add", str(tmp_path / "large.txt")),
        quoth("add", "-", stdin=(tmp_path / "large.txt").read_text()),
    ):
        assert result.exit_code == 1
        assert "QUOTH_MAX_DOCUMENT_MB" in one_line(result.stderr)


def test_show_as_json_counts_every_sentence(quoth: Quoth) -> None:
    (record,) = listed(quoth)
    shown = json.loads(quoth("show", "--json", record["id"]).stdout)
    assert {key: shown[key] for key in record} == record
    assert sum(section["n_sentences"] for section in shown["sections"]) == record["n_sentences"]
    assert ["Software 2.0 and the Tesla Data Engine", "Digging Deeper"] in [
        section["path"] for section in shown["sections"]
    ]


def test_a_quote_is_shown_in_its_place(quoth: Quoth) -> None:
    quote = best(quoth("ask", "--json", RADAR))
    at = f"{quote['start']}:{quote['end']}"
    shown = json.loads(quoth("show", "--json", quote["document_id"], "--at", at).stdout)
    assert shown["text"] == quote["text"]
    assert shown["section"] == quote["section"]
    with Library.open(os.environ["QUOTH_LIBRARY"], embedder=FakeEmbedder()) as library:
        text = library.document(quote["document_id"]).text
    assert shown["before"] + shown["text"] + shown["after"] in text
    assert shown["before"]
    lines = quoth("show", quote["document_id"], "--at", at).stdout.splitlines()
    assert lines[0].startswith(" › ".join(quote["section"]))
    assert [line[2:] for line in lines if line.startswith("> ")] == [quote["text"]]


def best(asked: Result) -> dict[str, Any]:
    """The first quote or lead of an answer as JSON."""
    answer = json.loads(asked.stdout)
    return (answer["quotes"] + answer["leads"])[0]


@pytest.mark.parametrize("at", ["5", "9:5", "5:5", "-1:5", "a:b", "0:99999999", "99999998:99999999"])
def test_a_place_that_is_none_is_wrong_usage(quoth: Quoth, at: str) -> None:
    (record,) = listed(quoth)
    result = quoth("show", record["id"], "--at", at)
    assert (result.exit_code, result.stdout) == (2, "")
    assert at in result.stderr


@pytest.mark.parametrize("command", ["show", "remove"])
@pytest.mark.parametrize("prefix", ["zz", "", "*"])
def test_an_id_that_names_nothing(quoth: Quoth, command: str, prefix: str) -> None:
    result = quoth(command, prefix)
    assert result.exit_code == 1
    assert "quoth list" in one_line(result.stderr)


def test_an_id_that_names_several_documents(quoth: Quoth, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(17)]
    for file in files:
        file.write_text(f"Number {file.stem} is written here.")
    quoth("add", *map(str, files))
    firsts = [record["id"][0] for record in listed(quoth)]
    shared = next(first for first in firsts if firsts.count(first) > 1)  # 18 ids, 16 digits
    result = quoth("remove", shared)
    assert result.exit_code == 1
    assert f"{firsts.count(shared)} documents" in one_line(result.stderr)
    assert len(listed(quoth)) == 18


def test_remove_removes_nothing_when_one_id_is_wrong(quoth: Quoth) -> None:
    before = listed(quoth)
    assert quoth("remove", before[0]["id"], "zz").exit_code == 1
    assert listed(quoth) == before


def test_the_library_option_goes_before_the_variable(quoth: Quoth, tmp_path: Path, note: Path) -> None:
    quoth("add", "--library", str(tmp_path / "other"), str(note))
    assert "note.txt" not in quoth("list").stdout
    assert "note.txt" in quoth("list", "--library", str(tmp_path / "other")).stdout


def test_another_model_needs_reindex(quoth: Quoth, note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quoth("add", str(note))
    other = FakeEmbedder(dimension=64)
    other.fingerprint = "another"
    monkeypatch.setattr("ui.settings.SentenceTransformerEmbedder", lambda model, threads: other)
    refused = quoth("ask", "What was removed?")
    assert refused.exit_code == 1
    assert "quoth reindex" in one_line(refused.stderr)
    assert quoth("reindex").stdout == "2 documents embedded again\n"
    assert quoth("ask", "What was removed?").exit_code in (0, 3)


def test_an_interrupted_reindex_says_that_it_goes_on(quoth: Quoth, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    listed(quoth)
    with monkeypatch.context() as patched:
        patched.setattr(FakeEmbedder, "embed_passages", interrupt)
        result = quoth("reindex")
    assert result.exit_code == 130
    assert "quoth reindex goes on" in one_line(result.stderr)
    assert quoth("reindex").stdout == "1 documents embedded again\n"


def test_rename(quoth: Quoth, note: Path) -> None:
    (added,) = json.loads(quoth("add", "--json", str(note)).stdout)
    renamed = quoth("rename", added["id"][:6], "  What became of\nthe radar ")
    assert renamed.stdout == f"renamed {added['id'][:8]} What became of the radar\n"
    assert listed(quoth)[1]["title"] == "What became of the radar"
    assert json.loads(quoth("rename", "--json", added["id"], "Radar").stdout) == {
        "id": added["id"],
        "title": "Radar",
    }


@pytest.mark.parametrize("title", ["", " ", "x" * 301])
def test_a_title_that_is_none_is_wrong_usage(quoth: Quoth, title: str) -> None:
    (record,) = listed(quoth)
    result = quoth("rename", record["id"], title)
    assert result.exit_code == 2
    assert "1 to 300 characters" in one_line(result.stderr)
    assert listed(quoth) == [record]


def test_doctor_has_a_line_for_every_check(quoth: Quoth) -> None:
    listed(quoth)
    result = quoth("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert {state for _, state, _ in rows} == {"ok"}
    checks = json.loads(quoth("doctor", "--json").stdout)
    assert [check["name"] for check in checks] == [name for name, _, _ in rows]
    assert {"integrity", "full text", "weights", "reader"} <= {check["name"] for check in checks}


def test_doctor_mends_what_is_derived(quoth: Quoth) -> None:
    listed(quoth)
    spoil("DELETE FROM passage_terms WHERE rowid = 1")
    found = quoth("doctor")
    assert found.exit_code == 1
    (wrong,) = [line for line in found.stdout.splitlines() if "WRONG" in line]
    assert wrong.startswith("full text\t")
    assert "quoth doctor --mend" in wrong
    assert quoth("doctor", "--mend").exit_code == 0
    assert quoth("doctor").exit_code == 0


def test_doctor_mends_nothing_that_is_not_derived(quoth: Quoth) -> None:
    listed(quoth)
    spoil("UPDATE passages SET vector = zeroblob(8)")
    result = quoth("doctor", "--mend", "--json")
    assert result.exit_code == 1
    (wrong,) = [check for check in json.loads(result.stdout) if not check["ok"] and not check["derived"]]
    assert "quoth reindex" in wrong["detail"]
    assert quoth("reindex").exit_code == 0
    assert quoth("doctor").exit_code == 0


def spoil(statement: str) -> None:
    with closing(sqlite3.connect(Path(os.environ["QUOTH_LIBRARY"]) / DATABASE)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize("command", [["doctor"], ["backup", "file"]])
def test_no_library_is_made_to_be_looked_at(quoth: Quoth, command: list[str]) -> None:
    result = quoth(*command)
    assert result.exit_code == 1
    assert "no library" in one_line(result.stderr)
    assert not Path(os.environ["QUOTH_LIBRARY"]).exists()


def test_backup_and_restore(quoth: Quoth, note: Path, tmp_path: Path) -> None:
    quoth("add", str(note))
    before = listed(quoth)
    file = str(tmp_path / "library.quoth")
    written = quoth("backup", "--json", file)
    assert json.loads(written.stdout) == {"file": file, "bytes": Path(file).stat().st_size}
    assert "exists already" in one_line(quoth("backup", file).stderr)
    quoth("remove", before[0]["id"])
    refused = quoth("restore", file)
    assert refused.exit_code == 1
    assert "--force" in one_line(refused.stderr)
    assert quoth("restore", "--force", file).stdout == "2 documents restored\n"
    assert listed(quoth) == before
    assert quoth("restore", "--library", str(tmp_path / "other"), file).exit_code == 0
    assert quoth("doctor", "--library", str(tmp_path / "other")).exit_code == 0


def test_restore_of_something_else(quoth: Quoth, note: Path) -> None:
    result = quoth("restore", str(note))
    assert result.exit_code == 1
    assert f"{note} is no backup" in one_line(result.stderr)


WITHOUT_MODEL = """
import ui.settings
from index.embedding import FakeEmbedder, SentenceTransformerEmbedder
ui.settings.SentenceTransformerEmbedder = lambda model, threads: FakeEmbedder()
from ui.cli import main
main()
"""


def test_a_watched_folder_is_followed_until_ctrl_c(quoth: Quoth, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "note.txt").write_text(NOTE)
    command = [sys.executable, "-c", WITHOUT_MODEL, "add", "--watch", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("added ")
            assert [record["name"] for record in listed(quoth)][1:] == ["note.txt"]  # while it is followed
            (folder / "note.txt").write_text(NOTE + "It came back in 2024.\n")
            assert process.stdout.readline().startswith("changed ")
            (folder / "other.txt").write_text("Another note is written here.")
            (folder / "note.txt").unlink()
            assert [process.stdout.readline().split()[0] for _ in range(2)] == ["added", "removed"]
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
    assert (process.returncode, rest) == (0, ("", ""))
    assert [record["name"] for record in listed(quoth)][1:] == ["other.txt"]


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_events_of_a_watched_folder_as_json(
    quoth: Quoth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.watching.time.sleep", interrupt)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "note.txt").write_text(NOTE)
    (tmp_path / "notes" / "blank.txt").write_text(" ")
    result = quoth("add", "--watch", "--json", str(tmp_path / "notes"))
    failed, added = map(json.loads, result.stdout.splitlines())
    assert (result.exit_code, result.stderr) == (0, "")
    assert (failed["kind"], added["kind"]) == ("failed", "added")
    assert "blank.txt" in failed["error"]
    assert added["path"] == str(tmp_path / "notes" / "note.txt")


def test_the_language_of_a_watched_folder_is_told_once(
    quoth: Quoth, german: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.watching.time.sleep", interrupt)
    result = quoth("add", "--watch", "--json", str(Path(german[0]).parent))
    assert [json.loads(line)["language"] for line in result.stdout.splitlines()] == ["de", "de"]
    assert "bach.md seems to be in German" in one_line(result.stderr)


def test_a_file_is_not_watched(quoth: Quoth, note: Path) -> None:
    result = quoth("add", "--watch", str(note))
    assert result.exit_code == 1
    assert "no folder" in one_line(result.stderr)


def test_a_library_that_is_a_file(quoth: Quoth, note: Path) -> None:
    result = quoth("list", "--library", str(note))
    assert result.exit_code == 1
    assert str(note) in one_line(result.stderr)


# Asking


def test_an_answer_as_json_is_the_answer_of_the_interface(quoth: Quoth) -> None:
    result = quoth("ask", "--json", "Why did Tesla remove radar and lidar?")
    answer = TypeAdapter(Answer).validate_json(result.stdout)
    assert result.exit_code == (0 if answer.status == "answered" else 3)
    (record,) = listed(quoth)
    with Library.open(os.environ["QUOTH_LIBRARY"], embedder=FakeEmbedder()) as library:
        document = library.document(record["id"])
    assert answer.quotes + answer.leads
    assert all(quote.is_exact(document) for quote in answer.quotes + answer.leads)


def test_only_the_chosen_document_is_asked(quoth: Quoth, note: Path) -> None:
    (added,) = json.loads(quoth("add", "--json", str(note)).stdout)
    result = quoth("ask", "--json", "--document", added["id"][:6], "Why did Tesla remove radar and lidar?")
    answer = json.loads(result.stdout)
    assert {quote["document_id"] for quote in answer["quotes"] + answer["leads"]} == {added["id"]}


def test_an_empty_library_abstains(quoth: Quoth) -> None:
    quoth("remove", listed(quoth)[0]["id"])
    result = quoth("ask", "Is anybody there?")
    assert result.exit_code == 3
    assert "quoth add" in result.stdout


@pytest.mark.parametrize("question", ["", "  \n\t", "why " * 1_251])
def test_a_question_that_cannot_be_asked_is_wrong_usage(quoth: Quoth, question: str) -> None:
    result = quoth("ask", question)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "question" in one_line(result.stderr)


def test_the_longest_question_is_a_setting(quoth: Quoth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_MAX_QUESTION_CHARS", "10")
    assert quoth("ask", "Is it longer?").exit_code == 2


def test_a_question_may_come_from_standard_input(quoth: Quoth) -> None:
    assert json.loads(quoth("ask", "--json", "-", stdin=f"  {RADAR}\n").stdout)["question"] == RADAR
    assert quoth("ask", "-", stdin="\n").exit_code == 2


def test_a_question_is_needed_where_none_follows(quoth: Quoth) -> None:
    result = quoth("ask")
    assert result.exit_code == 2
    assert "QUESTION" in result.stderr


def test_ask_and_follow_is_a_chat_with_a_first_question(quoth: Quoth) -> None:
    chat = quoth("chat", "--json", stdin=f"{RADAR}\nWhy is that?\n!\n")
    follow = quoth("ask", "--follow", "--json", RADAR, stdin="Why is that?\n!\n")
    assert (follow.exit_code, follow.stdout) == (0, chat.stdout)
    assert quoth("ask", "--follow", "--json", stdin=f"{RADAR}\nWhy is that?\n!\n").stdout == chat.stdout
    _, leaning, alone = map(json.loads, chat.stdout.splitlines())
    assert leaning["resolved_question"] != leaning["question"] == "Why is that?"
    assert alone["resolved_question"] == alone["question"] == "Why is that?"


def test_a_conversation_is_exported(quoth: Quoth, tmp_path: Path) -> None:
    chat = quoth("chat", "--export", str(tmp_path / "talk.json"), stdin=f"{RADAR}\nWhy is that?\n")
    assert (chat.exit_code, chat.stderr) == (0, "")
    assert quoth("verify", str(tmp_path / "talk.json")).exit_code == 0
    assert len(json.loads((tmp_path / "talk.json").read_text(encoding="utf-8"))["turns"]) == 2
    quoth("ask", "--export", str(tmp_path / "talk.md"), RADAR)
    assert f"## {RADAR[:-1]}" in (tmp_path / "talk.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "code"), [("talk.pdf", 2), ("none/talk.md", 1)])
def test_an_export_that_cannot_be_written(quoth: Quoth, tmp_path: Path, name: str, code: int) -> None:
    result = quoth("ask", "--export", str(tmp_path / name), RADAR)
    assert result.exit_code == code
    assert name in result.stderr


def test_a_search_finds_passages(quoth: Quoth, note: Path) -> None:
    (added,) = json.loads(quoth("add", "--json", str(note)).stdout)
    found = json.loads(quoth("search", "--json", "--limit", "3", "radar and cameras").stdout)
    assert len(found) == 3
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    (only,) = json.loads(quoth("search", "--json", "--document", added["id"], "radar").stdout)
    assert only["text"] == NOTE.strip()
    assert (only["document_id"], only["title"], only["start"]) == (added["id"], added["title"], 0)
    lines = quoth("search", "--document", added["id"], "radar").stdout.splitlines()
    assert lines[0] == f"[1] {NOTE.strip()}"
    assert added["title"] in lines[1]


def test_a_search_that_cannot_be_made_is_wrong_usage(quoth: Quoth) -> None:
    assert quoth("search", "--limit", "0", "radar").exit_code == 2
    assert quoth("search", " ").exit_code == 2


def test_verbose_says_that_there_is_no_server(quoth: Quoth, caplog: pytest.LogCaptureFixture) -> None:
    quoth("ask", "--verbose", RADAR)
    assert caplog.messages == ["no server: asking the library in this process"]


# Verifying


def test_what_was_answered_is_verified(quoth: Quoth) -> None:
    answers = quoth("chat", "--json", stdin=f"{RADAR}\nWhat is Software 2.0?\n").stdout
    verified = quoth("verify", "-", stdin=answers)
    assert (verified.exit_code, verified.stderr) == (0, "")
    *rows, summary = verified.stdout.splitlines()
    assert {row.split("\t")[0] for row in rows} == {"right"}
    assert summary == f"{len(rows)} quotes: {len(rows)} right"


def test_an_answer_names_its_documents_so_that_a_new_version_is_found(quoth: Quoth, note: Path) -> None:
    (added,) = json.loads(quoth("add", "--json", str(note)).stdout)
    asked = quoth("ask", "--json", "--document", added["id"], "When was radar removed?").stdout
    quoth("remove", added["id"])
    assert json.loads(quoth("verify", "--json", "-", stdin=asked).stdout)["missing"] > 0
    note.write_text("A new first sentence. " + NOTE, encoding="utf-8")
    quoth("add", str(note))
    verified = quoth("verify", "--json", "-", stdin=asked)
    found = json.loads(verified.stdout)
    assert (verified.exit_code, found["moved"], found["right"]) == (3, len(found["checks"]), 0)


def test_a_forged_quote_does_not_pass(quoth: Quoth, tmp_path: Path) -> None:
    answer = json.loads(quoth("ask", "--json", RADAR).stdout)
    quote = (answer["quotes"] + answer["leads"])[0]
    quote["text"] = quote["text"].replace("a", "o")
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer), encoding="utf-8")
    verified = quoth("verify", str(file))
    assert verified.exit_code == 3
    first = verified.stdout.splitlines()[0].split("\t")
    assert first[0] == "changed"
    assert f"{quote['start']}:{quote['end']}" in first[-1]


@pytest.mark.parametrize("content", [None, NOTE, "{}"])
def test_a_file_that_holds_no_conversation(quoth: Quoth, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "talk.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    result = quoth("verify", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert str(file) in one_line(result.stderr)


def test_nothing_to_verify_is_all_right(quoth: Quoth) -> None:
    quoth("remove", listed(quoth)[0]["id"])
    asked = quoth("ask", "--json", "Is anybody there?").stdout
    verified = quoth("verify", "-", stdin=asked)
    assert (verified.exit_code, verified.stdout) == (0, "There is no quote to verify.\n")


# Feedback


@pytest.fixture
def spoken(quoth: Quoth, note: Path) -> None:
    """Two things said about the note: one with an answer, one without."""
    quoth("add", str(note))
    with Library.open(os.environ["QUOTH_LIBRARY"], embedder=FakeEmbedder()) as library:
        document = library.document(library.documents()[-1].id)
        start, end = document.sentences[1].start, document.sentences[1].end
        shown = (Excerpt(document.id, start, end, document.text[start:end]),)
        helpful = Feedback("helpful", "Why?", "Why? (When was radar removed?)", (), True, 0.7, shown)
        library.add_feedback(helpful)
        library.add_feedback(replace(helpful, verdict="not_helpful", resolved_question="Who\tpaid?"))


@pytest.mark.usefixtures("spoken")
def test_feedback_is_listed(quoth: Quoth) -> None:
    today = datetime.now(UTC).date().isoformat()
    assert quoth("feedback", "list").stdout.splitlines() == [
        f"1\t{today}\thelpful\tWhy? (When was radar removed?)\tIt disagreed with the cameras.",
        f"2\t{today}\tnot_helpful\tWho paid?\t",
    ]
    first, second = json.loads(quoth("feedback", "list", "--json").stdout)
    assert (first["verdict"], second["verdict"]) == ("helpful", "not_helpful")
    assert first["shown"][0]["text"] == "It disagreed with the cameras."
    assert {"given", "quoth", "model", "reader"} <= set(first)


@pytest.mark.usefixtures("spoken")
def test_exported_feedback_can_be_evaluated(quoth: Quoth, tmp_path: Path) -> None:
    file = tmp_path / "feedback.json"
    exported = quoth("feedback", "export", str(file))
    assert (exported.exit_code, exported.stderr) == (0, "")
    assert exported.stdout == f"1 questions written to {file}, 1 left out\n"
    report = json.loads(quoth("eval", "--json", str(file)).stdout)
    assert (report["documents"], report["questions"], report["unanswerable"]) == (1, 1, 0)
    printed = quoth("feedback", "export").stdout
    assert json.loads(printed) == json.loads(file.read_text(encoding="utf-8"))


def test_feedback_is_given_to_an_answer(quoth: Quoth, tmp_path: Path) -> None:
    asked = quoth("ask", "--json", RADAR).stdout
    assert quoth("feedback", "give", "helpful", stdin=asked).stdout == f"kept as number 1: helpful, {RADAR}\n"
    file = tmp_path / "talk.json"
    file.write_text(quoth("chat", "--json", stdin=f"{RADAR}\nWhat is Software 2.0?\n").stdout)
    (record,) = listed(quoth)
    given = quoth("feedback", "give", "not_said", "--document", record["id"][:4], "--turn", "1", str(file))
    assert given.exit_code == 0
    best_quote = best(quoth("ask", "--json", RADAR))
    start = best_quote["start"]
    place = (record["id"][:4], f"{start + 1}:{start + 2}")
    last = quoth("feedback", "give", "answer_here", "--answer", *place, "--json", str(file))
    assert json.loads(last.stdout)["answer"]["start"] == start  # the whole sentence
    first, second, third = json.loads(quoth("feedback", "list", "--json").stdout)
    assert (first["question"], second["question"], third["question"]) == (
        RADAR,
        RADAR,
        "What is Software 2.0?",
    )
    assert (first["documents"], second["documents"]) == ([], [record["id"]])
    assert third == json.loads(last.stdout)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("splendid",), 2),
        (("helpful", "--turn", "2"), 2),
        (("helpful", "--turn", "0"), 2),
        (("answer_here",), 1),
        (("helpful", "--document", "zz"), 1),
    ],
)
def test_feedback_that_says_nothing(quoth: Quoth, args: tuple[str, ...], code: int) -> None:
    asked = quoth("ask", "--json", RADAR).stdout
    result = quoth("feedback", "give", *args, stdin=asked)
    assert (result.exit_code, result.stdout) == (code, "")
    assert quoth("feedback", "list").stdout == ""


def test_no_feedback_is_an_empty_list_and_an_empty_export(quoth: Quoth) -> None:
    assert quoth("feedback", "list").stdout == ""
    assert json.loads(quoth("feedback", "export").stdout) == {"version": "v2.0", "data": []}


def test_feedback_to_a_file_that_cannot_be_written(quoth: Quoth, tmp_path: Path) -> None:
    result = quoth("feedback", "export", str(tmp_path / "none" / "feedback.json"))
    assert result.exit_code == 1
    assert "feedback.json" in one_line(result.stderr)


# Measuring


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    context = "Radar was removed in 2021. The cameras were kept. Lidar was never used on the cars."
    answer = {"text": "in 2021", "answer_start": context.index("in 2021")}
    questions = [
        {"id": "1", "question": "When was radar removed?", "is_impossible": False, "answers": [answer]},
        {"id": "2", "question": "Who paid for lunch?", "is_impossible": True, "answers": []},
    ]
    data = [{"title": "Sensors", "paragraphs": [{"context": context, "qas": questions}]}]
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"version": "v2.0", "data": data}))
    return file


def test_eval_prints_every_measure_with_its_interval(quoth: Quoth, squad: Path) -> None:
    report = json.loads(quoth("eval", "--json", str(squad)).stdout)
    assert (report["questions"], report["unanswerable"]) == (2, 1)
    assert report["measures"]["exact quotes"]["value"] == 1.0
    lines = quoth("eval", str(squad)).stdout.splitlines()
    assert "2 questions" in lines[0]
    rows = {line.split("\t")[0] for line in lines}
    assert set(report["measures"]) <= rows


def test_eval_of_something_else(quoth: Quoth, note: Path) -> None:
    result = quoth("eval", str(note))
    assert result.exit_code == 1
    assert str(note) in one_line(result.stderr)


# Errors


@pytest.mark.parametrize("args", [["list"], ["ask", "Why?"], []])
def test_a_bad_setting_is_one_line_and_wrong_usage(
    quoth: Quoth, args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUOTH_PORT", "abc")
    result = quoth(*args)
    assert result.exit_code == 2
    assert "QUOTH_PORT is 'abc'" in one_line(result.stderr)


def test_a_bad_option_is_one_line_and_wrong_usage(quoth: Quoth) -> None:
    result = quoth("serve", "--port", "70000")
    assert result.exit_code == 2
    assert "--port is '70000'" in one_line(result.stderr)


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(settings: Settings) -> Library:
        raise ZeroDivisionError("a defect\nof two lines")

    monkeypatch.setattr("ui.commands.libraries.open_library", fail)


@pytest.mark.usefixtures("defect")
def test_an_unexpected_error_is_one_line_that_says_how_to_see_more(quoth: Quoth) -> None:
    result = quoth("list")
    assert result.exit_code == 1
    line = one_line(result.stderr)
    assert "ZeroDivisionError: a defect of two lines" in line
    assert "--debug" in line


@pytest.mark.usefixtures("defect")
def test_debug_shows_an_unexpected_error_whole(quoth: Quoth, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(quoth("--debug", "list").exception, ZeroDivisionError)
    monkeypatch.setenv("QUOTH_DEBUG", "1")
    assert isinstance(quoth("list").exception, ZeroDivisionError)


@pytest.mark.parametrize("name", [*cli.commands, *(f"feedback {name}" for name in feedback.commands), ""])
def test_every_help_has_examples(quoth: Quoth, name: str) -> None:
    result = quoth(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"quoth {name}".strip() in result.stdout.partition("Examples:")[2]


def test_the_help_names_every_setting(quoth: Quoth) -> None:
    shown = quoth("--help").stdout
    assert [name for name in Settings.model_fields if env_name(name) not in shown] == []


# About the program itself


def test_settings_are_listed_as_they_apply(quoth: Quoth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_STRICT", "0.7")
    monkeypatch.setenv("QUOTH_TOKEN", "nobody reads this")
    values = {each["name"]: each for each in json.loads(quoth("settings", "--json").stdout)}
    assert list(values) == list(Settings.model_fields)
    assert (values["strict"]["value"], values["strict"]["default"]) == (0.7, "0.5")
    assert values["library"]["value"] == os.environ["QUOTH_LIBRARY"]
    assert "nobody" not in str(values) + quoth("settings").stdout
    rows = [line.split("\t") for line in quoth("settings").stdout.splitlines()]
    assert ["QUOTH_STRICT", "0.7", "0.5"] in [row[:3] for row in rows]
    assert ["QUOTH_DEBUG", "off", "off"] in [row[:3] for row in rows]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("quoth fee", ["feedback"]),
        ("quoth feedback ", ["give", "list", "export"]),
        ("quoth ask --fol", ["--follow"]),
        ("quoth show ", ["{id}", "Hacking the Universe"]),
        ("quoth remove {id} {id}", ["{id}", "Hacking the Universe"]),
        ("quoth ask --document {id}", ["{id}"]),
        ("quoth show zz", []),
    ],
)
def test_a_shell_completes(
    quoth: Quoth, monkeypatch: pytest.MonkeyPatch, words: str, expected: list[str]
) -> None:
    prefix = listed(quoth)[0]["id"][:8]
    typed = words.format(id=prefix)
    monkeypatch.setenv("_QUOTH_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    monkeypatch.setattr(SentenceTransformerEmbedder, "load", lambda _: pytest.fail("a model was loaded"))
    completed = quoth().stdout.strip()
    for each in expected:
        assert each.format(id=prefix) in completed
    assert bool(completed) == bool(expected)


def test_a_shell_completes_nothing_where_there_is_no_library(
    quoth: Quoth, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("_QUOTH_COMPLETE", "bash_complete"),
        ("COMP_WORDS", "quoth show "),
        ("COMP_CWORD", "2"),
    ):
        monkeypatch.setenv(name, value)
    assert quoth().output.strip() == ""
    assert not Path(os.environ["QUOTH_LIBRARY"]).exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(quoth: Quoth, shell: str) -> None:
    result = quoth("completion", shell)
    assert result.exit_code == 0
    assert f"_QUOTH_COMPLETE={shell}_complete" in result.stdout


# The console script, in a process of its own


def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [QUOTH, *args],
        env=os.environ | environment,
        capture_output=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        timeout=LIMIT_SECONDS,
        check=False,
    )


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A library that holds the summary, made without a model."""
    with Library.open(tmp_path / "library", embedder=FakeEmbedder()) as library:
        library.add_bundled()
    return tmp_path / "library"


def test_version() -> None:
    assert run("--version").stdout == "quoth 0.1.0\n"


@pytest.mark.parametrize(
    "args",
    [
        *(["--help"], ["list"], ["show", "f"], ["remove", "f"], ["verify", "-"], ["feedback", "list"]),
        *(["settings"], ["schema", "ask"], ["completion", "fish"]),
    ],
)
def test_light_commands_load_no_model_and_no_page(args: list[str], filled: Path) -> None:
    heavy = {"torch", "transformers", "sentence_transformers", "gradio", "fastapi"}
    script = (
        "import sys; from ui.cli import cli; cli(sys.argv[1:], standalone_mode=False); "
        f"sys.exit(str({heavy} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *args], input=ANSWER, capture_output=True, text=True, check=False
    )
    assert result.stderr == "set()\n"


def test_a_terminal_without_the_characters(filled: Path) -> None:
    result = run("show", "f", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Hacking the Universe" in result.stdout


def test_a_reader_that_goes_away_is_no_error(filled: Path) -> None:
    with started("show", "f") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_busy_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.returncode == 1
    assert str(port) in one_line(result.stderr)


@pytest.mark.model
@pytest.mark.parametrize(
    ("question", "code"),
    [("Why did Tesla remove radar and lidar?", 0), ("What is the capital of France?", 3)],
)
def test_the_summary_answers_what_it_can(question: str, code: int) -> None:
    result = run("ask", question)
    assert (result.returncode, result.stderr) == (code, "")
    assert ("[1] " in result.stdout) == (code == 0)
    assert ("not an answer" in result.stdout or "not confirmed" in result.stdout) == (code == 3)
    if code == 0:
        assert "Digging Deeper" in result.stdout or "Q&A" in result.stdout


@contextmanager
def started(*args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running command, ended with the block whatever happens in it."""
    with subprocess.Popen([QUOTH, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.model
@pytest.mark.parametrize("seconds", [0.0, 1.0, 3.0])
def test_ctrl_c_while_the_model_loads(seconds: float, tmp_path: Path) -> None:
    with started("ask", "Why?") as process:
        wait_until(lambda: any((tmp_path / "library").glob("*.db")))
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, stdout, stderr) == (130, b"", b"")


@pytest.mark.model
@pytest.mark.usefixtures("filled")
def test_serve_prints_its_address_and_ctrl_c_stops_it() -> None:
    with started("serve", "--port", "0") as page:
        assert page.stdout is not None
        line = page.stdout.readline().decode()
        page.send_signal(signal.SIGINT)
        _, stderr = page.communicate(timeout=LIMIT_SECONDS)
    assert line.startswith("Quoth answers at http://127.0.0.1:")
    assert stderr == b""
    assert page.returncode == 0


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
