"""EDM2 networks of ImageNet (arXiv 2312.02696): an implementation of its own, and readers of the published files."""
