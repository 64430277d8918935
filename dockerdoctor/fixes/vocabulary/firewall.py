"""Rules of the firewall: each is put back where it was, and one that was added is known again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from dockerdoctor.fixes.shell import NotOurs, Simple
from dockerdoctor.fixes.steps import HANDLE, Back, Run, Step
from dockerdoctor.fixes.vocabulary.desk import Desk

# What nft shows of rules that iptables made, and cannot read itself.
FOREIGN = re.compile(r"\bxt (match|target)\b|#")


POLICY = re.compile(r"\bpolicy (\w+) ?;")


def iptables(one: Simple, desk: Desk) -> Iterator[Step]:
    """A rule or a policy; what a chain will hold is known to the next command."""
    program, *words = one.words
    table = words[words.index("-t") + 1] if "-t" in words else "filter"
    if "-t" in words:
        del words[words.index("-t") : words.index("-t") + 2]
    act, chain, *spec = words
    base = (program, "-t", table)
    listing = (*base, "-S", chain)
    lines = desk.chain(*listing)
    if act == "-P":
        policy = next((line.split()[2] for line in lines if line.startswith("-P ")), "")
        if not policy:
            raise NotOurs(f"{chain} has no policy")
        yield Run(one.words, (Back((*base, "-P", chain, policy)),))
        return
    first = next((at for at, line in enumerate(lines) if line.startswith("-A ")), len(lines))
    rules = [shlex.split(line)[2:] for line in lines[first:]]
    if act in {"-I", "-A"}:
        place = int(spec.pop(0)) if spec[:1] and spec[0].isdecimal() else 1 if act == "-I" else len(rules) + 1
        test: tuple[tuple[str, ...], str, int] = ((*base, "-C", chain, *spec), "", 0)
        if spec in rules:
            # The first such rule is the one that is deleted: that must be this one.
            if place > rules.index(spec) + 1:
                raise NotOurs(f"{chain} has such a rule before it")
            test = (listing, f"{lines[first + rules.index(spec)]}\n", rules.count(spec))
        elif desk.host.run(*test[0], timeout=10).ok:
            raise NotOurs(f"{chain} has such a rule, in other words")
        lines.insert(first + place - 1, shlex.join(("-A", chain, *spec)))
        yield Run(one.words, (Back((*base, "-D", chain, *spec), *test),))
    elif act == "-D":
        if spec not in rules:
            raise NotOurs(f"{chain} has no such rule")
        at = rules.index(spec)
        put = (*base, "-I", chain, str(at + 1), *spec)
        test = ((*base, "-C", chain, *spec), "", 0)
        if rules.count(spec) > 1:
            test = (listing, f"{lines[first + at]}\n", rules.count(spec) - 1)
        del lines[first + at]
        yield Run(one.words, (Back(put, *test, expected=False),))
    else:
        raise NotOurs(f"{program} {act} is not among what the doctor can take back")


def nft(one: Simple, desk: Desk) -> Iterator[Step]:
    """A rule is deleted by its handle, and put back behind the one before it; one that is added is known by its new handle."""
    act, kind, *words = one.words[1:]
    where = words[:3]
    if act == "chain":
        yield _policy(one, desk)
        return
    if kind != "rule" or act not in {"delete", "insert", "add"} or len(words) < 5:
        raise NotOurs("of nft only single rules and policies can be taken back")
    listing = ("nft", "--stateless", "--handle", "list", "chain", *where)
    lines = desk.chain(*listing)
    rules = [line.rpartition(" # handle ")[::2] for line in lines if line.startswith("\t\t") and " # handle " in line]
    handles = tuple(handle for _, handle in rules)
    if act != "delete":
        if words[3] in {"position", "index", "handle"}:
            raise NotOurs("of nft only rules at the beginning or the end of a chain can be taken back")
        text = " ".join(words[3:])
        back = Back(("nft", "delete", "rule", *where, "handle", HANDLE), listing, text, handles=handles)
        yield Run(one.words, (back,))
        return
    if words[3] != "handle" or words[4] not in handles:
        raise NotOurs(f"{' '.join(where)} has no such rule")
    place = handles.index(words[4])
    shown = rules[place][0]
    rule = shown.strip()
    if rule.count("{") != rule.count("}") or FOREIGN.search(rule) or [r for r, _ in rules].count(shown) > 1:
        raise NotOurs(f"{' '.join(where)} shows the rule in a way that it cannot be put back from")
    del lines[lines.index(f"{shown} # handle {words[4]}")]
    # The one before may be deleted, too: then it has another handle when it is back.
    if (listing, words[4]) in desk.anchors:
        raise NotOurs("another rule is to be put back behind it")
    if place:
        desk.anchors.add((listing, handles[place - 1]))
    before = ("add", "rule", *where, "position", handles[place - 1]) if place else ("insert", "rule", *where)
    test = ("nft", "--stateless", "list", "chain", *where)
    yield Run(one.words, (Back(("nft", *before, rule), test, f"{shown}\n", expected=False),))


def _policy(one: Simple, desk: Desk) -> Run:
    """What a chain does with the packets that no rule of it is about."""
    where, wanted = one.words[2:5], POLICY.search(" ".join(one.words[5:]))
    listing = ("nft", "--stateless", "--handle", "list", "chain", *where)
    now = POLICY.search("\n".join(desk.chain(*listing)))
    if not (now and wanted):
        raise NotOurs(f"{' '.join(where)} has no policy")
    return Run(one.words, (Back(("nft", "chain", *where, f"{{ policy {now[1]} ; }}")),))
