"""The wheel has all that the program needs, and works where there is no checkout."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ingestor
from tests.image_kit import jpeg, photograph
from tests.packaging.conftest import CHECKOUT, Installed

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
PACKAGE = CHECKOUT / "ingestor"


def test_everything_of_the_package_is_in_it_and_nothing_else(wheel: Path) -> None:
    there = {
        str(path.relative_to(CHECKOUT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == there
    assert {"ingestor/py.typed", "ingestor/ledger/migrations/env.py", "ingestor/page/templates/base.html"} <= packed


def test_its_metadata_are_those_of_the_project(wheel: Path) -> None:
    (name,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    told = zipfile.ZipFile(wheel).read(name).decode()
    assert f"\nVersion: {ingestor.__version__}\n" in told
    assert "\nRequires-Python: >=3.11\n" in told
    assert told.count("\nRequires-Dist: ") >= len(PROJECT["dependencies"])


def imported_modules() -> dict[str, str]:
    """Top-level names that the package imports, each with a file that does."""
    found: dict[str, str] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            found.update((name.partition(".")[0], str(path.relative_to(CHECKOUT))) for name in names)
    return found


def _requirements(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # of an extra that is not installed here
        return []


def test_every_library_that_it_imports_is_declared_and_every_declared_one_imported() -> None:
    extras = [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    declared = {canonicalize_name(Requirement(one).name) for one in [*PROJECT["dependencies"], *extras]}
    owners = metadata.packages_distributions()
    imported = {}
    for name, path in imported_modules().items():
        if name not in sys.stdlib_module_names and name != "ingestor":
            imported[canonicalize_name(owners[name][0])] = path
    # Such as multidict, which is a part of what aiohttp offers.
    come_along = {canonicalize_name(Requirement(one).name) for name in declared for one in _requirements(name)}
    assert {name: path for name, path in imported.items() if name not in declared | come_along} == {}
    # Pillow's plugin is loaded by its name, PostgreSQL's driver by SQLAlchemy.
    assert declared - imported.keys() <= {"pillow-heif", "procrastinate", "psycopg"}


def test_it_runs_from_its_own_place(installed: Installed, tmp_path: Path) -> None:
    where = installed.run_python("import ingestor; print(ingestor.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(installed.folder)), where.stderr
    version = installed.run("--version", cwd=tmp_path)
    assert (version.returncode, version.stdout) == (0, f"ingestor {ingestor.__version__}\n")
    schema = installed.run("schema", cwd=tmp_path)
    assert json.loads(schema.stdout)["title"] == "Settings of ingestor"


def test_a_backfill_works_from_first_to_last(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "one.jpg").write_bytes(jpeg(photograph(64, 48)))
    settings = tmp_path / "settings.yaml"
    settings.write_bytes((CHECKOUT / "config" / "quickstart.yaml").read_bytes())
    ran = installed.run("backfill", "--json", "-c", settings, cwd=tmp_path, INGESTOR_FOLDERS__0__SETTLE="10ms")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["uploaded"] == 1
    status = installed.run("status", "--json", "-c", settings, cwd=tmp_path)
    assert json.loads(status.stdout)["total"]["live"] == 1
    code = "from ingestor import Manifest; print(*[l.path for l in Manifest.open('var/manifest.jsonl').live()])"
    assert installed.run_python(code, cwd=tmp_path).stdout == "one.jpg\n"
