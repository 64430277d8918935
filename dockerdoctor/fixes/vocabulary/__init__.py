"""
What each command of a fix does, and what takes it back; what cannot be taken back is left to a person.

One function a program: from its words to steps. Files are never written by the programs themselves but replaced whole by
the doctor, so that the change can be shown before, and no moment exists at which half of it is there.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dockerdoctor.fixes.shell import NotOurs, Simple, commands
from dockerdoctor.fixes.steps import Step
from dockerdoctor.fixes.vocabulary import containers, files, firewall, kernel, packages, services
from dockerdoctor.fixes.vocabulary.desk import Desk
from dockerdoctor.host import Host

# Of the person's own session: no other process can do it for them.
SESSION = frozenset({"unset", "export", "newgrp", "cd", "source", "exec", "sudo"})
# Why some programs are for a person to start.
LEFT = {
    "mount": "what is mounted, or written to again, is in use at once, and is not let go of while it is",
    "chcon": "labels of everything below a folder would have to be kept",
    "nsenter": "a rule inside a container goes with it, and whatever sets up the firewall in there writes its own again",
    "timedatectl": "a clock that jumps cannot be taken back, and whatever runs here sees it: databases, leases, certificates; "
    "a person chooses the moment",
}
# Of programs that can be taken back in part: what the next word must be.
IN_PART = {
    "docker": frozenset(containers.VERBS),
    "ip": frozenset({"link", "address", "rule", "route"}),
    "kill": frozenset({"-CONT"}),
}
# What stands in the place of a password in all that is shown.
MASK = "***"


@dataclass(frozen=True, slots=True)
class Steps:
    """What the commands of one fix come to."""

    steps: tuple[Step, ...]
    remains: tuple[str, ...]  # for a person, afterwards
    advice: tuple[str, ...] = ()  # what was said before a command: about it, or about what may be done in its place


Word = Callable[[Simple, Desk], Iterable[Step]]
FIREWALL = ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft")
WORDS: Mapping[str, Word] = dict.fromkeys(FIREWALL, firewall.iptables) | {
    "apt-get": packages.apt_get,
    "bridge": kernel.bridge,
    "chgrp": files.chown,
    "chmod": files.chmod,
    "chown": files.chown,
    "conntrack": kernel.conntrack,
    "cp": files.cp,
    "docker": containers.docker,
    "echo": files.echo,
    "groupadd": services.groupadd,
    "install": files.install,
    "ip": kernel.ip,
    "kill": kernel.kill,
    "ln": files.ln,
    "mkdir": files.mkdir,
    "mv": files.mv,
    "networkctl": services.networkctl,
    "nft": firewall.nft,
    "printf": files.echo,
    "prlimit": kernel.prlimit,
    "rm": files.rm,
    "rmdir": files.rmdir,
    "sed": files.sed,
    "sleep": kernel.sleep,
    "sysctl": kernel.sysctl,
    "systemctl": services.systemctl,
    "tee": files.tee,
    "truncate": files.truncate,
    "update-ca-certificates": services.update_ca_certificates,
    "usermod": services.usermod,
}


def understand(fix: Iterable[str], host: Host) -> Steps:
    """Plan the commands of a fix, in order; raises NotOurs at the first that a person must type."""
    desk = Desk(host)
    steps: list[Step] = []
    remains: list[str] = []
    advice: list[str] = []
    for line in fix:
        if line.startswith("#") or line.split()[0] in SESSION:
            remains.append(line)
            continue
        advice += [one for one in remains if one.startswith("#")]
        remains = [one for one in remains if not one.startswith("#")]
        if MASK in line:
            raise NotOurs("a password stands in it, which facts do not hold")
        for one in commands(line):
            word = WORDS.get(one.words[0].rpartition("/")[2])
            if word is None:
                raise NotOurs(left(one))
            try:
                steps += word(one, desk)
            except (IndexError, ValueError) as no:  # fewer words than it needs, a mode that is no number
                raise NotOurs(f"{shlex.join(one.words)}: not as it is known here") from no
    return Steps(tuple(steps), tuple(remains), tuple(advice))


def left(one: Simple) -> str:
    """Say why a command is for a person to type."""
    return LEFT.get(
        one.words[0].rpartition("/")[2], f"{one.words[0]} is not among the commands that the doctor can take back"
    )


def automatic(fix: Iterable[str]) -> bool:
    """Whether the doctor knows each command of a fix; what it finds on the host may still forbid it. Pure."""
    mine = [line for line in fix if not line.startswith("#") and line.split()[0] not in SESSION]
    if is_fix_dns(mine):
        return True
    try:
        return bool(mine) and all(map(_known, (one for line in mine for one in commands(line))))
    except NotOurs:
        return False


def _known(one: Simple) -> bool:
    program = one.words[0]
    return program in WORDS and (program not in IN_PART or bool(IN_PART[program] & set(one.words[1:])))


def is_fix_dns(fix: Iterable[str]) -> bool:
    """Whether the fix is `doctor fix-dns`, and nothing else."""
    words = [line.split() for line in fix if not line.startswith("#")]
    # Whatever the doctor is called by: `docker doctor`, `python3 doctor.pyz`. No other program has such a command.
    return len(words) == 1 and "fix-dns" in words[0][1:3]
