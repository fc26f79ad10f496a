"""What recipes share: shipped files, settings and printed tables."""
