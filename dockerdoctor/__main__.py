"""`python -m dockerdoctor`."""

from dockerdoctor.cli import main

main()
