"""How does a single path become sure of its class?

Of the {paths} paths that are drawn, {turned} once gave the other class more than four to one before they settled on
their own.
"""

import specent as sp

runs, chosen = sp.archive.example(), {"class_label": "dog", "sample": 2, "most": 16}
figure = sp.plot.trajectory_posteriors(runs, "cat | dog", **chosen)

least = (
    sp.plot.trajectory_posteriors(runs, "cat | dog", **chosen, data=True)
    .groupby(["class_label", "sample"])
    .posterior.min()
)
paths, turned = len(least), int((least < 0.2).sum())
