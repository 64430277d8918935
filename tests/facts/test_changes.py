"""What the journal says of fixes that have not ended."""

import pytest

from dockerdoctor.facts.changes import JOURNAL, LOCK, OwnChanges, own_changes
from dockerdoctor.host import Host


def journal(root, **progress):
    for name, text in progress.items():
        folder = root / JOURNAL[1:] / name
        folder.mkdir(parents=True)
        if text is not None:
            (folder / "progress").write_text(text)
    return Host(root, {})


def test_there_is_no_journal(tmp_path):
    assert own_changes.measure(Host(tmp_path, {})) == OwnChanges()


@pytest.mark.parametrize(
    ("progress", "unfinished"),
    [
        (None, False),  # killed before anything was begun
        ("", False),
        ("begi", False),  # and while the first word was written
        ("begin 0\n", True),
        ("begin 0\ndone 0\nbegin 1\n", True),
        ("begin 0\ndone 0\napplied\n", False),
        ("begin 0\nrolled-back\n", False),
        ("begin 0\ndone 0\napplied\nundone\n", False),
        ("begin 0\nstranded\n", True),
        ("begin 0\nstranded\nrolled-back\n", False),
        ("begin 0\nappl", True),
    ],
)
def test_begun_and_not_ended(tmp_path, progress, unfinished):
    found = own_changes.measure(journal(tmp_path, a="begin 0\napplied\n", b=progress))
    assert found == OwnChanges(("b",) if unfinished else ())


def test_another_doctor_is_at_work(tmp_path):
    host = journal(tmp_path, b="begin 0\n")
    with host.lock(LOCK):
        assert own_changes.measure(host).at_work
    assert not own_changes.measure(host).at_work
