from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """A virtual environment that has the wheel, and of this checkout nothing."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """`ingestor ARGUMENTS`, as its users run it."""
        return self._run([self.folder / "bin" / "ingestor", *arguments], cwd, environment)

    def run_python(self, code: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._run([self.python, "-c", code], cwd, environment)

    @staticmethod
    def _run(command: list[str | Path], cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.run(
            command, cwd=cwd, env={**kept, "HOME": str(cwd), **environment}, capture_output=True, text=True, timeout=120
        )


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `pipx install .` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, CHECKOUT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """As pipx installs it; the libraries are those that are here, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    installed = Installed(folder)
    pip("--python", installed.python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    # A plain path is not looked through for more .pth files, so that this checkout's editable install has no effect.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return installed
