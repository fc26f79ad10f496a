"""Labelled pictures as arrays: read from files without executing anything in them, or synthetic."""

from __future__ import annotations

from specent.images.arrays import digits as digits
from specent.images.arrays import npz as npz
from specent.images.cifar import cifar10 as cifar10
from specent.images.folders import folder as folder
from specent.images.imageset import ImageSet as ImageSet
from specent.images.shapes import shapes as shapes
from specent.images.sources import read as read

__all__ = ["ImageSet", "cifar10", "digits", "folder", "npz", "read", "shapes"]
