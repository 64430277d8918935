"""This checkout's `doctor`, installed as a user would, with the Python of a machine; cached by what it is made from."""

import ast
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.lab.base import inside
from tests.lab.store import LAB, REPO, LabError, built, key, prune

# What the wheel is made from; README and LICENSE are only its description.
SOURCES = ("dockerdoctor", "docs/man", "sample_app", "Dockerfile", ".dockerignore", "pyproject.toml")
DESCRIPTION = ("README.md", "LICENSE")
SKIPPED = shutil.ignore_patterns("__pycache__")


def installed_doctor(tree: Path) -> Path:
    """Give a folder to bind at /opt/doctor in machines over `tree`: a virtual environment with `doctor` in it."""
    requirements = declared((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies = built(
        f"doctor-dependencies/{key(requirements, tree.name)}",
        lambda draft: install_dependencies(tree, requirements, draft),
    )
    doctor = built(f"doctors/{key(contents(), dependencies.name)}", lambda draft: install(tree, dependencies, draft))
    doctor.touch()
    # Many checkouts, each edited often: one that is pruned while its machine boots leaves that machine without a doctor.
    prune(LAB / "doctors", keep=40)
    return doctor


def contents() -> list[tuple[str, bytes]]:
    """Every file that the wheel is made from."""
    files = [file for source in SOURCES for file in (REPO / source, *(REPO / source).rglob("*")) if file.is_file()]
    return sorted((str(f.relative_to(REPO)), f.read_bytes()) for f in files if "__pycache__" not in f.parts)


def declared(pyproject: str) -> list[str]:
    """The requirements in pyproject.toml; by hand, since tomllib is younger than our oldest Python."""
    found = []
    for name in ("requires", "dependencies"):
        if not (match := re.search(rf"^{name} = (\[.*?\])$", pyproject, re.MULTILINE | re.DOTALL)):
            raise LabError(f"pyproject.toml has no list `{name}`")
        found += ast.literal_eval(match[1])
    return found


def install_dependencies(tree: Path, requirements: list[str], draft: Path) -> None:
    """Download wheels with the host's pip, for the tree's Python, and install them with the tree's."""
    version = inside(tree, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    wheels = draft / "wheels"
    pip = [*host_pip(), "download", "--quiet", "--dest", str(wheels), "--only-binary=:all:"]
    command = [*pip, f"--python-version={version}", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"pip could not download the doctor's dependencies:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    script = """
        set -e
        python3 -m venv /opt/doctor
        /opt/doctor/bin/pip install --quiet --no-index --find-links=/opt/doctor/wheels "$@"
        rm -r /opt/doctor/wheels
    """
    inside(tree, "bash", "-c", script, "-", *requirements, binds={draft: "/opt/doctor"})


def host_pip() -> list[str]:
    """Give the command of a pip on the host."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]

    def build(draft: Path) -> None:
        done = subprocess.run([sys.executable, "-m", "venv", draft], capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"no pip for {sys.executable}, and no venv: apt-get install python3-venv\n{done.stdout}")

    return [str(built(f"pip/{key(sys.executable)}", build) / "bin/python"), "-m", "pip"]


def install(tree: Path, dependencies: Path, draft: Path) -> None:
    """Copy the dependencies' environment and install the checkout's wheel in it."""
    subprocess.run(["cp", "-a", "--reflink=auto", f"{dependencies}/.", draft], check=True)
    source = draft / "source"
    source.mkdir()
    for name in (*SOURCES, *DESCRIPTION):
        (source / name).parent.mkdir(exist_ok=True)
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, source / name, ignore=SKIPPED)
        else:
            shutil.copy(REPO / name, source / name)
    script = """
        set -e
        /opt/doctor/bin/pip install --quiet --no-index --no-deps --no-build-isolation /opt/doctor/source
        rm -r /opt/doctor/source
    """
    inside(tree, "bash", "-c", script, binds={draft: "/opt/doctor"})
