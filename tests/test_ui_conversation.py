"""The conversation on the page: follow-ups, asking again, earlier chats, export, feedback, settings, back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from ui_fixtures import (
    IN_BROWSER,
    PHONE,
    OpenPage,
    SteeredReader,
    ask,
    highlighted,
    plain,
    served,
    steered_reader,
)

from index import Library
from rag.conversation.talk import Spoken, load_talks
from rag.feedback import to_squad
from rag.reader import OperatingPoint
from rag.record import read_record
from rag.verification import verify

RADAR = "Why did Tesla remove radar and lidar?"
FERMI = "How does Karpathy view the Fermi Paradox?"
NOT_IN_IT = "Which GPU did Karpathy buy in Paris?"
SAMPLE = Path(__file__).parent / "data" / "authored_dev"

pytestmark = IN_BROWSER


def answered(open_page: OpenPage, url: str, question: str = RADAR, **options: Any) -> Page:
    page = open_page(url, **options)
    ask(page, question)
    return page


def questions(page: Page) -> list[str]:
    return page.locator(".turn .asked").all_inner_texts()


def from_menu(page: Page, menu: str, choice: str) -> None:
    page.get_by_role("button", name=menu, exact=True).click()
    page.locator(".menu:popover-open").get_by_text(choice).click()


# Follow-ups


def test_a_conversation_is_understood_turn_by_turn(open_page: OpenPage, own_library: Library) -> None:
    [talk] = [each for each in load_talks(SAMPLE) if each.name.startswith("f-garden")]
    own_library.add(talk.content, name=talk.name)
    with served(own_library) as address:
        page = open_page(address)
        before: Spoken | None = None
        for number, turn in enumerate(talk.conversations[0]):
            ask(page, turn.question)
            resolved = page.locator(".turn").nth(number).locator(".resolved")
            if turn.leans:
                assert before
                expect(resolved).to_contain_text(f"Understood as: {turn.question} ({before.question})")
            else:
                expect(resolved).to_have_count(0)
            before = turn
        assert number == 4
        plums = page.locator(".turn").nth(1).locator(".words").first
        assert plain(plums.text_content()).startswith("Leave plums alone until July")


def test_a_follow_up_is_asked_as_it_was_typed(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    ask(page, "and why not?")
    page.locator(".turn").last.get_by_role("button", name="Ask it as I typed it").click()
    expect(page.locator(".turn:not(.pending)")).to_have_count(3)
    last = page.locator(".turn").last
    expect(last.locator(".asked")).to_have_text("and why not?")
    expect(last.locator(".resolved")).to_have_count(0)


def test_thanks_are_not_searched(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    ask(page, "thanks!")
    last = page.locator(".turn").last
    expect(last.locator(".line")).to_have_text("Happy to help. Ask anything about the document.")
    expect(last.locator(".lead, .passages, .confidence")).to_have_count(0)


# Asking again, copying


def test_an_edited_question_takes_the_place_of_the_old_one_and_all_after_it(
    open_page: OpenPage, url: str
) -> None:
    page = answered(open_page, url)
    ask(page, FERMI)
    page.locator(".turn").first.get_by_role("button", name="Edit and ask again").click()
    field = page.get_by_label("Edit your question")
    expect(field).to_be_focused()
    field.fill("What is Software 2.0?")
    field.press("Enter")
    expect(page.locator(".turn:not(.pending)")).to_have_count(1)
    assert questions(page) == ["What is Software 2.0?"]


def test_an_edit_is_left_with_escape(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    edit = page.get_by_role("button", name="Edit and ask again")
    edit.click()
    page.get_by_label("Edit your question").press("Escape")
    expect(edit).to_be_focused()
    assert questions(page) == [RADAR]


def test_a_quote_is_copied_with_its_citation(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy quote 1 with its citation").click()
    expect(page.locator(".notice")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    words = page.locator(".passages .words").first.text_content()
    assert copied.startswith(f"“{words}” (Hacking the Universe")
    page.get_by_role("button", name="Copy", exact=True).click()
    page.wait_for_function(f"navigator.clipboard.readText().then((text) => text.startsWith({RADAR!r}))")


# Earlier chats


def test_an_earlier_chat_is_opened_again(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".greeting")).to_be_visible()
    ask(page, FERMI)
    from_menu(page, "Chats", RADAR)
    expect(page.locator(".turn .asked")).to_have_text([RADAR])
    page.reload()
    expect(page.locator(".turn .asked")).to_have_text([RADAR])
    page.get_by_role("button", name="Chats", exact=True).click()
    expect(page.locator(".menu:popover-open .chat-title")).to_have_text([FERMI])
    page.get_by_role("button", name=f"Forget “{FERMI}”").click()
    expect(page.locator(".menu:popover-open .chat")).to_have_count(0)


def test_an_earlier_chat_whose_document_is_gone_for_the_moment_is_not_forgotten(
    open_page: OpenPage, own_library: Library
) -> None:
    bees = own_library.add(b"Bees sleep at night.\n", name="bees.txt")
    own_library.add(b"Wasps sleep in winter.\n", name="wasps.txt")
    with served(own_library) as address:
        page = answered(open_page, f"{address}/?doc={bees.id}", "When do bees sleep?")
        page.get_by_role("button", name="New chat").click()
        expect(page.locator(".greeting")).to_be_visible()
        removed = own_library.remove(bees.id)
        from_menu(page, "Chats", "When do bees sleep?")
        expect(page.get_by_role("alert")).to_contain_text("no longer in the library")
        own_library.put_back(removed)
        from_menu(page, "Chats", "When do bees sleep?")
        expect(page.locator(".turn .asked")).to_have_text(["When do bees sleep?"])
        page.get_by_role("button", name="Chats", exact=True).click()
        expect(page.locator(".menu:popover-open")).to_contain_text("None yet")


def test_a_waiting_question_does_not_come_into_a_reopened_chat(
    open_page: OpenPage, real_library: Library
) -> None:
    reader = steered_reader()
    with served(real_library, reader) as address:
        page = answered(open_page, address)
        page.get_by_role("button", name="New chat").click()
        expect(page.locator(".greeting")).to_be_visible()
        reader.loaded.clear()
        page.get_by_label("Your question").fill(FERMI)
        page.keyboard.press("Enter")
        expect(page.locator(".turn.pending")).to_be_visible()
        from_menu(page, "Chats", RADAR)
        expect(page.locator(".turn .asked")).to_have_text([RADAR])
        reader.loaded.set()
        ask(page, "What is Software 2.0?")
        assert questions(page) == [RADAR, "What is Software 2.0?"]


def test_damaged_earlier_chats_do_no_harm(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    chats = [{"id": 1, "at": 1, "title": "bad", "answers": [{"question": 5}]}, None, {"title": 3}]
    page.evaluate("chats => localStorage.setItem('quoth-chats', chats)", json.dumps(chats))
    from_menu(page, "Chats", "bad")
    expect(page.get_by_role("alert")).to_contain_text("no longer in the library")
    page.evaluate("localStorage.setItem('quoth-chats', 'garbage')")
    page.get_by_role("button", name="Chats", exact=True).click()
    expect(page.locator(".menu:popover-open")).to_contain_text("None yet")


HOSTILE = "<img src=x onerror=window.pwned=1> ${window.pwned=1} {{value}} `${window.pwned=1}`"


def test_what_the_browser_kept_is_never_run(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    answer = {"question": HOSTILE, "resolved_question": HOSTILE, "status": "not_found", "confidence": 0.1}
    chats = [{"id": HOSTILE, "at": HOSTILE, "title": HOSTILE, "answers": [answer]}]
    page.evaluate("chats => localStorage.setItem('quoth-chats', chats)", json.dumps(chats))
    page.get_by_role("button", name="Chats", exact=True).click()
    row = page.locator(".menu:popover-open .chat-title")
    expect(row).to_have_text(HOSTILE)
    row.click()
    expect(page.locator(".turn .asked")).to_have_text(HOSTILE)
    page.reload()
    expect(page.locator(".turn .asked")).to_have_text(HOSTILE)
    assert page.evaluate("window.pwned") is None
    assert page.locator(".log img, .menu img").count() == 0


# Export


def test_the_conversation_is_exported_with_footnotes(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    with page.expect_download() as download:
        from_menu(page, "Export", "Markdown")
    text = download.value.path().read_text("utf-8")
    assert download.value.suggested_filename == "quoth-conversation.md"
    assert f"## {RADAR}" in text
    assert "[^1]: Hacking the Universe" in text


def test_the_quotes_of_an_export_are_verified(open_page: OpenPage, url: str, real_library: Library) -> None:
    page = answered(open_page, url)
    ask(page, NOT_IN_IT)
    with page.expect_download() as download:
        from_menu(page, "Export", "JSON")
    content = download.value.path().read_bytes()
    record = read_record(content, "chat.json")
    assert [turn.question for turn in record.turns] == [RADAR, NOT_IN_IT]
    checked = list(verify(record, real_library))
    assert checked
    assert {each.verdict for each in checked} == {"right"}


def test_nothing_is_exported_before_a_question(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    from_menu(page, "Export", "Markdown")
    expect(page.get_by_role("alert")).to_contain_text("nothing to export")


# Feedback


def test_what_a_person_says_about_answers_is_kept(open_page: OpenPage, own_library: Library) -> None:
    own_library.add_bundled()
    with served(own_library) as address:
        page = answered(open_page, address)
        page.get_by_role("button", name="Helpful", exact=True).click()
        expect(page.locator(".thanks")).to_be_visible()
        ask(page, FERMI)
        turn = page.locator(".turn").last
        turn.get_by_role("button", name="Not helpful", exact=True).click()
        turn.get_by_role("button", name="The answer is here…").click()
        expect(page.get_by_text("Click the sentence that answers")).to_be_visible()
        sentence = page.locator("#right .s", has_text="Sensors aren’t free")
        sentence.scroll_into_view_if_needed()
        sentence.click()
        expect(turn.locator(".thanks")).to_be_focused()
        expect(page.get_by_text("Click the sentence that answers")).to_be_hidden()
        ask(page, "What is Software 2.0?")
        turn = page.locator(".turn").last
        turn.get_by_role("button", name="Not helpful", exact=True).click()
        turn.get_by_role("button", name="The document does not say").click()
        expect(turn.locator(".thanks")).to_be_visible()
    said = own_library.feedback()
    assert [each.verdict for each in said] == ["helpful", "answer_here", "not_said"]
    assert said[1].answer
    assert said[1].answer.text.startswith("Sensors aren’t free")
    assert len(to_squad(said, own_library)["data"]) == 1


def test_a_sentence_is_picked_with_the_keyboard_or_not_at_all(
    open_page: OpenPage, own_library: Library
) -> None:
    bees = own_library.add(b"Bees dance. Bees sleep at night. Bees hum.\n", name="bees.txt")
    with served(own_library) as address:
        page = answered(open_page, address, "When do bees sleep?")
        turn = page.locator(".turn").last
        turn.get_by_role("button", name="Not helpful", exact=True).click()
        pick = turn.get_by_role("button", name="The answer is here…")
        pick.click()
        page.keyboard.press("Escape")
        expect(page.get_by_text("Click the sentence that answers")).to_be_hidden()
        expect(pick).to_be_focused()
        pick.click()
        page.get_by_role("button", name="Next citation").press("Enter")
        page.locator(".page").focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        expect(turn.locator(".thanks")).to_be_visible()
    [said] = own_library.feedback()
    assert said.answer
    assert (said.answer.document_id, said.answer.text) == (bees.id, "Bees hum.")


def test_a_sheet_that_was_opened_to_pick_closes_and_picks_no_more(
    open_page: OpenPage, own_library: Library
) -> None:
    own_library.add(b"Bees dance. Bees sleep at night. Bees hum.\n", name="bees.txt")
    with served(own_library) as address:
        page = answered(open_page, address, "When do bees sleep?", viewport=PHONE)
        page.get_by_role("button", name="Not helpful", exact=True).click()
        page.get_by_role("button", name="The answer is here…").click()
        page.get_by_role("button", name="Close the document").click()
        page.get_by_role("button", name="Read", exact=True).click()
        expect(page.get_by_text("Click the sentence that answers")).to_be_hidden()
        page.locator(".s", has_text="Bees hum.").click()
        page.get_by_role("button", name="Close the document").click()
        page.get_by_role("button", name="The answer is here…").click()
        page.locator(".s", has_text="Bees hum.").click()
        expect(page.locator("#right")).to_be_hidden()
        expect(page.locator(".thanks")).to_be_visible()
    assert len(own_library.feedback()) == 1


def test_nobody_is_thanked_for_what_was_not_kept(open_page: OpenPage, own_library: Library) -> None:
    bees = own_library.add(b"Bees dance. Bees sleep at night.\n", name="bees.txt")
    with served(own_library) as address:
        page = answered(open_page, address, "When do bees sleep?")
        own_library.remove(bees.id)
        page.get_by_role("button", name="Helpful", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("no longer in this conversation")
        expect(page.locator(".thanks")).to_have_count(0)


# Settings


def test_how_sure_an_answer_has_to_be_is_a_setting(open_page: OpenPage, real_library: Library) -> None:
    reader = steered_reader(decides=OperatingPoint(answer=0.999, unsure=0.2))
    with served(real_library, reader) as address:
        page = answered(open_page, address)
        expect(page.locator(".turn").last).to_have_class(re.compile("unsure"))
        kept = page.evaluate("localStorage.getItem('quoth-strict')")
        from_menu(page, "Settings", "Answer more readily")
        page.wait_for_function("kept => localStorage.getItem('quoth-strict') !== kept", arg=kept)
        page.keyboard.press("Escape")
        ask(page, RADAR)
        expect(page.locator(".turn").last).to_have_class(re.compile("answered"))
        page.reload()
        page.get_by_role("button", name="Settings", exact=True).click()
        expect(page.get_by_label("Answer more readily")).to_be_checked()


def test_the_theme_follows_the_system_until_it_is_chosen(open_page: OpenPage, url: str) -> None:
    page = open_page(url, color_scheme="dark")
    dark = re.compile(r"\bdark\b")
    expect(page.locator("body")).to_have_class(dark)
    from_menu(page, "Settings", "Light")
    expect(page.locator("body")).not_to_have_class(dark)
    page.reload()
    expect(page.get_by_label("Your question")).to_be_visible()
    expect(page.locator("body")).not_to_have_class(dark)
    from_menu(page, "Settings", "System")
    expect(page.locator("body")).to_have_class(dark)


def test_a_menu_closes_with_escape_and_gives_the_focus_back(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    button = page.get_by_role("button", name="Settings", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".menu:popover-open")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".menu:popover-open")).to_have_count(0)
    expect(button).to_be_focused()


# The address, and a server that goes


def test_back_and_forward_go_through_the_questions(open_page: OpenPage, url: str) -> None:
    page = answered(open_page, url)
    first = page.url
    ask(page, FERMI)
    expect(page).to_have_url(re.compile("q=How"))
    page.go_back()
    expect(page).to_have_url(first)
    expect(page.locator(".turn").first.locator(".marker.current")).to_have_count(1)
    assert highlighted(page) == plain(page.locator(".turn").first.locator(".words").first.text_content())
    page.go_forward()
    expect(page.locator(".turn").last.locator(".marker.current")).to_have_count(1)
    expect(page.locator(".turn")).to_have_count(2)


def test_the_page_goes_on_when_the_server_was_away(open_page: OpenPage, real_library: Library) -> None:
    with served(real_library) as address:
        page = answered(open_page, address)
        page.get_by_label("Your question").fill("What is Software")
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    port = int(address.rpartition(":")[2])
    with served(real_library, port=port):
        expect(page.locator(".turn .asked")).to_have_text([RADAR])
        expect(page.get_by_text("The server does not answer.")).to_be_hidden()
        expect(page.get_by_label("Your question")).to_have_value("What is Software")
        ask(page, FERMI)


def test_a_question_that_waited_is_given_back_when_the_server_was_away(
    open_page: OpenPage, real_library: Library
) -> None:
    reader = SteeredReader()
    with served(real_library, reader) as address:
        page = open_page(address)
        page.get_by_label("Your question").fill(RADAR)
        page.keyboard.press("Enter")
        expect(page.locator(".turn.pending")).to_be_visible()
        page.route("**/healthz", lambda route: route.abort())
        expect(page.get_by_text("The server does not answer.")).to_be_visible()
        page.unroute("**/healthz")
        expect(page.get_by_label("Your question")).to_have_value(RADAR)
        reader.loaded.set()
