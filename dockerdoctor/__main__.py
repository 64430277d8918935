"""Where every call begins: `doctor`, `python -m dockerdoctor`, and what the docker command and shells ask of us."""

import os
import sys
from pathlib import PurePath

from dockerdoctor import inhost, plugin
from dockerdoctor.exits import ExitStatus


def main() -> None:
    """Answer what must be answered at once before the command line, which takes long to load, is loaded at all."""
    called = ""
    if root := os.environ.get(inhost.VARIABLE):
        try:
            inhost.enter(root)
        except inhost.NotAHost as no:
            sys.stderr.write(f"{no}\n")
            sys.exit(ExitStatus.UNEXAMINED)
    if PurePath(sys.argv[0]).name == plugin.PROGRAM:
        if sys.argv[1:] == [plugin.METADATA]:
            print(plugin.metadata())  # noqa: T201 - the docker command waits for this and nothing else
            return
        called = plugin.begin()
    if sys.argv[1:2] == ["__complete"]:
        from dockerdoctor.completion import answer  # noqa: PLC0415 - as above

        sys.stdout.write(answer(sys.argv[2:]))
        return
    from dockerdoctor import cli  # noqa: PLC0415 - as above

    cli.main(called)


if __name__ == "__main__":
    main()
