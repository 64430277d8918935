"""Services, and what reads its files anew when it is told to; users and their groups."""

from __future__ import annotations

from collections.abc import Iterator

from dockerdoctor.fixes.shell import NotOurs, Simple
from dockerdoctor.fixes.steps import DOCKER_UNITS, Back, Run, Step
from dockerdoctor.fixes.vocabulary.desk import Desk


def systemctl(one: Simple, desk: Desk) -> Iterator[Step]:
    """Units: started, stopped, enabled, unmasked, read again."""
    verb, units = one.words[1], [word for word in one.words[2:] if not word.startswith("-")]
    if verb == "daemon-reload":
        yield Run(one.words, again=one.words)
    elif not units:
        raise NotOurs("it is not told for which unit")
    elif verb == "reset-failed":
        # Again before the last restart, too: a start that failed counts against the start limit.
        yield Run(one.words, again=one.words, lenient=True)
    elif verb == "reload":
        yield Run(one.words, again=one.words)
    elif verb in {"restart", "start"}:
        if any(unit.endswith(".mount") for unit in units):
            raise NotOurs("what is mounted is in use at once, and is not let go of while it is")
        idle = tuple(unit for unit in units if not _active(unit, desk))
        busy = tuple(unit for unit in units if unit not in idle)
        back = (Back(("systemctl", "stop", *_with_socket(idle, desk))),) if idle else ()
        yield Run(one.words, back, again=("systemctl", "restart", *busy) if busy else ())
    elif verb == "stop":
        running = tuple(unit for unit in units if _active(unit, desk))
        if passing := [unit for unit in running if _passing(unit, desk)]:
            raise NotOurs(f"{passing[0]} has no file, and is no unit any more once it was stopped")
        yield Run(one.words, (Back(("systemctl", "start", *running)),) if running else ())
    elif verb == "unmask":
        masked = {where: tuple(u for u in units if _masked(u, where, desk)) for where in ("etc", "run")}
        backs = [(("--runtime",) if where == "run" else (), units) for where, units in masked.items() if units]
        yield Run(
            one.words,
            tuple(Back(("systemctl", "mask", *how, *units), lasting=not how) for how, units in backs),
        )
    elif verb == "enable":
        off = tuple(unit for unit in units if _disabled(unit, desk))
        back = (Back(("systemctl", "disable", *off), lasting=True),) if off else ()
        idle = tuple(unit for unit in units if "--now" in one.words and not _active(unit, desk))
        yield Run(one.words, (*back, *((Back(("systemctl", "stop", *idle)),) if idle else ())))
    elif verb == "kill" and set(units) <= DOCKER_UNITS:
        yield Run(one.words)
    else:
        raise NotOurs(f"systemctl {verb} is not among what the doctor can take back")


def _masked(unit: str, where: str, desk: Desk) -> bool:
    """Whether a link to nothing masks a unit; one that is masked by an empty file cannot be masked again so."""
    name = unit if "." in unit else f"{unit}.service"
    return desk.host.readlink(f"/{where}/systemd/system/{name}") == "/dev/null"


def _disabled(unit: str, desk: Desk) -> bool:
    """Whether to disable a unit makes it as it was; raises NotOurs where that would take a link away that was there."""
    done = desk.host.run("systemctl", "is-enabled", unit)
    if done.ok:
        return False
    if done.out.strip() != "disabled":
        raise NotOurs(f"{unit} is {done.out.strip() or 'not known'}")
    return True


def _active(unit: str, desk: Desk) -> bool:
    return desk.host.run("systemctl", "is-active", "--quiet", unit).ok


def _with_socket(units: tuple[str, ...], desk: Desk) -> tuple[str, ...]:
    """docker.service takes docker.socket with it, which would start it again at the first call; one that ran goes on."""
    socket = "docker.socket"
    if not {"docker", "docker.service"} & set(units) or socket in units or _active(socket, desk):
        return units
    loaded = desk.host.run("systemctl", "show", "--property", "LoadState", "--value", socket).out.strip() == "loaded"
    return (socket, *units) if loaded else units


def _passing(unit: str, desk: Desk) -> bool:
    """Whether a unit goes when it stops, as one of systemd-run does."""
    return desk.host.run("systemctl", "show", "--property", "Transient", "--value", unit).out.strip() == "yes"


def update_ca_certificates(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    """The bundle of all authorities that this host trusts."""
    if one.words[1:]:
        raise NotOurs("its options are not known here")
    # It makes the bundle of what lies in its folders: again, once these are as they were.
    yield Run(one.words, again=one.words)


def networkctl(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001 - one signature for all
    """Its files, read again."""
    if one.words[1:] != ("reload",):
        raise NotOurs("only its reload is known here")
    yield Run(one.words, again=one.words)


# -- users


def groupadd(one: Simple, desk: Desk) -> Iterator[Step]:
    """A group."""
    name = one.words[-1]
    if desk.host.group_id(name) is not None:
        raise NotOurs(f"there is a group {name} already")
    yield Run(one.words, (Back(("groupdel", name), ("getent", "group", name), lasting=True),))


def usermod(one: Simple, desk: Desk) -> Iterator[Step]:
    """A user's membership of a group."""
    if one.words[1] != "-aG" or len(one.words) != 4:
        raise NotOurs("only membership of a group is known here")
    group, user = one.words[2:]
    number = desk.host.group_id(group)
    if number is not None and user in desk.host.group_members(number):
        raise NotOurs(f"{user} is a member of {group} already")
    # Who is no member any more, or not yet, cannot be taken out.
    yield Run(one.words, (Back(("gpasswd", "-d", user, group), lenient=True, lasting=True),))
