"""Training of networks: optimisers, loops, checkpoints, and folders of runs."""
