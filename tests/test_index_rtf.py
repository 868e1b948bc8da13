"""RTF: encodings, groups and the structure that control words tell."""

from __future__ import annotations

import pytest
from office_files import blocks, outline, read


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"caf\'e9 \u8211\'96 \u8220\'93so\u8221\'94", "café – “so”"),
        (r"\uc0\u937 x {\uc2\u937 ??}y", "Ωx Ωy"),
        (r"\u-10179?\u-8704? so", "😀 so"),
        (r"\u-10179? alone", "\ufffd alone"),
        (r"{\listtext\u-10179?\'31.}alone", "\ufffd1. alone"),
        (r"{\fonttbl{\f1\fcharset204 A;}}{\f1 \'e4\'e0.} \'e4", "да. ä"),
        (r"\ansicpg1251 \'e4\'e0.", "да."),
        (r"\deff1{\fonttbl{\f1\fcharset204 A;}}\plain \'e4\'e0.", "да."),
        (r"{\fonttbl{\f1\fcharset128 A;}}\f1 \'93\'fa\'96\'7b.", "日本."),
        (r"a\emdash b\~c\_d\-e \{f\} \\", "a—b\u00a0c\u2011de {f} \\"),
        (r"one{\v hidden}{\deleted gone} two", "one two"),
        (r"{\header top}{\*\unknown no}{\pict 89ab}{\field{\*\fldinst LINK}{\fldrslt shown}} so", "shown so"),
        ("a{\\bin5 \\par{} b", "a b"),
        (r"a\line b\par\pard ", "a\nb"),
        ("line\r\n ends mean\n nothing", "line ends mean nothing"),
        ("no end{\\b of it", "no endof it"),
        ("a}b", "a"),
        (r"\trowd\cellx1\intbl in a cell\par more", "in a cell\n\nmore"),
        (r"\trowd\cellx1\intbl a row\cell no end", "a row\n\nno end"),
    ],
)
def test_text_of_an_rtf(body: str, text: str) -> None:
    assert read(f"{{\\rtf1\\ansi {body}}}".encode(), "a.rtf").text == text


def test_styles_lists_notes_and_tables_of_an_rtf() -> None:
    source = (
        r"{\rtf1\ansi{\info{\title The River}{\author Ann}}"
        r"{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\s2\sbasedon1 Chapter;}"
        r"{\s3\outlinelevel1 Part;}{\s4 Quote;}}"
        r"\pard\s2 Spring\par\pard It rises.{\super\chftn{\footnote\pard Says Ann.}} So it does.\par"
        r"\pard\s3 Floods\par{\listtext 1.\tab}\pard\ls1 one\par{\listtext\'95\tab}\pard\ls1\ilvl1 two\par"
        r"\pard\s4 We keep it so.\par"
        r"\trowd\trhdr\cellx1\cellx2\intbl Port\cell Tide\cell\row"
        r"\trowd\cellx1\cellx2\intbl North\cell 7.4\cell\row"
        r"\trowd\clvmrg\cellx1\cellx2\intbl\cell 3.1\cell\row\pard\s1 Autumn\par\pard The end.\par}"
    )
    document = read(source.encode(), "a.rtf")
    assert document.title == "The River"
    assert outline(document) == [("Spring",), ("Spring", "Floods"), ("Autumn",)]
    assert blocks(document) == [
        ("paragraph", "It rises. So it does."),
        ("paragraph", "[1] Says Ann."),
        ("list_item", "1. one"),
        ("list_item", "- two"),
        ("quotation", "We keep it so."),
        ("table_header", "Port | Tide"),
        ("table_row", "North | 7.4"),
        ("table_row", "North | 3.1"),
        ("paragraph", "The end."),
    ]
