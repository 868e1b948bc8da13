"""Feed damaged files to a parser: each is refused in one line, or becomes a document with all its invariants.

    python tests/fuzz.py pdf --inputs 100000
    python tests/fuzz.py html --inputs 20000 --guided      needs atheris: pip install atheris
    python tests/fuzz.py docx --inputs 100 --seed 7 --keep broke

The files are the real ones of tests/data with edits in them: in their bytes, in the members of their
archives, in the unpacked streams of a PDF. Input N of seed S is always the same. What breaks a parser is
kept, the smallest file of each kind; those that broke one once are in tests/data/fuzz.

With --guided, atheris (libFuzzer) chooses from which file to go on, by what it reaches in the parser.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import cache, partial
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from types import FunctionType, ModuleType
from typing import NamedTuple
from unittest import mock

import pypdfium2
from invariants import outcome
from lxml import etree
from office_files import zipped
from pypdfium2.raw import FPDF_PAGEOBJ_TEXT

from index.formats import pdf, pdfium

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"

KEEP = Path(tempfile.gettempdir()) / "quoth-fuzz"

SLOW_SECONDS = 5
"""An input that takes more of the processor's time than this breaks a parser …"""

MAX_SECONDS = 60
"""… and its process ends when it takes this much."""

MAX_MEMORY = 3 * 2**30
"""As much address space as a process has: PDFium's in Quoth, and what Python takes."""

MAX_SEED_BYTES = 8_000
"""A text is cut to this length …"""

MAX_SEED_PIECES = 30
"""… and the page of a PDF to as many pieces of text …"""

MAX_SIBLINGS = 9
"""… and two thirds of the elements of XML where there are more of them together."""


class Format(NamedTuple):
    """The real files, the names that each input has in turn, and what means something in the format."""

    seeds: tuple[str, ...]  # patterns
    names: tuple[str, ...]
    tokens: bytes  # divided by spaces


_TEXT = (
    b"\n \n\n \r \t \f \0 \xff \xed\xa0\x80 \xef\xbb\xbf \xe2\x80\xa8 \xc2\xa0 \xe2\x80\xa6 \xf0\x9f\x8c\xb1 "
    b"\xd9\x87 # - * > | ``` ? . : \" ' ( [ ] --- === Q: A: 1."
)
_XML = b'< > </ /> " &amp; &#0; &#13; &#8232; &#xD800; -1 0 999999999 <!-- ]]> <![CDATA[ <!DOCTYPE xml:id='

FORMATS: dict[str, Format] = {
    "text": Format(("*.txt",), ("x.txt",), _TEXT + b" Subscribe References 12:31 ______"),
    "markdown": Format(
        ("*.md",), ("x.md",), _TEXT + b" ## [^1] [^1]: |---| ![]( <p> <!-- </h2> +++ ~~~ \\ &#0; **"
    ),
    "html": Format(
        ("*.html",),
        ("x.html",),
        _XML + b" <p> <div> </div> <table> <tr> <td> <th> <h2> <li> <ul> <main> <article> <nav> <pre> "
        b"<script> <style> <details> <summary> <dt> <dd> <br> <a> <q> <blockquote> <svg> <math> <template> "
        b"<textarea> <select> <title> <noscript> <frameset> <base hidden class= colspan= rowspan=99999 "
        b"charset=utf-16",
    ),
    "subtitles": Format(
        ("*.srt", "*.vtt", "*.transcript.txt", "*.whisper.txt"),
        ("x.srt", "x.txt"),
        _TEXT + b" <v <i> {\\ --> 0:00 00:00:01,000 99:99:99.999 WEBVTT NOTE STYLE ANN: [Music] >> &amp;",
    ),
    "pairs": Format(
        ("*.csv", "*.json", "*.jsonl"),
        ("x.csv", "x.tsv", "x.json"),
        _TEXT + b' { } , ; \\" \\u \\ud83c question answer category NaN 1e999 null true <li> &amp;',
    ),
    "docx": Format(
        ("river.*.docx", "tides.*.docx"),
        ("x.docx",),
        _XML + b" </w:p> <w:p> <w:tbl> </w:tr> <w:t> w:val= w:ilvl= <w:gridSpan <w:vMerge/> <w:del> <w:br/>",
    ),
    "odt": Format(
        ("river.*.odt", "tides.*.odt"),
        ("x.odt",),
        _XML + b" </text:p> <text:p> <text:s/> <text:list> </table:table-cell> text:c=  <text:note>",
    ),
    "epub": Format(
        ("river.*.epub",),
        ("x.epub",),
        _XML + b" <p> </p> <h1> <li> <table> <tr> <td> rowspan= href= #x ../ idref= <navPoint> <nav> %00",
    ),
    "rtf": Format(
        ("*.pandoc.rtf", "tides.*.rtf"),
        ("x.rtf",),
        rb"{ } \par \row \cell \u55357? \footnote \' \'81 \* \bin99 \bin-1 \uc9 \trowd \intbl \clmrg \u-1 "
        rb"\pard \plain \listtext \outlinelevel0 \v \deleted \ansicpg932 \ansicpg99999 \fonttbl \f9 \field "
        rb"\nesttableprops \itap2 \nestcell \stylesheet ; -999999999999 99999999999999999999 " + b"\0 \xff",
    ),
    "pdf": Format(
        ("*.pdf",),
        ("x.pdf",),
        b"<< >> [ ] ( ) < > endobj endstream obj stream /Type3 /ToUnicode /Length /Kids /Count /Parent "
        b"/Prev /Encrypt /ObjStm /PageLabels /Rotate /Contents /Resources /Font /FontMatrix /Widths /W "
        b"/CIDToGIDMap /Identity-H /Encoding /Differences 0 1 2 3 4 5 6 7 8 9 R -1 1e38 4294967295 0.00001 "
        b"q Q cm BT ET Tf Tm Td TJ Tj T* Tz Tr Ts Do BI EI BDC EMC W n <FEFFD83C> <0000> <FFFF> beginbfchar "
        b"endbfchar beginbfrange endbfrange begincodespacerange /ActualText null true \0 \n",
    ),
}


# Damaged files


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    """The real files of a format, in small pieces so that many can be tried."""
    found = [file for pattern in FORMATS[name].seeds for file in sorted(DATA.glob(f"*/{pattern}"))]
    files = [file.read_bytes() for file in found if file.name != "README.md"]
    divide = {"pdf": _pages, "docx": _thinned, "odt": _thinned, "epub": _thinned}.get(name, _beginning)
    return tuple(piece for file in files for piece in divide(file))


def _beginning(data: bytes) -> Iterator[bytes]:
    yield data[:MAX_SEED_BYTES]


def _thinned(data: bytes) -> Iterator[bytes]:
    """Three archives, each with every third of many siblings in their XML."""
    for start in range(3):
        yield zipped({path: _thinned_xml(member, start) for path, member in _members(data).items()})


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _thinned_xml(data: bytes, start: int) -> bytes:
    try:
        root = etree.fromstring(data)
    except etree.XMLSyntaxError:
        return data
    for element in root.iter(etree.Element):
        if len(element) > MAX_SIBLINGS:
            element[:] = element[start::3]
    return etree.tostring(root)


def _pages(data: bytes) -> Iterator[bytes]:
    """Each page of a PDF as a file of its own; a locked one as it is."""
    try:
        source = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        yield data
        return
    for number in range(len(source)):
        single, file = pypdfium2.PdfDocument.new(), BytesIO()
        single.import_pages(source, [number])
        _keep_beginning(single[0])
        single.save(file)
        yield file.getvalue()


def _keep_beginning(page: pypdfium2.PdfPage) -> None:
    for text in list(page.get_objects([FPDF_PAGEOBJ_TEXT]))[MAX_SEED_PIECES:]:
        page.remove_obj(text)
    page.gen_content()


def damaged(name: str, chance: Random) -> bytes:
    """A real file of a format with edits in it."""
    return redamaged(chance.choice(seeds(name)), name, chance)


def redamaged(data: bytes, name: str, chance: Random) -> bytes:
    """A file with edits in its bytes or in a part of it."""
    edit = partial(edited, chance=chance, tokens=FORMATS[name].tokens.split(b" "))
    if name in PARTS and chance.randrange(5):
        return PARTS[name](data, edit, chance)
    return edit(data)


def edited(data: bytes, chance: Random, tokens: Sequence[bytes]) -> bytes:
    """Some stretches cut, repeated, moved, or overwritten by chance or by what means something."""
    for _ in range(chance.choice((1, 1, 2, 3, 6, 12))):
        start, at = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
        piece = data[start : start + chance.choice((1, 2, 4, 9, 30, 60, 500))]
        token = chance.choice(tokens)
        piece = chance.choice(
            (b"", piece, piece * 3, token, token, token * 2, chance.randbytes(len(piece) % 9))
        )
        data = data[:at] + piece + data[at + chance.choice((0, 0, len(piece), 1, 40)) :]
    return data


Edit = Callable[[bytes], bytes]


def _with_edited_member(data: bytes, edit: Edit, chance: Random) -> bytes:
    """An archive with edits in one of its texts; some lack a member, or have one twice."""
    try:
        members = _members(data)
    except Exception:  # damaged before
        return edit(data)
    path, other = (chance.choice([*members] or [""]) for _ in range(2))
    texts = [each for each in members if each.endswith(("ml", "rels", "opf", "ncx", "css"))]
    what = chance.randrange(20)
    if what == 0:
        members.pop(path, None)
    elif what == 1:
        members[path] = members.get(other, b"")
    elif texts:
        path = chance.choice(texts)
        members[path] = chance.choice((edit, partial(_with_moved_elements, chance=chance)))(members[path])
    return zipped(members, zipfile.ZIP_STORED)


def _with_moved_elements(data: bytes, chance: Random) -> bytes:
    """Well-formed XML whose elements are gone, twice, elsewhere, or have each other's attributes."""
    try:
        root = etree.fromstring(data)
    except etree.XMLSyntaxError:
        return data
    for _ in range(chance.choice((1, 2, 3, 6, 12))):
        elements = list(root.iter(etree.Element))
        element, other = chance.choice(elements), chance.choice(elements)
        what = chance.randrange(5)
        if what == 0:
            element.attrib.update(other.attrib)
        elif what == 1:
            element.text, other.text = other.text, element.text
        elif what == 2 and element.getparent() is not None:
            element.getparent().remove(element)
        elif what > 2 and len(other) < 50:
            other.insert(chance.randrange(len(other) + 1), deepcopy(element))
    return etree.tostring(root)


_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)


def _with_edited_stream(data: bytes, edit: Edit, chance: Random) -> bytes:
    """A PDF with edits in what one of its streams unpacks to."""
    streams = [match.span(1) for match in _STREAM.finditer(data)]
    if not streams:
        return edit(data)
    start, end = chance.choice(streams)
    try:
        stream = zlib.compress(edit(zlib.decompress(data[start:end])), 1)
    except zlib.error:
        stream = edit(data[start:end])
    return data[:start] + stream + data[end:]


PARTS: dict[str, Callable[[bytes, Edit, Random], bytes]] = {
    "docx": _with_edited_member,
    "odt": _with_edited_member,
    "epub": _with_edited_member,
    "pdf": _with_edited_stream,
}


# What a parser makes of one


def read_here(data: bytes) -> bytes:
    """What PDFium says of a PDF, in this process: a new one for each file takes most of the time."""
    return b"\n".join(json.dumps(record).encode() for record in pdfium.records(data))


def tried(data: bytes, format_name: str, keep: Path) -> str:
    """The outcome of a file under each of the format's names; what breaks the parser is kept."""
    outcomes = []
    for name in FORMATS[format_name].names:
        started = time.process_time()
        try:
            outcomes.append(outcome(data, name))
        except Exception as error:
            return kept(data, name, _signature(error), keep)
        if time.process_time() - started > SLOW_SECONDS:
            return kept(data, name, "slow", keep)
    return " ".join(outcomes)


_OURS = {str(file) for folder in ("index", "tests") for file in (ROOT / folder).rglob("*.py")}


def _signature(error: Exception) -> str:
    """The kind of an error and the last line of Quoth that it came by: the same for all of one cause."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in _OURS]
    return f"{type(error).__name__}-{Path(frames[-1].filename).stem}-{frames[-1].lineno}"


def kept(data: bytes, name: str, why: str, keep: Path) -> str:
    """Keep a file if it is the smallest that breaks the parser so."""
    keep.mkdir(parents=True, exist_ok=True)
    file = keep / f"{why}{Path(name).suffix}"
    if not file.exists() or len(data) < file.stat().st_size:
        file.write_bytes(data)
    return f"BROKEN {why}"


# Many of them


def outcomes(format_name: str, count: int, seed: int, keep: Path) -> Iterator[str]:
    """What becomes of each input. They are tried in another process; where one kills it, in the next."""
    context = get_context("fork")
    number = 0
    while number < count:
        receiver, sender = context.Pipe(duplex=False)
        arguments = (sender, format_name, range(number, count), seed, keep)
        worker = context.Process(target=_work, args=arguments)
        worker.start()
        sender.close()
        for result in _received(receiver):
            yield result
            number += 1
        worker.join()
        if number < count:
            yield _killed(format_name, number, seed, keep, worker.exitcode or 0)
            number += 1


def _received(receiver: Connection) -> Iterator[str]:
    try:
        while True:
            yield receiver.recv()
    except EOFError:
        return


def _work(sender: Connection, format_name: str, numbers: Iterable[int], seed: int, keep: Path) -> None:
    import resource  # there is none on Windows

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    with mock.patch.object(pdf, "_read_apart", read_here):
        for number in numbers:
            signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
            sender.send(tried(_input(format_name, number, seed), format_name, keep))


def _input(format_name: str, number: int, seed: int) -> bytes:
    return damaged(format_name, Random(f"{seed}:{number}"))


def _killed(format_name: str, number: int, seed: int, keep: Path, code: int) -> str:
    """A process died of an input. PDFium may do so: Quoth gives it one of its own, and refuses the file."""
    data, name = _input(format_name, number, seed), FORMATS[format_name].names[0]
    why = kept(data, name, f"killed-{signal.Signals(-code).name if code < 0 else code}", keep)
    if format_name != "pdf":
        return why
    return f"{why} (in Quoth: {tried(data, format_name, keep)})"


def guide(format_name: str, count: int, seed: int, keep: Path) -> None:
    """Try inputs that atheris chooses; it ends the process."""
    import atheris

    for module in [module for name, module in sys.modules.items() if name.startswith("index.")]:
        for function in _functions(module):
            atheris.instrument_func(function)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        return redamaged(data, format_name, Random(seed))[:max_size]

    corpus = keep / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(format_name)):
        (corpus / f"seed-{number}").write_bytes(data)
    arguments = [
        sys.argv[0],
        f"-runs={count}",
        f"-seed={seed}",
        "-max_len=100000",
        f"-timeout={10 * MAX_SECONDS}",
    ]
    results = Counter[str]()

    def try_one(data: bytes) -> None:
        results[tried(data, format_name, keep)] += 1
        if sum(results.values()) % 1000 == 0:
            _tell(format_name, results)

    pdf._read_apart = read_here
    atheris.Setup([*arguments, str(corpus)], try_one, custom_mutator=mutate)
    atheris.Fuzz()


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for member in vars(module).values():
        for each in (member, *vars(member).values()) if isinstance(member, type) else (member,):
            if isinstance(each, FunctionType) and each.__module__ == module.__name__:
                yield each


def _tell(format_name: str, results: Counter[str]) -> None:
    print(format_name, sum(results.values()), dict(results.most_common()), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("--inputs", type=int, default=1_000, help="how many (1,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the edits (1)")
    parser.add_argument("--keep", type=Path, default=KEEP, help=f"folder for what breaks a parser ({KEEP})")
    parser.add_argument("--guided", action="store_true", help="let atheris choose the inputs")
    options = parser.parse_args()
    if options.guided:
        guide(options.format, options.inputs, options.seed, options.keep)
    results = Counter[str]()
    started = time.monotonic()
    for result in outcomes(options.format, options.inputs, options.seed, options.keep):
        results[result] += 1
        if sum(results.values()) % 1000 == 0:
            _tell(options.format, results)
    _tell(options.format, results)
    print(f"{options.inputs / (time.monotonic() - started):.0f} inputs a second")  # noqa: T201
    sys.exit(any("BROKEN" in result for result in results))


if __name__ == "__main__":
    main()
