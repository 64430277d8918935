"""Every byte but the changed value stays: all styles of writing that people use."""

import json

import pytest

from dockerdoctor.fixes.daemon_json import NotAnObject, with_list

CASES = {
    "no file": ("", '{\n  "dns": ["10.0.0.1"]\n}\n'),
    "white space": (" \n\t\n", '{\n  "dns": ["10.0.0.1"]\n}\n'),
    "empty object": ("{}", '{\n  "dns": ["10.0.0.1"]\n}'),
    "empty object, line": ("{\n}\n", '{\n  "dns": ["10.0.0.1"]\n}\n'),
    "empty object, CRLF": ("{\r\n}\r\n", '{\r\n  "dns": ["10.0.0.1"]\r\n}\r\n'),
    "one line": ('{"debug": true}', '{"debug": true, "dns": ["10.0.0.1"]}'),
    "minified": ('{"debug":true,"bip":"x"}', '{"debug":true,"bip":"x","dns":["10.0.0.1"]}'),
    "minified, replaced": ('{"dns":["8.8.8.8","8.8.4.4"]}', '{"dns":["10.0.0.1"]}'),
    "padded": ('{ "debug": true }', '{ "debug": true, "dns": ["10.0.0.1"] }'),
    "two spaces": ('{\n  "debug": true\n}\n', '{\n  "debug": true,\n  "dns": ["10.0.0.1"]\n}\n'),
    "tabs": ('{\n\t"debug":\ttrue\n}', '{\n\t"debug":\ttrue,\n\t"dns":\t["10.0.0.1"]\n}'),
    "CRLF": ('{\r\n    "debug": true\r\n}\r\n', '{\r\n    "debug": true,\r\n    "dns": ["10.0.0.1"]\r\n}\r\n'),
    "comma first": ('{ "debug": true\n, "bip": "x"\n}\n', '{ "debug": true\n, "bip": "x"\n, "dns": ["10.0.0.1"]\n}\n'),
    "colon with spaces": ('{\n  "debug" : true\n}', '{\n  "debug" : true,\n  "dns" : ["10.0.0.1"]\n}'),
    "lists over lines": (
        '{\n  "hosts": [\n    "a",\n    "b"\n  ],\n  "debug": true\n}\n',
        '{\n  "hosts": [\n    "a",\n    "b"\n  ],\n  "debug": true,\n  "dns": [\n    "10.0.0.1"\n  ]\n}\n',
    ),
    "replaced over lines": (
        '{\n\t"dns": [\n\t\t"192.0.2.1",\n\t\t"8.8.8.8"\n\t],\n\t"debug": true\n}\n',
        '{\n\t"dns": [\n\t\t"10.0.0.1"\n\t],\n\t"debug": true\n}\n',
    ),
    "replaced string": ('{"dns": "8.8.8.8", "debug": true}', '{"dns": ["10.0.0.1"], "debug": true}'),
    "replaced null": ('{"dns":null}', '{"dns":["10.0.0.1"]}'),
    "replaced empty list": ('{"dns": [ ], "debug": true}', '{"dns": ["10.0.0.1"], "debug": true}'),
    "duplicate": ('{"dns": ["a"], "x": 1, "dns": ["b"]}', '{"dns": ["a"], "x": 1, "dns": ["10.0.0.1"]}'),
    "nested is another": (
        '{"builder": {"dns": ["1.1.1.1"]}, "log-opts": {"a": "{\\"dns\\": 1}"}}',
        '{"builder": {"dns": ["1.1.1.1"]}, "log-opts": {"a": "{\\"dns\\": 1}"}, "dns": ["10.0.0.1"]}',
    ),
    "escaped key": ('{"d\\u006es": ["a"]}', '{"d\\u006es": ["10.0.0.1"]}'),
    "what follows": ('{"debug": true} garbage', '{"debug": true, "dns": ["10.0.0.1"]} garbage'),
    "space around": ('\n\n {"debug": true}\n\n', '\n\n {"debug": true, "dns": ["10.0.0.1"]}\n\n'),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_one_member(before, after):
    changed = with_list(before.encode(), "dns", ["10.0.0.1"]).decode()
    assert changed == after
    if "garbage" not in after:
        assert json.loads(changed)["dns"] == ["10.0.0.1"]


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_changing_again_changes_nothing(before, after):
    assert with_list(after.encode(), "dns", ["10.0.0.1"]).decode() == after


def test_several_servers_in_the_files_style():
    assert with_list(b'{"dns":["8.8.8.8","8.8.4.4"]}', "dns", ["a", "b"]) == b'{"dns":["a","b"]}'
    spread = b'{\n  "dns": [\n    "x"\n  ]\n}\n'
    assert with_list(spread, "dns", ["a", "b"]) == b'{\n  "dns": [\n    "a",\n    "b"\n  ]\n}\n'


@pytest.mark.parametrize("bom", [b"\xef\xbb\xbf", b""])
def test_bytes_that_are_no_text_survive(bom):
    before = bom + b'{"labels": ["a=\xff\xfe"]}\r\n'
    assert with_list(before, "dns", ["a"]) == bom + b'{"labels": ["a=\xff\xfe"], "dns": ["a"]}\r\n'


def test_utf16():
    before = '{"debug": true}'.encode("utf-16")
    assert with_list(before, "dns", ["a"]).decode("utf-16") == '{"debug": true, "dns": ["a"]}'


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"debug": true,}', 1, 15),
        ('{\n  "debug": true\n  "bip": ""\n}', 2, 16),
        ("[]", 1, 1),
        ('{"debug": True}', 1, 11),
        ('{"mtu": NaN}', 1, 9),
        ('{"debug": true', 1, 15),
        ('// no\n{"debug": true}', 1, 1),
        ("{'debug': true}", 1, 2),
        ('{"a": ' + "[" * 100_000, 1, 1),
    ],
)
def test_what_is_no_object_is_refused(text, line, column):
    with pytest.raises(NotAnObject) as no:
        with_list(text.encode(), "dns", ["a"])
    assert (no.value.line, no.value.column) == (line, column)
