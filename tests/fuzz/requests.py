"""Malformed HTTP requests to the server of the published files and to the app, and lines to DeepAR's container."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

SEGMENTS = [
    *(
        "runs",
        "previews",
        "versions",
        "records",
        "2024-07-01",
        "report.html",
        "link",
        "loop",
        "folder-link",
        "secret.txt",
    ),
    *("..", ".", "...", "%2e%2e", "%2E%2E%2f", "..%2f..%2f", "..%5c", "..\\", "%252e%252e", "%c0%ae%c0%ae", "..;"),
    *(
        "%00",
        "\0",
        "report.html%00.csv",
        "%",
        "%zz",
        "%ff%fe",
        "\xfc\xe9",
        "\u2025",
        "~",
        "*",
        "",
        "/",
        "con",
        ".promote",
    ),
    *(
        "a" * 300,
        "a" * 5000,
        "a/" * 2000,
        "%2f" * 400,
        "?x=1",
        "#top",
        ";",
        "file:///etc/passwd",
        "http://evil.example/",
    ),
]
METHODS = ["GET"] * 12 + [
    "HEAD",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "get",
    "",
    "G\0T",
    "M" * 3000,
    "GET GET",
]
ENDS = ["HTTP/1.1"] * 12 + [
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/9.9",
    "HTTP/1",
    "HTTP/-1.1",
    "HTTP/1.1.1",
    "",
    "http/1.1",
    "HTTP/1.1 x",
]
OWN = ["127.0.0.1", "localhost", "127.0.0.1:4201", "LOCALHOST"]
FOREIGN = [
    "evil.example",
    "evil.example:4201",
    "[::",
    "127.0.0.1.evil.example",
    "\0",
    "",
    "127.0.0.1@evil.example",
    "[::1]x",
]
HEADERS = [
    *("Range: bytes=0-", "Range: bytes=-1", "Range: bytes=9-1,\0", "Range: lines=1-2", "If-Modified-Since: \0"),
    *("If-Modified-Since: Mon, 99 Foo 99999 99:99:99 GMT", "If-Modified-Since: Mon, 01 Jan 0000 00:00:00 -9999"),
    *("Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: abc", "Content-Length: 5"),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked, gzip, \0",
        "Expect: 100-continue",
        "Connection: keep-alive",
    ),
    *(
        "Upgrade: h2c",
        "no colon",
        " folded",
        ":",
        ": empty",
        "X: " + "a" * 70_000,
        "X" * 70_000 + ": a",
        "Cookie: " + "b;" * 9000,
    ),
    *(
        "Accept-Encoding: \xff\xfe",
        "Origin: http://evil.example",
        "X-Forwarded-Host: evil.example",
        "X-Original-URL: /records/",
    ),
]
GARBAGE = [
    b"",
    b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\0" * 500,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"a" * 70_000,
]
CHUNKS = [
    b"",
    b"ZZ\r\nabc\r\n0\r\n\r\n",
    b"-1\r\n\r\n",
    b"ffffffffffffffffffff\r\na",
    b"5\r\nab",
    b"0\r\nX: y\r\n\r\n",
    b"\r\n\r\n\r\n",
]


@dataclass(frozen=True)
class Request:
    """Bytes of a request.

    Attributes:
        sent: the bytes.
        foreign: it names another host, so that nothing published may be in the answer.
    """

    sent: bytes
    foreign: bool = False


def http_request(chance: random.Random) -> Request:
    """A request that is wrong in some way."""
    if chance.random() < 0.05:
        return Request(chance.choice(GARBAGE) + chance.randbytes(chance.randrange(40)))
    path = "/" + "/".join(chance.choice(SEGMENTS) for _ in range(chance.randrange(6)))
    if chance.random() < 0.2:
        path = "/runs/2024-07-01/report.html" + chance.choice(["", "?", "#", "/", "%20", "\0"])
    foreign = chance.random() < 0.2
    host = f"Host: {chance.choice(FOREIGN if foreign else OWN)}"
    headers = [host, *chance.sample(HEADERS, chance.randrange(4))]
    if foreign and chance.random() < 0.3:
        headers.insert(0, f"Host: {OWN[0]}")
    if chance.random() < 0.03:
        headers += [f"X-{number}: y" for number in range(150)]
    lines = [f"{chance.choice(METHODS)} {path} {chance.choice(ENDS)}", *headers]
    sent = chance.choice(["\r\n"] * 6 + ["\n", "\r"]).join(lines).encode("utf-8", "surrogateescape")
    if chance.random() < 0.1:
        return Request(sent[: chance.randrange(len(sent) + 1)])  # perhaps without its Host
    return Request(sent + chance.choice([b"\r\n\r\n"] * 6 + [b"\n\n"]) + chance.choice(CHUNKS), foreign)


NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e39",
    "1" * 400,
    "10000000000000000000",
    "-1",
    "0",
    "null",
    "true",
    '"NaN"',
    '"x"',
]
VALUES = [
    *NUMBERS,
    "[]",
    "{}",
    "[[]]",
    '""',
    '"2024-01-01"',
    '"2024-01-01T00:00:00+99:00"',
    '"\\u0000"',
    '"\\ud800"',
    "[1, [2]]",
    "[null]",
]
DEEP = ["[" * 100_000, '{"a":' * 50_000, '{"instances": ' + "[" * 50_000 + "]" * 50_000 + "}"]
SERIES: dict[str, Any] = {
    "start": '"2024-01-01 00:00:00"',
    "target": "[1, 2, 3, 4]",
    "cat": "[0]",
    "dynamic_feat": "[[1, 2, 3, 4, 5, 6]]",
}
CONFIGURATION = {"num_samples": "3", "output_types": '["mean", "quantiles", "samples"]', "quantiles": '["0.1", "0.5"]'}


def container_line(chance: random.Random) -> str:
    """One request line of DeepAR's container: wrong JSON, wrong types, wrong numbers, or deep nesting."""
    kind = chance.random()
    if kind < 0.03:
        return chance.choice(DEEP)
    if kind < 0.1:
        return chance.choice(
            ["", "{", "}", "null", "1", "[]", '"x"', "\0", "\ufeff{}", "{'a': 1}", '{"instances": 1}', "NaN", "{}"]
        )
    series = [_changed(SERIES, chance) for _ in range(chance.randrange(3))]
    line = '{"instances": [' + ", ".join(series) + '], "configuration": ' + _changed(CONFIGURATION, chance) + "}"
    if chance.random() < 0.15:
        at = chance.randrange(len(line))
        line = (
            line[:at]
            + chance.choice(["", "\0", '"', "[", "}", "\\", "\u2028", "9" * 5000])
            + line[at + chance.randrange(3) :]
        )
    return line.replace("\n", " ")


def _changed(fields: dict[str, str], chance: random.Random) -> str:
    made = dict(fields)
    for _ in range(chance.randrange(3)):
        name = chance.choice(list(made) or ["start"])
        choice = chance.random()
        if choice < 0.2:
            made.pop(name, None)
        elif choice < 0.6:
            made[name] = chance.choice(VALUES)
        else:
            made[name] = "[" + ", ".join(chance.choice(VALUES) for _ in range(chance.randrange(5))) + "]"
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in made.items()) + "}"


TYPES = ["application/json"] * 60 + [
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain",
    "application/json\0",
    "",
]
BODIES = [
    b"",
    b"null",
    b"1",
    b"[]",
    b'"x"',
    b"{",
    b"\xff\xfe{\x00}\x00",
    b"\0" * 300,
    b"--x\r\n\r\n--x--",
    b"a=1&output=%00",
]
BODIES += [text.encode() for text in DEEP]
WEEKS = ["2024-07-01", "2024-07-01-preview", "..", "2024-99-99", "1" * 400, "%00", "2024-07-01" + "&a=1" * 40]
# Values with the right type for a property, but perhaps not with the right content.
FITTING = {
    "data": [*[f'{{"week": "{week}", "stamp": "x"}}' for week in WEEKS], "null", '"x"', '[["a", "b"]]', "[{}]"],
    "n_clicks": ["1", "2", "null", "9007199254740993"],
    "n_intervals": ["1", "-1"],
    "pathname": ['"/"', '"/series"', '"/performance"', '"/%00"', '"//"', '"/what-if"'],
    "search": [f'"?week={week}&store=001&sku=10"' for week in WEEKS],
    "filterModel": [
        '{"search": {"type": "contains", "filter": "x"}}',
        '{"money": {"type": "inRange", "filter": {}, "filterTo": []}}',
        '{"money": {"conditions": [1, {"conditions": [{}]}], "operator": 1}}',
        '{"search": []}',
    ],
    "getRowsRequest": [
        '{"startRow": 0, "endRow": 100}',
        '{"startRow": -1e300, "endRow": "x", "sortModel": [{"colId": [], "sort": {}}], "filterModel": []}',
        '{"startRow": 9e18, "endRow": 9e18, "sortModel": 5, "filterModel": {"search": {"type": []}}}',
    ],
    "rowData": [
        "[{}]",
        '[{"id": [], "store_id": {}, "value": [1]}]',
        '[{"id": "1", "date_from": "x", "_loaded": "y"}]',
    ],
    "selectedRows": ["[{}]", '[{"id": {}}]', "[]", '[{"id": "x", "store_id": "001", "sku": 10}]'],
    "cellValueChanged": ["[{}]", '[{"data": 1}]', '[{"data": {"id": [], "status": {}}}]'],
    "value": ['"x"', "1", "null", "100", '""', '"2024-07-01"', "true"],
    "id": ['{"answer": "x", "run": "x", "field": "x"}', "{}"],
}


def app_request(chance: random.Random, callbacks: dict[str, Any]) -> bytes:
    """A request to a callback of the app: a body that is malformed, or one of wrong values.

    Args:
        chance: random numbers.
        callbacks: Dash's map of callbacks by output.
    """
    body = chance.choice(BODIES) if chance.random() < 0.1 else _callback_body(chance, callbacks)
    if chance.random() < 0.15 and body:
        at = chance.randrange(len(body))
        body = (
            body[:at] + chance.choice([b"", b"\0", b"\xff", b'"', b"[", b"}", b"9" * 5000, b"\\ud800"]) + body[at + 1 :]
        )
    path = chance.choice(["/_dash-update-component"] * 30 + ["/", "/_dash-layout", "/_dash-update-component/x"])
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {chance.choice(TYPES)}", "Connection: close"]
    length = chance.choice([str(len(body))] * 12 + ["0", "-1", "x", str(len(body) + 5), "9" * 30, ""])
    if chance.random() < 0.06:
        lines.append("Transfer-Encoding: chunked")
        body = chance.choice([*CHUNKS, f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"])
    elif length:
        lines.append(f"Content-Length: {length}")
    if chance.random() < 0.1:
        lines.append(chance.choice(["Content-Encoding: gzip", "Cookie: " + "\xff;=" * 50, "Expect: 100-continue"]))
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def _callback_body(chance: random.Random, callbacks: dict[str, Any]) -> bytes:
    """The body of a callback: its ids are right, its values are not, and sometimes a part of it is replaced."""
    output = chance.choice(list(callbacks))
    parts = {
        kind: "[" + ", ".join(_part(one, chance) for one in callbacks[output][kind]) + "]"
        for kind in ("inputs", "state")
    }
    names = output[2:-2].split("...") if output.startswith("..") else [output]
    outputs = [
        _part({"id": name, "property": chosen}, chance, value=False)
        for name, _, chosen in (one.rpartition(".") for one in names)
    ]
    triggered = [f"{one['id']}.{one['property']}" for one in callbacks[output]["inputs"]]
    made = {
        "output": json.dumps(output),
        "outputs": f"[{', '.join(outputs)}]" if output.startswith("..") else outputs[0],
        **parts,
        "changedPropIds": json.dumps(chance.sample(triggered, chance.randrange(len(triggered) + 1))),
    }
    return (_changed(made, chance) if chance.random() < 0.3 else _joined(made)).encode()


def _part(declared: dict[str, str], chance: random.Random, value: bool = True) -> str:
    """The JSON of one value with its id; of a pattern, a list with one of them."""
    pattern = declared["id"].startswith("{")
    name = json.dumps({field: "x" for field in json.loads(declared["id"])}) if pattern else json.dumps(declared["id"])
    fitting = FITTING.get(declared["property"], VALUES)
    given = chance.choice(VALUES if chance.random() < 0.1 else fitting)
    text = f'{{"id": {name}, "property": {json.dumps(declared["property"])}' + (
        f', "value": {given}}}' if value else "}"
    )
    return f"[{text}]" if pattern else text


def _joined(fields: dict[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in fields.items()) + "}"
