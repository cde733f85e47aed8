"""The libraries that are measured, and where each lives."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEERS = Path(os.environ.get("HEADRACE_PEERS", ROOT / ".peers" / "bin" / "python"))
ENVIRONMENT = {
    # Bytecode is kept, as it is in any installation; the first round fills what is missing.
    **{name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_USE_LEGACY_KERAS": "1",
    "HEADRACE_CACHE": str(ROOT / ".cache" / "headrace"),
    "TORCHINDUCTOR_CACHE_DIR": str(ROOT / ".cache" / "torchinductor"),
}


def emptied(folder: str) -> dict[str, str]:
    """Variables that give all compilers an own folder for what they keep on the disk."""
    return {
        "HEADRACE_CACHE": f"{folder}/headrace",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torch",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@dataclass(frozen=True)
class Library:
    """A library, or one way to use it."""

    name: str
    implementation: str  # module in benchmarks.implementations
    packages: tuple[str, ...]  # whose versions are noted
    imported: bool = True  # whether its import is a case (it is one per library)
    keras: bool = False
    later: tuple[str, ...] = ()  # what it imports by itself when it is first needed
    peer: bool = True  # whether it counts as one that Headrace is to beat

    @property
    def python(self) -> str:
        """The interpreter that has it."""
        return str(PEERS) if self.peer else sys.executable

    def at_hand(self) -> bool:
        """Whether it can be imported there."""
        find = (
            f"import importlib.util as u; print(u.find_spec({self.packages[0]!r}) is not None)"
        )
        return Path(self.python).exists() and ask(self.python, find) == "True"


LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "headrace",
            "tensorflow",
            ("headrace", "numpy", "llvmlite"),
            keras=True,
            later=("headrace.keras.layers",),
            peer=False,
        ),
        Library("numpy", "numpy", ("numpy",), peer=False),
        Library(
            "tensorflow",
            "tensorflow",
            ("tensorflow", "tf_keras"),
            keras=True,
            later=("tf_keras.layers",),
        ),
        Library(
            "xla",
            "tensorflow",
            ("tensorflow", "tf_keras"),
            imported=False,
            later=("tf_keras.layers",),
        ),
        Library("jax", "jax", ("jax",)),
        Library("torch", "torch", ("torch",)),
        Library(
            "torch.compile",
            "torch",
            ("torch",),
            imported=False,
            later=("torch._dynamo", "torch._inductor.compile_fx"),
        ),
    )
}


def ask(python: str, program: str) -> str:
    """What a short program prints, or nothing if it fails."""
    done = subprocess.run(
        [python, "-c", program], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def versions(names: list[str]) -> dict[str, str]:
    """The versions of what was measured."""
    found = {}
    for library in (LIBRARIES[name] for name in names):
        for package in library.packages:
            if package not in found:
                program = f"from importlib.metadata import version as v; print(v({package!r}))"
                found[package] = ask(library.python, program)
    return {package: version for package, version in found.items() if version}


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, cores, Python, system."""
    model = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        rows = (line.partition(":") for line in information.read_text().splitlines())
        model = next((value.strip() for key, _, value in rows if "model name" in key), model)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def commit() -> str:
    """The commit that was measured, with a plus where the tree has changes."""
    git = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    return subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()
