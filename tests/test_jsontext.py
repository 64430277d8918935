"""Mistakes in JSON, with their place and their one correction: a row for each way of going wrong."""

import json

import pytest

from dockerdoctor import jsontext

# text, (line, column) of the first mistake, its kind, what the corrected text must say; None: no certain correction
MISTAKES = {
    "trailing comma": ('{"a": 1,\n}', (1, 8), "trailing-comma", {"a": 1}),
    "trailing comma in a list": ('{"a": [1, 2, ]}', (1, 12), "trailing-comma", {"a": [1, 2]}),
    "comma too many": ('{"a": 1,, "b": 2}', (1, 9), "extra-comma", {"a": 1, "b": 2}),
    "comma first": ('{, "a": 1}', (1, 2), "extra-comma", {"a": 1}),
    "missing comma, one line": ('{"a": 1 "b": 2}', (1, 8), "missing-comma", {"a": 1, "b": 2}),
    "missing comma, two lines": ('{\n  "a": ["x"]\n  "b": 2\n}', (2, 13), "missing-comma", {"a": ["x"], "b": 2}),
    "missing comma in a list": ('{"a": ["x" "y"]}', (1, 11), "missing-comma", {"a": ["x", "y"]}),
    "missing comma, no blank": ('{"a":"x""b":2}', (1, 9), "missing-comma", {"a": "x", "b": 2}),
    "semicolon": ('{"a": 1; "b": 2}', (1, 8), "missing-comma", {"a": 1, "b": 2}),
    "line comment": ('{\n  "a": 1 // one\n}', (2, 10), "comment", {"a": 1}),
    "comment on a line of its own": ('{\n  # one\n  "a": 1\n}', (2, 3), "comment", {"a": 1}),
    "block comment": ('{"a": /* one */ 1}', (1, 7), "comment", {"a": 1}),
    "comment that is not closed": ('{"a": 1} /* end', (1, 10), "comment", {"a": 1}),
    "// in a string is none": ('{"a": "http://x", }', (1, 17), "trailing-comma", {"a": "http://x"}),
    "single quotes": ("{'a': 'it'}", (1, 2), "quotes", {"a": "it"}),
    "double inside single quotes": ("{'a': 'say \"x\"'}", (1, 2), "quotes", {"a": 'say "x"'}),
    "typographic quotes": ("{“a”: “b”}", (1, 2), "quotes", {"a": "b"}),
    "half typographic": ('{"a”: "b"}', (1, 4), "quotes", {"a": "b"}),
    "typographic apostrophes": ("{‘a’: ‘b’}", (1, 2), "quotes", {"a": "b"}),
    "key without quotes": ("{debug: true}", (1, 2), "unquoted", {"debug": True}),
    "value without quotes": ('{"a": overlay2}', (1, 7), "unquoted", {"a": "overlay2"}),
    "URL without quotes": ('{"a": [http://x:5000]}', (1, 8), "unquoted", {"a": ["http://x:5000"]}),
    "Python's literals": ('{"a": True, "b": None}', (1, 7), "literal", {"a": True, "b": None}),
    "YAML's literals": ('{"a": yes, "b": Off}', (1, 7), "literal", {"a": True, "b": False}),
    "no number": ('{"a": NaN}', (1, 7), "literal", None),
    "zero in front": ('{"a": 007}', (1, 7), "number", {"a": 7}),
    "plus sign": ('{"a": +7}', (1, 7), "number", {"a": 7}),
    "hexadecimal": ('{"a": 0x10}', (1, 7), "number", {"a": 16}),
    "tab in a string": ('{"a": "x\ty"}', (1, 9), "control-character", {"a": "x\ty"}),
    "backslash": ('{"a": "C:\\data"}', (1, 10), "escape", {"a": "C:\\data"}),
    "equals sign": ('{"a" = 1}', (1, 6), "missing-colon", {"a": 1}),
    "arrow": ('{"a" => 1}', (1, 6), "missing-colon", {"a": 1}),
    "no colon": ('{"a" 1}', (1, 5), "missing-colon", {"a": 1}),
    "no value": ('{"a": , "b": 1}', (1, 7), "missing-value", None),
    "key alone": ('{"a"}', (1, 5), "missing-value", None),
    "object not closed": ('{\n  "a": 1\n', (2, 9), "unclosed", {"a": 1}),
    "inner object closed, outer not": (
        '{\n  "a": {\n    "b": 1\n  },\n  "c": 2\n', (5, 9), "unclosed", {"a": {"b": 1}, "c": 2},
    ),
    "inner object not closed": ('{\n  "a": {\n    "b": 1,\n  "c": 2\n}\n', (5, 2), "unclosed", None),
    "inner object not closed, one line": ('{"a": {"b": 1, "c": 2}', (1, 23), "unclosed", None),
    "list not closed": ('{"a": ["x", "b": 1}', (1, 11), "unclosed", {"a": ["x"], "b": 1}),
    "list not closed at the end": ('{"a": ["x"}', (1, 11), "unclosed", {"a": ["x"]}),
    "string not closed": ('{"a": "x,\n "b": 1}', (1, 7), "unclosed-string", None),
    "string not opened": ('{"a": x"}', (1, 7), "unclosed-string", None),
    "outer brackets left out": ('"a": 1,\n"b": 2\n', (1, 1), "missing-bracket", {"a": 1, "b": 2}),
    "bracket too many": ('{"a": 1}}', (1, 9), "second-object", {"a": 1}),
    "closed too early": ('{"a": 1},\n"b": 2}', (1, 8), "second-object", {"a": 1, "b": 2}),
    "second object": ('{"a": 1}\n{"b": 2}\n', (2, 1), "second-object", {"a": 1, "b": 2}),
    "second object, empty": ('{"a": 1}{}', (1, 9), "second-object", {"a": 1}),
    "first object empty": ('{}\n{"a": 1}\n', (2, 1), "second-object", {"a": 1}),
    "second object that contradicts": ('{"a": 1}{"a": 2}', (1, 9), "second-object", None),
    "text after the object": ('{"a": 1}\nEOF\n', (2, 1), "second-object", None),
    "web page": ("<!DOCTYPE html><html></html>", (1, 1), "html", None),
    "list": ("[]", (1, 1), "not-object", None),
    "byte order mark": ('\ufeff{"a": 1}', (1, 1), "bom", {"a": 1}),
    "invisible blank": ('{\u00a0"a": 1}', (1, 2), "invisible", {"a": 1}),
    "empty": ("", (1, 1), "empty", {}),
    "blank": (" \n", (1, 1), "empty", {}),
    "YAML": ("dns:\n  - 1.1.1.1\n", (1, 1), "missing-bracket", None),
    "NUL": ("{}\0", (1, 3), "second-object", None),
}  # fmt: skip


@pytest.mark.parametrize(("text", "at", "kind", "meant"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(text, at, kind, meant):
    first = jsontext.problems(text)[0]
    assert first.fatal
    assert ((first.line, first.column), first.kind) == (at, kind)
    new = jsontext.repaired(text)
    assert (None if new is None else json.loads(new)) == meant


VALID = [
    "{}",
    "null",
    ' \n{"a": [1, -2.5e3, true, false, null, "x\\u00e9\\n"], "b": {}}\n',
    '{"a": "// # /* it\'s “quoted”"}',
    '{"a":"b"}',
]


@pytest.mark.parametrize("text", VALID)
def test_valid_text_has_no_mistakes_and_stays_as_it_is(text):
    assert not jsontext.problems(text)
    assert jsontext.repaired(text) in {text, text + "\n"}
    assert jsontext.document(text).value == json.loads(text)


def test_all_mistakes_at_once_and_nothing_else_is_touched():
    text = '// ours\n{\n\t"dns" : [\'1.1.1.1\' "8.8.8.8",], // two\n\n\t"debug": True,\n}\n'
    assert [p.kind for p in jsontext.problems(text)] == [
        "comment", "quotes", "missing-comma", "trailing-comma", "comment", "literal", "trailing-comma",
    ]  # fmt: skip
    assert jsontext.repaired(text) == '{\n\t"dns" : ["1.1.1.1", "8.8.8.8"],\n\n\t"debug": true\n}\n'


def test_a_duplicate_key_is_no_fatal_mistake():
    text = '{"dns": ["1.1.1.1"],\n "debug": true, "dns": ["8.8.8.8"]}'
    (only,) = jsontext.problems(text)
    assert (only.line, only.column, only.kind, only.fatal) == (2, 17, "duplicate-key", False)
    assert json.loads(jsontext.once(text)) == {"debug": True, "dns": ["1.1.1.1", "8.8.8.8"]}
    assert json.loads(jsontext.once('{"a": 1, "a": 2, "a": 3}')) == {"a": 3}
    assert json.loads(jsontext.once('{"o": {"a": 1, "a": 2}}')) == {"o": {"a": 2}}


def test_removal_leaves_valid_text():
    text = '{\n  "a": 1,\n  "b": {"c": 2},\n  "d": 3\n}\n'
    for name, rest in {"a": {"b": {"c": 2}, "d": 3}, "b": {"a": 1, "d": 3}, "d": {"a": 1, "b": {"c": 2}}}.items():
        root = jsontext.document(text)
        member = next(m for m in root.members if m.key == name)
        assert json.loads(jsontext.edited(text, [jsontext.removal(root, member)])) == rest


def test_keys_after_the_first_object():
    assert jsontext.keys_after('{"a": 1}{"b": 2, "c": 3}') == ("b", "c")
    assert jsontext.keys_after('{"a": 1}}') == ()
    assert jsontext.keys_after('{"a": 1}, "b": 2}') == ("b",)


def test_no_text_hangs_or_crashes_it():
    text = '{"a": [1, {"b": "x\\n“”\'"}], // c\n "d": True, e: 0x1F}{"f": null}'
    for n in range(len(text)):
        for piece in (
            text[:n],
            text[n:],
            text[:n] + "]" + text[n:],
            text[:n] + '"' + text[n:],
            text[:n] + text[n + 1 :],
        ):
            jsontext.problems(piece)
            new = jsontext.repaired(piece)
            assert new is None or isinstance(json.loads(new), (dict, type(None)))
    assert jsontext.repaired("[" * 5000) is None
