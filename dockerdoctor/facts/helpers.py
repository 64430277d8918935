"""The credential helpers that the client's configuration names: programs that it runs at every pull, push and build."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.host import Host
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class Helper:
    """One of them."""

    name: str  # "desktop": the program is docker-credential-desktop
    registry: str  # that it is for; empty for all of them ("credsStore")
    path: str  # of the program; empty when there is none
    lacks: str = ""  # what it cannot work without, and is not there


@dataclass(frozen=True, slots=True)
class Helpers:
    """All of them, as this user's client would find them."""

    path: str  # of the configuration
    all: tuple[Helper, ...] = ()


@probe()
def helpers(host: Host, client: ClientConfig) -> Helpers:
    """Look for the programs, and run none: one that unlocks a key ring may ask a person for a password."""
    named = [(client.creds_store, "")] if client.creds_store else []
    named += [(helper, registry) for registry, helper in client.cred_helpers]
    found = (
        Helper(name, registry, host.which(f"docker-credential-{name}"), _lacks(host, name)) for name, registry in named
    )
    return Helpers(client.path, tuple(found))


def _lacks(host: Host, name: str) -> str:
    """What the helpers of docker/docker-credential-helpers need, beside themselves."""
    if name == "pass":
        store = host.env.get("PASSWORD_STORE_DIR") or f"{host.home}/.password-store"
        if not host.which("pass"):
            return "the program `pass`"
        # Its own subfolder, or all of the store: either is initialised with a key.
        return "" if host.exists(f"{store}/.gpg-id") else f"a password store in {store} (pass init)"
    if name == "secretservice" and not (host.env.get("DBUS_SESSION_BUS_ADDRESS") or host.env.get("DISPLAY")):
        return "a session bus (DBUS_SESSION_BUS_ADDRESS)"
    return ""
