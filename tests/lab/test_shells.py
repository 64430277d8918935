"""Completion as people get it: a real shell on a terminal, and the Tab key."""

import os
import re
import sys

import pytest

from tests.lab.store import REPO
from tests.lab.terminal import on_terminal

pytestmark = pytest.mark.lab

READY = "ready-now"
SHELLS = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(doctor completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(doctor completion zsh)"'),
    "fish": (["fish", "--private", "-i"], "doctor completion fish | source"),
    # As a file of zsh's own folders, which it loads at the first Tab.
    "zsh-file": (
        ["zsh", "-f", "-i"],
        "doctor completion zsh > $HOME/_doctor; fpath=($HOME $fpath); autoload -Uz compinit; compinit -u -D",
    ),
}


@pytest.fixture
def home(tmp_path):
    """A doctor on PATH, a context, and a file."""
    program = tmp_path / "bin/doctor"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom dockerdoctor.__main__ import main\nmain()\n")
    program.chmod(0o755)
    meta = tmp_path / ".docker/contexts/meta/0a"
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text('{"Name": "faraway", "Metadata": {}}')
    (tmp_path / "keptfacts.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("shell", [*list(SHELLS)[:3], pytest.param("zsh-file", marks=pytest.mark.matrix)])
def test_tab(shell, home):
    argv, setup = SHELLS[shell]
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")},
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".data"),
        "PATH": f"{home}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(REPO),
        "TERM": "xterm",
        "PWD": str(home),
        "LC_ALL": "C.UTF-8",
        "PS1": "$ ",
    }
    with on_terminal(["env", "-C", str(home), *argv], env) as terminal:
        terminal.type(f"{setup}\necho {READY[:5]}'{READY[5:]}'\n")
        terminal.wait_for(READY)

        def tab(line, pattern):
            since = len(terminal.shown)
            terminal.type(f"{line}\t")
            said = terminal.wait_for(pattern, since=since)
            terminal.type("\x15")  # Ctrl-U: away with the line
            return said

        # One candidate is written out, several are listed after a second Tab.
        tab("doctor expl", r"doctor explain ")
        tab("doctor explain dns.server", r"dns\.server-dead")
        listed = tab("doctor check --format j\t", r"junit")
        assert "json" in listed
        if shell == "zsh-file":
            return
        tab("doctor check --format=ju", r"--format=junit")
        tab("doctor check --context fara", r"faraway")
        tab("doctor check --report htm", r"html=")
        tab("doctor check --from kept", r"keptfacts\.json")
        tab("doctor check --report json=kept", r"json=keptfacts\.json")
        tab("doctor plugin inst", r"install ")
        assert not re.search("Traceback|command not found|parse error", terminal.shown)
