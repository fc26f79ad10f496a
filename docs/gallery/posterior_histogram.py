"""How sure are the paths at one noise level?

At a log-SNR of -1.8, {sure:.0%} of the paths are surer of their class than nine to one, and {wrong:.0%} lean to the
other one.
"""

import specent as sp

runs = sp.archive.example()
figure = sp.plot.posterior_histogram(runs, -1.8, "cat | dog")

table = sp.plot.posterior_histogram(runs, -1.8, "cat | dog", data=True)
sure, wrong = table[table["left"] >= 0.9]["share"].sum() / 2, table[table["right"] <= 0.5]["share"].sum() / 2
