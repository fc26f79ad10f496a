"""The command ``specent explore``: what cannot be served is refused in one line."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from specent import command
from specent.files import shipped_folder

EXAMPLE = shipped_folder("datasets") / "mixture_runs.nc"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.main(["explore", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("specent: ")
    assert said.err.count("\n") == 1
    return said.err


def test_what_cannot_be_opened_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing.nc" in refusal(capsys, str(tmp_path / "missing.nc"))
    damaged = tmp_path / "damaged.nc"
    shutil.copy(EXAMPLE, damaged)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    assert "damaged.nc" in refusal(capsys, str(damaged))


def test_a_port_in_use_is_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = refusal(capsys, str(EXAMPLE), "--port", str(port))
    assert f"port={port}" in text
    assert "0 for one that is free" in text
