"""How does a single trajectory decide between 3 and 8?

Half of the trajectories are surer of their side than nine to one from a noise level of {half:.2f} on, and nine in ten
of them from {most:.2f} on.

Most trajectories stay undecided for a long way and then run to 1 within a few steps, some of them through the other
side.
"""

import specent as sp

runs = sp.open("digits.nc").sel(guidance=["unguided"])
figure = sp.plot.posteriors(runs, "3 | 8")

quantiles = sp.analysis.posterior_quantiles(runs, "3 | 8", [0.5, 0.1]).posterior_quantile.squeeze()
half, most = (line.time.where(line >= 0.9).max().item() for line in quantiles)
