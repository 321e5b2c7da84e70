"""Every flag and every reason of the package has words: the source itself is searched for them.

Not by running it: a flag that no test raises must have words too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tributary_pipelines.reports.warning_words import FLAGS, REASONS, advice, flag_sentence, words_of

PACKAGE = Path(__file__).parents[2] / "tributary_pipelines"
#: Where flags are raised: in the numerics, and where stored parameters are put to use.
TREES = [
    ast.parse(path.read_text(encoding="utf-8"))
    for room in ("analytics", "flows")
    for path in sorted((PACKAGE / room).rglob("*.py"))
]


def texts_of(node: ast.expr) -> Iterator[str]:
    """The texts an expression may be, numbers in them as 0."""
    if isinstance(node, ast.Constant):
        yield from [node.value] if isinstance(node.value, str) else []
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values)
    else:
        choices = [node.body, node.orelse] if isinstance(node, ast.IfExp) else getattr(node, "values", None) or []
        for choice in choices:
            yield from texts_of(choice)


def calls(name: str) -> Iterator[ast.Call]:
    for tree in TREES:
        for node in ast.walk(tree):
            is_call = isinstance(node, ast.Call)
            if is_call and name in (getattr(node.func, "attr", None), getattr(node.func, "id", None)):
                yield node


def functions(*names: str) -> Iterator[ast.FunctionDef]:
    for tree in TREES:
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names)


def raised_flags() -> set[str]:
    """Names given to flag(), to refuse() as its third argument, appended to flags, or joined with those there are."""
    arguments = [call.args[0] for call in calls("flag") if call.args]
    arguments += [argument for call in calls("refuse") for argument in call.args[2:3]]
    arguments += [
        call.args[0]
        for call in calls("append")
        if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", None) == "flags"
    ]
    nodes = [node for tree in TREES for node in ast.walk(tree)]
    joined = [node for node in nodes if isinstance(node, ast.Set | ast.Tuple) and "found.flags" in ast.unparse(node)]
    arguments += [element for node in joined for element in node.elts]
    # What a problem is, with its flag; what a replay warns of, with when.
    for function in functions("_problem"):
        returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
        arguments += [node.elts[1] for node in returned if isinstance(node, ast.Tuple)]
    warned = [
        node.value for node in nodes if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "warnings"
    ]
    arguments += [pair.elts[1] for value in warned if isinstance(value, ast.Tuple) for pair in value.elts]
    return {text for argument in arguments for text in texts_of(argument) if text}


def given_reasons() -> set[str]:
    """Texts given to refuse() or to the fits' own refusals, and what the functions that word reasons return."""
    arguments = [argument for call in calls("refuse") for argument in call.args[1:2]]
    arguments += [call.args[0] for call in calls("_not_identified")]
    for function in functions("_refusal", "_no_book", "_problem", "fit_lags", "fit_resilience", "_find_book_slope"):
        nodes = list(ast.walk(function))
        values = [node.value for node in nodes if isinstance(node, ast.Return | ast.Assign) and node.value is not None]
        arguments += [value.elts[0] if isinstance(value, ast.Tuple) else value for value in values]
    for function in functions("_apply_gates"):
        appended = (node for node in ast.walk(function) if isinstance(node, ast.Call))
        arguments += [node.args[0] for node in appended if getattr(node.func, "attr", None) == "append"]
    texts = {text for argument in arguments for text in texts_of(argument)}
    return {text for text in texts if " " in text and text != "not identified"}


def test_every_flag_has_words_and_no_words_are_left_over() -> None:
    assert raised_flags() == set(FLAGS)


def test_the_flags_that_everyone_knows_are_found_in_the_source() -> None:
    known = {"thin", "no_side", "gamma_nonpos", "gamma_ge_2b", "kappa_mismatch", "tick_bound", "book_shallow"}
    known |= {"sigma_over_bound", "near_resolution", "clock_lead", "bucket_sensitive", "slow_resilience"}
    known |= {"complement_apart", "gamma_pooled", "parameters_of_series"}
    assert known <= raised_flags()


def test_every_reason_has_words() -> None:
    found = given_reasons()
    assert len(found) >= 20
    assert {reason for reason in found if words_of(reason) is None} == set()


def test_every_fragment_is_one_of_the_package() -> None:
    found = given_reasons()
    assert [fragment for fragment, _ in REASONS if not any(fragment in reason for reason in found)] == []


def test_fragments_do_not_hide_each_other() -> None:
    for fragment, words in REASONS:
        assert words_of(f"gamma: 12 {fragment} 3") is words


@pytest.mark.parametrize("words", [*FLAGS.values(), *(words for _, words in REASONS)], ids=lambda words: words.meaning)
def test_words_are_clauses(words) -> None:
    assert words.meaning[0].islower()
    assert not words.meaning.endswith(".")
    assert words.help is None or not words.help.endswith(".")


def test_a_flag_is_named_before_its_meaning() -> None:
    assert flag_sentence("near_resolution").startswith("near_resolution: the market resolves within two days")
    assert flag_sentence("from_the_future") == "from_the_future"


def test_advice_is_given_once_and_unknown_things_have_none() -> None:
    reasons = ("there are no trades in the window", "gamma: flow does not explain the moves of the mid: t is 1")
    assert advice(reasons, ("near_resolution", "from_the_future")) == ["import more days, or give a longer --lookback"]
    assert advice(("12 trades in the window",), ("thin",)) == [FLAGS["thin"].help]
    assert advice((), ()) == []
