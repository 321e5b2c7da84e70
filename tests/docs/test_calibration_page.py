"""docs/calibration.md: its blocks are made by the command, its table of flags and its pictures are there."""

import re

import pytest

from docs.calibration_pictures import DOCS, EXAMPLES, PAGE, example_block, flags_table, put_into_page

TEXT = PAGE.read_text(encoding="utf-8")
MARKED = "before\n<!-- a -->\nold\n<!-- end -->\nbetween\n<!-- b -->\n<!-- end -->\nafter\n"


def test_blocks_replace_what_stands_between_their_markers() -> None:
    once = put_into_page(MARKED, {"a": "new \\1", "b": "more"})
    assert once == (
        "before\n<!-- a -->\n\nnew \\1\n\n<!-- end -->\nbetween\n<!-- b -->\n\nmore\n\n<!-- end -->\nafter\n"
    )
    assert put_into_page(once, {"a": "new \\1", "b": "more"}) == once


def test_a_page_without_the_marker_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="0 places for 'c'"):
        put_into_page(MARKED, {"c": "x"})


def test_long_lines_of_an_example_are_folded_and_all_are_code() -> None:
    block = example_block("refused", "title\n\n" + "word " * 50 + "\n")
    lines = block.splitlines()
    assert lines[0] == "    $ tributary analytics calibrate --market demo_thin --lookback 2"
    assert all(line.startswith("    ") or not line for line in lines)
    assert max(map(len, lines)) <= 116
    assert " ".join(block.split()).count("word") == 50


def test_the_page_explains_the_flags_of_today() -> None:
    assert flags_table() in TEXT, "run 'make pictures'"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_shows_every_example(name: str) -> None:
    assert f"    $ tributary analytics calibrate {' '.join(EXAMPLES[name])}\n    {EXAMPLES[name][1]}: " in TEXT


def test_every_picture_is_there_and_says_what_it_shows() -> None:
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", TEXT)
    assert len(pictures) == 3
    for words, path in pictures:
        assert len(words.split()) > 8
        assert (DOCS / path).read_bytes().startswith(b"\x89PNG")
