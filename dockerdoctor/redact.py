"""
The last line of defence before something leaves this host: takes out of any text what looks like a secret. Pure.

Facts are masked where they are read, by those who know what they read. This knows nothing of what it gets, and
rather hides too much than too little; what it hides is shown as `***`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote

from dockerdoctor.facts.endpoint import mask_logins, mask_text

HIDDEN = "***"

# -- what a secret is called --------------------------------------------------------------------------------------------

# In the name of a variable, a flag, a field: DB_PASSWORD, --registry-token, splunk-token, X-Amz-Signature; not --passive.
_TELLING = re.compile(
    r"(?<!by)pass(?!ive|ed|es|ing|thr)|[_.-]pwd|^pwd$|secret|token|credential|auth(?!or(?!iz))|signature|cookie|[a-z0-9_.-]key",
    re.IGNORECASE,
)
# Of these a number or a path is no secret: AUTH_LEVEL=2, maxkeys=200, --tlskey=/etc/docker/key.pem.
_CERTAIN = re.compile(r"pass(?!ive|ed|es|ing|thr)|[_.-]pwd|^pwd$|secret|token|credential", re.IGNORECASE)
# Names of fields that hold nothing else, whatever their value is.
_FIELD = re.compile(
    r"(?:[\w.-]*[_.-])?(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?)|auth|identitytoken|registrytoken"
    r"|(?:proxy-)?authorization|(?:set-)?cookie|x-registry-(?:auth|config)|(?:api|access|private|secret)[_-]?key",
    re.IGNORECASE,
)
# What they are said to be in a sentence: "password: x". Not "auth", since "unauthorized: authentication required" is none.
_SPOKEN = re.compile(
    r"(?i)(?<![\w-])((?:pass(?:word|wd|phrase)|pwd|secret|token|credentials?|(?:api|access|private)[ _-]?key)"
    r"(?:\s+(?:is|was)\s+|\s*:\s+))([^\s\"',;]+)"
)
_GIVEN = re.compile(r"(?<![\w.-])([\w.-]+)(\\*[\"']?\s*=\s*|\\*[\"']\s*:\s*|[ \t\x1e]+)")
_VALUE = re.compile(r"(\\+)\"(?:(?!\1\")[^\x1e])*\1\"|\"[^\"\x1e]*\"|'[^'\x1e]*'|[^\s\"]+")
_HARMLESS = re.compile(r"\W*(?:\*\*\*|true|false|yes|no|on|off|null|none|nil|)\W*", re.IGNORECASE)
_NUMBER = re.compile(r"\W*\d+\W*")
_PATH = re.compile(
    r"[\"']?(?:file://)?/(?:etc|run|var|root|home|usr|opt|tmp|srv|mnt|proc|sys|dev|lib|snap|data)(?:/[\w@+.-]+)*/?[\"']?,?"
)

# -- what a secret looks like, whatever it is called ----------------------------------------------------------------------

_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-registry-(?:auth|config)|x-auth-token|x-api-key|private-token)"
    r"(\\*[\"']?\s*[:=]\s*\[?\s*\\*[\"']?)"
    r"((?:digest|cookie)\s[^\r\n\x1e]*|(?:[a-z]+\s+)?[^\s\"'\],;\\]+(?:;\s*[^\s\"'\],;\\]+)*)"
)
_SCHEME = re.compile(r"(?i)\b(basic|bearer)(\s+)(?=[a-z+/._~-]*[0-9=_])([a-z0-9+/=._~-]{8,})")
_QUERY = re.compile(
    r"(?i)([?&;](?:[\w.-]*(?:token|secret|signature|credential|pass|pwd|auth|[\w.-]key)[\w.-]*|sig|verify|code)=)([^&\s\"'<>\\]+)"
)
_PEM = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----)(.*?)(-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)", re.DOTALL
)
_LINE = re.compile(r"[^\n\x1e]+")
# As their makers give them out, so that scanners can find them.
_TOKENS = re.compile(
    r"\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|dckr_[a-z]at_[\w-]{8,}|xox[abeprs]-[\w-]{8,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}|npm_\w{20,}|pypi-[\w-]{20,}|hv[sbr]\.[\w-]{16,}|sk[-_](?:live|test|ant|proj)[\w-]{8,}"
    r"|SWMTKN-1-[\w-]+|SWMKEY-1-[\w+/=-]+)"
)
_JWT = re.compile(r"\beyJ[\w-]{8,}(?:[.+/=][\w+/=-]*)*")  # base64 of what begins with {"
_WORD = re.compile(r"[^\s\"'@]+(?:@[^\s\"'@]+)+")
_BLOB = re.compile(r"(?<![\w+/=.-])[A-Za-z0-9+/]{11,}={0,2}(?![\w+/=.-])")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide what is, or looks like, a secret in a text; `secrets` are known ones, hidden wherever they stand."""
    for secret in sorted(spellings(secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _PEM.sub(lambda m: m[1] + _LINE.sub(HIDDEN, m[2]) + m[3], text)
    text = _HEADER.sub(lambda m: m[1] + m[2] + _LINE.sub(HIDDEN, m[3]), text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    text = _TOKENS.sub(HIDDEN, text)
    text = _JWT.sub(HIDDEN, text)
    text = mask_text(text)
    text = _QUERY.sub(rf"\1{HIDDEN}", text)
    text = _assignments(text)
    text = _SPOKEN.sub(lambda m: m[0] if _HARMLESS.fullmatch(m[2]) else f"{m[1]}{HIDDEN}", text)
    text = mask_logins(text)
    return _BLOB.sub(lambda m: HIDDEN if _is_login(m[0]) else m[0], text)


def redact_json(document: Any, secrets: Iterable[str] = ()) -> Any:
    """The same in a tree of JSON, whose form stays as it is: fields that are called like a secret lose their value."""
    known = frozenset(spellings(secrets))

    def hidden(text: str) -> str:
        return redact(text, known)

    return _walk(document, hidden)


def redact_member(name: str, text: str, secrets: Iterable[str] = ()) -> str:
    """What of a file may leave this host; one that is called .json stays JSON."""
    if not name.endswith(".json"):
        return redact(text, secrets)
    return json.dumps(redact_json(json.loads(text), secrets), indent=1, ensure_ascii=False) + "\n"


def spellings(secrets: Iterable[str]) -> set[str]:
    """How a secret may be written: as it is, in a URL, in JSON. A short or common word is left alone: it is in every text."""
    found: set[str] = set()
    for secret in secrets:
        found |= {secret, quote(secret, safe=""), unquote(secret), json.dumps(secret)[1:-1]}
    return {s for s in found if len(s) >= 10 or (len(s) >= 6 and not s.isalpha())}


def _harmless(name: str, value: str) -> bool:
    if _HARMLESS.fullmatch(value) or _PATH.fullmatch(value):
        return True
    if name == "PWD":  # of a shell: the folder it is in
        return value.startswith("/")
    return not _CERTAIN.search(name) and bool(_NUMBER.fullmatch(value))


def _assignments(text: str) -> str:
    """Hide values in `NAME=value`, `"name": "value"`, `--name value`."""
    kept, done = [], 0
    for value in _given(text):
        kept += [text[done : value.start()], _quoted(value[0])]
        done = value.end()
    return "".join([*kept, text[done:]])


def _given(text: str) -> Iterator[re.Match[str]]:
    """Find the values of what is called like a secret; each word is read once, however long the text."""
    done = 0
    for given in _GIVEN.finditer(text):
        name, gap = given.groups()
        blank = not gap.strip(" \t\x1e")
        if given.start() < done or not _TELLING.search(name) or (blank and not name.startswith("-")):
            continue
        value = _VALUE.match(text, given.end())
        if value and not _harmless(name, value[0]) and not (blank and value[0].startswith("-")):
            yield value
            done = value.end()


def secrets_in(text: str) -> set[str]:
    """What this would hide in a file of settings, so that it can be hidden where it stands without its name."""
    found = {value[0].strip("\\\"',;") for value in _given(text)}
    for word in _WORD.findall(text):
        head, _, rest = word.rpartition("@")[0].rpartition("://")
        user, colon, password = rest.partition(":")
        found.add(password if colon else user if head else "")
    for blob in (*_BLOB.findall(text), *found):
        if _is_login(blob):
            found |= {blob, base64.b64decode(blob).decode().partition(":")[2]}
    return found - {""}


def secrets_among(variables: Iterable[tuple[str, str]]) -> set[str]:
    """The same in an environment."""
    found: set[str] = set()
    for name, value in variables:
        found |= secrets_in(value)
        found |= {value} if _TELLING.search(name) and not _harmless(name, value) else set()
    return found


def _quoted(value: str) -> str:
    """Keep the quotes, so that what stood in them before is still one word."""
    opening = re.match(r"\\*[\"']", value)
    return f"{opening[0]}{HIDDEN}{opening[0]}" if opening and value.endswith(opening[0]) else HIDDEN


def _is_login(word: str) -> bool:
    """Tell whether a word is base64 for `user:password`, as registries and HTTP take them."""
    try:
        said = base64.b64decode(word, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return False
    return said.isprintable() and re.fullmatch(r"[^\s:]+:.+", said) is not None


# Between the strings of a list: no text has it, and it counts as a blank.
_SEPARATOR = "\x1e"


def _walk(document: Any, hidden: Callable[[str], str]) -> Any:
    if isinstance(document, str):
        return hidden(document)
    if isinstance(document, dict):
        # A variable may be an object: its name in one field, its value in another.
        named = str(document.get("name") or "")
        telling = bool(_TELLING.search(named))
        return {
            hidden(key): _field(named, value, hidden, certain=True)
            if telling and key == "value"
            else _field(key, value, hidden)
            for key, value in document.items()
        }
    if not isinstance(document, list):
        return document
    if len(document) == 2 and all(isinstance(item, str) for item in document) and _NAME.fullmatch(document[0]):
        name, value = document
        return [hidden(name), _field(name, value, hidden, certain=bool(_TELLING.search(name)))]
    if document and all(isinstance(item, str) for item in document):
        # Together, since a flag and its value, and the lines of a key, are strings of their own.
        parts = hidden(_SEPARATOR.join(document)).split(_SEPARATOR)
        if len(parts) == len(document):
            return parts
    return [_walk(item, hidden) for item in document]


_NAME = re.compile(r"[\w.-]+")


def _field(name: str, value: Any, hidden: Callable[[str], str], *, certain: bool = False) -> Any:
    if not (certain or _FIELD.fullmatch(name)):
        return _walk(value, hidden)
    if isinstance(value, str):
        return value if _harmless(name, value) else HIDDEN
    if isinstance(value, list):
        return [_field(name, item, hidden, certain=certain) for item in value]
    return _walk(value, hidden)
