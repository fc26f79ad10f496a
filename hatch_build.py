"""The long description of the distribution: the README with links that work outside the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# a picture with the caption under it, and any other link
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)\n\n(\*[^*]+\*\n\n)?")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)]+)\)")


class LongDescription(MetadataHookInterface):
    """Sets ``readme``, from the README, the version and the URL ``Repository`` where there is one."""

    def update(self, metadata: dict[str, Any]) -> None:
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        base = f"{repository.rstrip('/')}/raw/v{metadata['version']}" if repository else None
        metadata["readme"] = {"content-type": "text/markdown", "text": long_description(readme, base)}


def long_description(readme: str, base: str | None) -> str:
    """`readme` with absolute links below `base`; without one, relative pictures and link targets are left out."""

    def relative(target: str) -> bool:
        return "://" not in target and not target.startswith("#")

    def picture(match: re.Match[str]) -> str:
        if not relative(match[2]):
            return match[0]
        return match[0].replace(f"({match[2]})", f"({base}/{match[2]})") if base else ""

    def link(match: re.Match[str]) -> str:
        if not relative(match[2]):
            return match[0]
        return f"[{match[1]}]({base}/{match[2]})" if base else match[1]

    return _LINK.sub(link, _PICTURE.sub(picture, readme))


def get_metadata_hook() -> type[MetadataHookInterface]:
    """What hatchling asks for."""
    return LongDescription
