"""Puts the catalogue into the wheel: shipped configs, published results and measured times.

They lie outside the package. Everything else about the build stands in ``pyproject.toml``.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
CATALOGUE = ("benchmark_configs", "results/published", "results/speed")  # found again by fuxi_plugins/core/workspace.py


class BuildWithCatalogue(build_py):
    """Copies the folders of the catalogue to ``fuxi_plugins/catalogue``; an editable install reads the checkout's."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "fuxi_plugins", "catalogue")
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build, with files that may be gone
        for file in self._catalogue():
            copy = target / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, copy)

    def get_outputs(self, include_bytecode: int = 1) -> list[str]:
        target = Path(self.build_lib, "fuxi_plugins", "catalogue")
        return [*super().get_outputs(include_bytecode), *(str(target / file) for file in self._catalogue())]

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *map(str, self._catalogue())]  # so that they are in the sdist as well

    def _catalogue(self) -> list[Path]:
        found = (path for folder in CATALOGUE for path in sorted((ROOT / folder).rglob("*")))
        return [path.relative_to(ROOT) for path in found if path.is_file() and not path.name.startswith(".")]


setup(cmdclass={"build_py": BuildWithCatalogue})
