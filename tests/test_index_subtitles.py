"""Subtitles and transcripts: sentences, speakers and times."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import document_of

from index import Document
from index.document import assemble
from index.errors import EmptyDocumentError, NotTextError
from index.formats import parse
from index.formats.speech import PARAGRAPH_CHARS, RUN_CHARS, UNPUNCTUATED_CHARS
from index.formats.subtitles import is_srt, is_vtt

FILES = Path(__file__).parent / "data" / "formats"


def srt(*cues: str, seconds: float = 2) -> str:
    """A SubRip file with a cue every so many seconds, each on the screen for two."""
    blocks = []
    for number, text in enumerate(cues):
        start = number * seconds
        times = " --> ".join(
            f"00:{int(at) // 60:02}:{int(at) % 60:02},{round(at % 1 * 1000):03}" for at in (start, start + 2)
        )
        blocks.append(f"{number + 1}\n{times}\n{text}\n")
    return "\n".join(blocks)


def subtitles(*cues: str, seconds: float = 2) -> Document:
    return document_of(srt(*cues, seconds=seconds), "film.srt")


def blocks(document: Document) -> list[tuple[str, str, str]]:
    """Kind, label and text of each block."""
    return [
        (
            block.kind,
            document.text[block.label_start : block.start],
            document.text[block.start : block.end],
        )
        for block in document.blocks
    ]


def said(document: Document) -> list[tuple[str | None, str]]:
    """Each sentence with the time it stands at."""
    return [
        (document.place_of(sentence.start), document.text[sentence.start : sentence.end])
        for sentence in document.sentences
    ]


# Sentences and times


def test_cues_are_joined_into_sentences_with_their_times() -> None:
    document = subtitles("The river rises slowly", "in the spring. By April it", "covers the\nlower meadows.")
    assert said(document) == [
        ("0:00", "The river rises slowly in the spring."),
        ("0:02", "By April it covers the lower meadows."),
    ]
    assert len(document.blocks) == 1


@pytest.mark.parametrize(
    ("timing", "place"),
    [
        ("00:12:31,500 --> 00:12:33,000", "12:31"),
        ("01:02:31,000 --> 01:02:33,000", "1:02:31"),
        ("00:05.250 --> 00:07.000 align:start position:0%", "0:05"),
        ("0:0:5.2 -> 0:0:7", "0:05"),
        ("00:00:05:100 --> 00:00:06:100  X1:100 X2:200", "0:05"),
        ("  12:00:00,000 --> 12:00:01,000", "12:00:00"),
    ],
)
def test_times_in_the_forms_that_occur(timing: str, place: str) -> None:
    assert said(document_of(f"{timing}\nIt rains.\n", "film.srt")) == [(place, "It rains.")]


def test_a_pause_begins_a_paragraph_but_not_in_mid_sentence() -> None:
    together = subtitles("It rains.", "It snows.", seconds=2)
    apart = subtitles("It rains.", "It snows, and", "nobody comes.", seconds=5)
    assert [text for _, _, text in blocks(together)] == ["It rains. It snows."]
    assert [text for _, _, text in blocks(apart)] == ["It rains.", "It snows, and nobody comes."]


def test_paragraphs_are_not_endless() -> None:
    document = subtitles(
        *["The river rises slowly in the", "spring. By April it covers the meadows. It"] * 60
    )
    assert len(document.blocks) > 5
    assert all(len(text) <= PARAGRAPH_CHARS for _, _, text in blocks(document))
    assert all(text.endswith(".") for _, _, text in blocks(document)[:-1])


def test_speech_without_full_stops_is_divided_where_cues_end() -> None:
    cues = [f"and then we came to mill number {number}" for number in range(60)]
    document = subtitles(*cues)
    assert len(" ".join(cues)) > UNPUNCTUATED_CHARS
    assert " ".join(text for _, text in said(document)) == " ".join(cues)
    assert all(RUN_CHARS <= len(text) < 2 * RUN_CHARS for _, text in said(document)[:-1])
    assert all(text.startswith("and then we came") for _, text in said(document))


def test_speech_without_full_stops_is_divided_at_pauses() -> None:
    cues = [f"and then we came to mill number {number}" for number in range(60)]
    assert len(subtitles(*cues, seconds=5).sentences) == 60


# What is no speech


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("<i>It</i> <b>rains</b>.", "It rains."),
        ('<font color="#ff0000">It rains.</font>', "It rains."),
        (r"{\an8}It rains.", "It rains."),
        ("<c.yellow.bg_blue>It</c> <00:00:01.500>rains.", "It rains."),
        ("Salt &amp; pepper, 2 &lt; 3.", "Salt & pepper, 2 < 3."),
        ("I &lt;i&gt;mean&lt;/i&gt; it.", "I <i>mean</i> it."),
        ("&#13;&#0;It rains.", "�It rains."),
    ],
)
def test_formatting_is_gone_and_text_kept(shown: str, read: str) -> None:
    assert subtitles(shown).text == read


def test_notes_styles_and_names_of_cues_are_dropped() -> None:
    document = document_of(
        "WEBVTT - The Mill\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE a note\nthat goes on\n\n"
        "intro\n00:01.000 --> 00:02.000\nIt rains.\n\nNOTE another\n\n"
        "2\n00:03.000 --> 00:04.000\nIt snows.\n",
        "film.vtt",
    )
    assert (document.title, document.text) == ("The Mill", "It rains. It snows.")


def test_sounds_and_credits_are_metadata() -> None:
    document = subtitles("[Music]", "It rains.", "♪♪", "(door slams)", "Subtitles by Ann", "It snows.", "---")
    assert [kind for kind, _, _ in blocks(document)] == [
        "metadata",
        "paragraph",
        *["metadata"] * 3,
        "paragraph",
        "metadata",
    ]


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.070 align:start position:0%
\u0020
hello<00:00:00.480><c> and</c><00:00:00.640><c> welcome</c>

00:00:02.070 --> 00:00:02.080 align:start position:0%
hello and welcome
\u0020

00:00:02.080 --> 00:00:04.500 align:start position:0%
hello and welcome
to<00:00:02.200><c> the</c><00:00:02.400><c> old</c><00:00:02.900><c> mill</c>

00:00:04.500 --> 00:00:04.510 align:start position:0%
to the old mill
\u0020

00:00:04.510 --> 00:00:06.000 align:start position:0%
to the old mill
on<00:00:04.900><c> the</c><00:00:05.200><c> river</c>
"""


def test_captions_that_roll_are_read_once() -> None:
    document = document_of(ROLLING, "film.vtt")
    assert document.text == "hello and welcome to the old mill on the river"
    assert document.place_of(document.text.index("on the river")) == "0:04"


def test_captions_that_grow_are_read_once() -> None:
    assert subtitles("the", "the old", "the old mill", "the old mill\nstands still").text == (
        "the old mill stands still"
    )


def test_words_that_are_said_twice_stay() -> None:
    document = subtitles("No.", "No.", "Who goes there?", "The miller.", "Who goes there?", "Nobody.")
    assert document.text == "No. No. Who goes there? The miller. Who goes there? Nobody."


# Speakers


@pytest.mark.parametrize(
    ("cues", "labels"),
    [
        (["<v Ann Lind>It rains.</v>", "<v.loud Bo>It snows."], ["Ann Lind: ", "Bo: "]),
        (["<v Ann>It rains.\n<v Bo>It snows."], ["Ann: ", "Bo: "]),
        (["- It rains.\n- It snows."], ["- ", "- "]),
        (["-It rains.", "–It snows."], ["- ", "- "]),
        ([">> It rains.", ">>> It snows."], [">> ", ">>> "]),
        (["ANN: It rains.", "- BO: It snows."], ["ANN: ", "BO: "]),
        (
            ["Ann: It rains.", "Bo: So.", "Ann: Yes.", "Bo: No.", "Ann: So.", "Bo: It snows."],
            ["Ann: ", "Bo: "] * 3,
        ),
    ],
)
def test_speakers_are_labels(cues: list[str], labels: list[str]) -> None:
    document = subtitles(*cues)
    assert [label for _, label, _ in blocks(document)] == labels
    assert said(document)[0][1] == "It rains."
    assert said(document)[-1][1] == "It snows."


def test_a_colon_or_a_dash_makes_no_speaker() -> None:
    document = subtitles("Remember: it rains.", "So he said – and left –", "- and then 5-6 days.")
    assert [label for _, label, _ in blocks(document)] == [""]


def test_a_speaker_goes_on_without_a_second_label() -> None:
    document = document_of(
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>The mill stands\n\n"
        "00:02.000 --> 00:03.000\n<v Ann>still.\n",
        "film.vtt",
    )
    assert blocks(document) == [("paragraph", "Ann: ", "The mill stands still.")]


def test_a_question_is_answered_by_the_next_speaker() -> None:
    document = subtitles("ANN: It is a mill. Does it flood?", "BO: It does.", "Every year.", "ANN: Thanks.")
    assert blocks(document) == [
        ("paragraph", "ANN: ", "It is a mill."),
        ("question", "", "Does it flood?"),
        ("answer", "BO: ", "It does. Every year."),
        ("paragraph", "ANN: ", "Thanks."),
    ]
    assert document.blocks[2].context == 1


def test_after_a_line_of_dialogue_nobody_knows_who_speaks() -> None:
    document = subtitles("- Does it flood?\n- It does.", "The mill was sold.", seconds=5)
    assert [kind for kind, _, _ in blocks(document)] == ["question", "answer", "paragraph"]


# Files as they are


@pytest.mark.parametrize(
    ("name", "title", "labels", "first", "last"),
    [
        (
            "wheels.srt",
            "wheels.srt",
            ["- ", "- ", "LIND: "],
            ("0:01", "[water rushing]"),
            ("0:30", "www.example.org"),
        ),
        (
            "colours.webvtt-py.srt",
            "colours.webvtt-py.srt",
            ["- ", "- "],
            ("0:07", "Musique douce"),
            ("2:27", "Euh, là-bas, au chêne."),
        ),
        (
            "meeting.webvtt-py.vtt",
            "meeting.webvtt-py.vtt",
            ["Jane Doe: ", "John Smith: ", "Jane Doe: "],
            ("0:00", "Good morning everyone."),
            ("1:05", "Thanks for joining."),
        ),
        (
            "translation.webvtt-py.vtt",
            "Translation of that film I like",
            ["- "] * 5,
            ("2:15", "Ta en kopp varmt te."),
            ("2:25", "Ta en kopp"),
        ),
        (
            "rolling.webvtt-py.vtt",
            "rolling.webvtt-py.vtt",
            [],
            ("4:46", "yeah what this will happen is I'm telling"),
            ("4:46", "yeah what this will happen is I'm telling"),
        ),
        (
            "podcast.transcript.txt",
            "The Slow River",
            ["ANN LIND: ", "BO MOE: "] * 3,
            (None, "Episode 12: Who owns the flood?"),
            ("1:09", "It will."),
        ),
        (
            "lecture.whisper.txt",
            "lecture.whisper.txt",
            [],
            ("0:00", "An aquifer is a body of rock that holds water and lets it pass."),
            ("0:12", "Who may drill into it?"),
        ),
    ],
)
def test_files_of_programs(
    name: str, title: str, labels: list[str], first: tuple[str | None, str], last: tuple[str, str]
) -> None:
    document = assemble(parse((FILES / name).read_bytes(), name), document_id="x", name=name)
    assert document.title == title
    assert [label for _, label, _ in blocks(document) if label] == labels
    assert (said(document)[0], said(document)[-1]) == (first, last)


def test_a_transcript_as_a_video_site_shows_it() -> None:
    document = transcript((FILES / "copied.transcript.txt").read_text("utf-8"))
    assert [at for at, _ in said(document)] == ["0:00", "0:12", "0:16", "0:30", "0:45"]
    assert said(document)[-2][1].startswith("in the winter before and let it dry")


@pytest.mark.parametrize(
    ("text", "vtt", "srt"),
    [
        (ROLLING, True, False),
        (srt("It rains."), False, True),
        ("\n\n00:00:01 --> 00:00:02\nIt rains.", False, True),
        ("WEBVTT", True, False),
        ("WEBVTTX\n", False, False),
        ("1\nIt rains.", False, False),
        ("Use the arrow 1 --> 2.", False, False),
        ("", False, False),
    ],
)
def test_what_is_recognised(text: str, vtt: bool, srt: bool) -> None:
    assert (is_vtt(text), is_srt(text)) == (vtt, srt)


def test_a_spoken_number_is_no_counter() -> None:
    text = "1\n00:01,000 --> 00:02,000\nIt was in\n1984\n\n2\n00:02,000 --> 00:03,000\nin May.\n\n3\n"
    assert document_of(text, "film.srt").text == "It was in 1984 in May. 3"


def test_a_number_is_an_answer_where_cues_are_not_counted() -> None:
    text = "00:01 --> 00:02\n- How old is it?\n00:02 --> 00:03\n42\n00:03 --> 00:04\nSo old."
    assert document_of(text, "film.srt").text.split() == "- How old is it? 42 So old.".split()


def test_blank_lines_inside_and_none_between_cues() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\nIt\n\nrains.\n2\n00:00:02,000 --> 00:00:03,000\n\n"
        "3\n00:00:03,000 --> 00:00:04,000\nSo."
    )
    assert document_of(text, "film.srt").text == "It rains. So."


def test_a_file_without_times_is_read_as_text() -> None:
    assert document_of("It rains.\n\nIt snows.", "film.srt").text == "It rains.\n\nIt snows."


@pytest.mark.parametrize("text", ["", "WEBVTT\n", srt("", "<i></i>")])
def test_a_file_without_words_is_refused(text: str) -> None:
    with pytest.raises(EmptyDocumentError, match="nothing in this file"):
        document_of(text, "film.vtt")


def test_zero_bytes_are_refused() -> None:
    with pytest.raises(NotTextError):
        document_of(srt("It\0 rains."), "film.srt")


def test_bytes_that_are_no_text_in_utf_8_are_read() -> None:
    parsed = parse(srt("Bien s\xfbr, l\xe0-bas.").encode("latin-1"), "film.srt")
    assert parsed.text == "Bien sûr, là-bas."


# Transcripts in plain text


def transcript(text: str) -> Document:
    return document_of(text, "talk.txt")


TURNS = [(4, "Ann", "Does the mill stand still?"), (31, "Bo", "It does. It was sold."), (72, "Ann", "I see.")]


@pytest.mark.parametrize(
    "form",
    [
        "{m}:{s:02} {name}: {text}\n",
        "{m}:{s:02} - {name}: {text}\n\n",
        "[00:{m:02}:{s:02}] {name}: {text}\n",
        "({m}:{s:02}) {name}: {text}\n\n",
        "{name} ({m:02}:{s:02}): {text}\n\n",
        "{name} [00:{m:02}:{s:02}] {text}\n",
        "{name}: [00:{m:02}:{s:02}] {text}\n",
        "{name}  {m}:{s:02}\n{text}\n\n",
        "{name} ({m}:{s:02}):\n{text}\n\n",
        "{name}\n({m:02}:{s:02})\n{text}\n\n",
        "[{m}:{s:02}] <{name}> {text}\n",
        "[00:{m:02}:{s:02}.000 --> 00:{m:02}:59.000]  {name}: {text}\n",
    ],
)
def test_forms_of_transcripts(form: str) -> None:
    text = "".join(form.format(m=at // 60, s=at % 60, name=name, text=words) for at, name, words in TURNS)
    document = transcript(text)
    assert said(document) == [
        ("0:04", "Does the mill stand still?"),
        ("0:31", "It does."),
        ("0:31", "It was sold."),
        ("1:12", "I see."),
    ]
    assert [(kind, label) for kind, label, _ in blocks(document)] == [
        ("question", "Ann: "),
        ("answer", "Bo: "),
        ("paragraph", "Ann: "),
    ]


COPIED = """0:00
hello everyone and welcome to another video
0:03
today we're going to look at how the old
0:06
mill on the river was rebuilt in 1962 by
0:09
three people who had never built anything
0:12
[Music]
0:16
before and what they found under it
"""


def test_a_transcript_without_speakers() -> None:
    document = transcript(COPIED)
    assert [kind for kind, _, _ in blocks(document)] == ["paragraph", "metadata", "paragraph"]
    assert "how the old mill on the river" in document.text
    assert document.place_of(document.text.index("mill on")) == "0:06"


def test_a_transcript_keeps_its_title_its_headings_and_its_paragraphs() -> None:
    document = transcript(
        "The Slow River\nEpisode 12\n\nHost: Ann\n\nTranscript\n\n0:04 Ann: It is a mill\nwith a wheel.\n\n"
        "It grinds.\n\nThe end of mills\n\n1:31 Bo: They end.\nCarl: Not all.\n\n# After\n\n"
        "2:11 Ann: I see.\n2:12 Carl: So."
    )
    assert document.title == "The Slow River"
    assert [section.heading for section in document.sections] == [
        "Introduction",
        "Transcript",
        "The end of mills",
        "After",
    ]
    assert blocks(document) == [
        ("metadata", "", "Episode 12"),
        ("metadata", "", "Host: Ann"),
        ("paragraph", "Ann: ", "It is a mill with a wheel."),
        ("paragraph", "", "It grinds."),
        ("paragraph", "Bo: ", "They end."),
        ("paragraph", "Carl: ", "Not all."),
        ("paragraph", "Ann: ", "I see."),
        ("paragraph", "Carl: ", "So."),
    ]
    assert document.place_of(0) is None
    assert [place.label for place in document.places] == ["0:04", "1:31", "2:11", "2:12"]


@pytest.mark.parametrize(
    "text",
    [
        "Programme\n10:30 Coffee\n11:00 Opening by the mayor\n11:15 Ann Lind: The bed of the river\n"
        "12:00 Lunch\n13:30 Ann Lind: Who pays for the flood\n15:00 Tour of the mill\n\nPlease bring boots.",
        "We talk about the mill. It was sold.\n\n0:00 Introduction\n2:13 The mill and the river\n"
        "7:41 Who pays for the flood\n9:02 Letters\n11:17 Songs\n15:22 What comes next",
        "19:02 The chair opened the meeting. Nobody was absent.\n\n19:11 Ann Lind reported on the roof, "
        "which will cost 40,000.\n\n19:48 The meeting closed.",
        "The [02:41] river rises.\n\n[02:41] A machine without pedals\n\n" + "It was late. " * 60 + "\n\n"
        "[13:07] Paris\n\n" + "It was late. " * 60 + "\n\n[21:33] Bigger\n\n" + "It was late. " * 60,
        "Trains\n\nBergen 12:31\nBergen 13:17\nBergen 14:44\nBergen 15:02",
        "1:12 In the beginning was the mill, and the mill was on the river, and nobody came to it at all.\n"
        "1:13 And there was a flood, and the flood was great, and it covered the meadows of the valley.\n"
        "1:14 And the miller was sad, for the mill stood still, and the gate was open, and nobody came.\n"
        "1:15 So he left, and he went to the town, and lived in it for as long as he was able to.\n"
        "1:16 And in the town he sold what he had, and bought a house by the gate, and a horse, and a cart.\n"
        "1:17 There he stayed.",
    ],
    ids=["programme", "chapters", "minutes", "headings", "trains", "verses"],
)
def test_other_texts_with_times_are_no_transcripts(text: str) -> None:
    document = transcript(text)
    assert document.places == ()
    assert document.text == text


def test_a_few_times_in_a_long_text_make_no_transcript() -> None:
    text = "It was late. " * 200 + "\n\n0:04 Ann: So.\n0:31 Bo: Yes.\n1:12 Ann: No."
    assert transcript(text).places == ()


# Hostile files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.srt", "00:00:01,000 --> 00:00:02,000\n" + "word " * 1_000_000),
        ("x.srt", srt(*["goes on"] * 20_000)),
        ("x.srt", "00:00:01,000 --> 00:00:02,000\n" * 20_000 + "words"),
        ("x.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<v " * 200_000),
        ("x.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v" + " " * 1_000_000 + "\nwords"),
        ("x.srt", "00:00:01,000 --> 00:00:02,000\n" + "{\\" * 200_000 + " words"),
        ("x.srt", "00:00:01,000 --> 00:00:02,000\n" + "(" * 500_000 + "words"),
        ("x.txt", "".join(f"{n // 60}:{n % 60:02}\nwords go on\n" for n in range(20_000))),
        ("x.txt", "0:01 Aa\n0:03 b\n0:07 c\n" + "A " * 1_000_000),
    ],
)
def test_time_is_bounded(name: str, text: str) -> None:
    started = time.process_time()
    assert document_of(text, name).sentences
    assert time.process_time() - started < 3
