"""
Pack the doctor and all that it needs into one file that any Python runs: `python deploy/zipapp.py dist/doctor.pyz`.

Only packages in pure Python go in, so that one file serves every processor and every Python that the doctor supports.
"""

import ast
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
INTERPRETER = b"#!/usr/bin/env python3\n"
MAIN = "from dockerdoctor.__main__ import main\n\nmain()\n"
# Fixed, so that the same files make the same archive.
WHEN = (2020, 1, 1, 0, 0, 0)


def main() -> None:
    """Pack into the file that was named."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        gather(tree, Path(folder))
        target.parent.mkdir(parents=True, exist_ok=True)
        pack(tree, target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def gather(tree: Path, spare: Path) -> None:
    """Install the doctor and its dependencies into a folder."""
    pyproject = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = (\[.*?\])$", pyproject, re.MULTILINE | re.DOTALL)
    oldest = re.search(r'^requires-python = ">=([\d.]+)"$', pyproject, re.MULTILINE)
    if not listed or not oldest:
        raise SystemExit("pyproject.toml has no dependencies, or no requires-python")
    # Whatever Python packs: what only some need goes in for all.
    wanted = [requirement.partition(";")[0].strip() for requirement in ast.literal_eval(listed[1])]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pure = ["--platform=any", "--implementation=py", "--abi=none", "--only-binary=:all:"]
    subprocess.run(
        [*pip, "install", f"--target={tree}", *pure, f"--python-version={oldest[1]}", *wanted],
        check=True,
    )
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={spare}", str(REPO)], check=True)
    (wheel,) = spare.glob("dockerdoctor-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tree)
    # Their own programs, what Python makes anew, and what belongs beside the file and not into it.
    for left in (*tree.rglob("__pycache__"), tree / "bin", *tree.glob("*.data")):
        shutil.rmtree(left, ignore_errors=True)
    (tree / "__main__.py").write_text(MAIN, encoding="utf-8")


def pack(tree: Path, target: Path) -> None:
    """Make the archive, executable, the same bytes of the same files."""
    with target.open("wb") as file:
        file.write(INTERPRETER)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(p for p in tree.rglob("*") if p.is_file()):
                entry = zipfile.ZipInfo(str(path.relative_to(tree)), WHEN)
                entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    target.chmod(0o755)


if __name__ == "__main__":
    main()
