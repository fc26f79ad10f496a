"""Are the digits a hierarchy?

Hardly: their index is {index:.2f} [{low:.2f}, {high:.2f}], that of random trees up to {random:.2f}; of {nodes} nodes
below the root {sure} are found in at least 90 % of the replicates.

A split of a clean hierarchy, whose index is 1, is all open where the one above it is half decided. Orange: a split at
more noise than the one above.
"""

import specent as sp

runs = sp.open("digits.nc")
tree = sp.tree(runs)
figure = sp.plot.tree(tree, runs)

index, low, high = (float(tree[f"hierarchy_index{end}"]) for end in ("", "_lower", "_upper"))
random = float(tree.random_index.max())
below = tree.support[:-1]
nodes, sure = below.size, int((below >= 0.9).sum()) or "none"
