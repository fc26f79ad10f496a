"""Archives: datasets of the contract as single netCDF-4 files, whole or not there.

A writer that dies half-way leaves a netCDF-4 file that opens without error and lacks variables, and a flipped bit in
the structure of an HDF5 file may show as anything from wrong numbers to a crash of the library. So a file is written
under a temporary name, read back, and only then renamed; and its last line is a *seal*, the SHA-256 of all bytes
before it. HDF5 ignores what follows its own end, so any netCDF-4 or HDF5 program reads a sealed file, and `open` checks
the seal before the library sees a byte. A file without a seal was cut short, altered, or written by
another program; `open` reads it with ``verify=False`` only.
"""

from __future__ import annotations

from specent.archive.describing import describe
from specent.archive.merging import merge
from specent.archive.opening import example, open, validate
from specent.archive.status import RunStatus, status
from specent.archive.writing import check_output, write

__all__ = ["RunStatus", "check_output", "describe", "example", "merge", "open", "status", "validate", "write"]
