"""Which pairs of digits are decided last?

Of the 45 pairs, {first} part first, at a noise level of {highest:.2f}, and {last} part last, at {lowest:.2f}.
"""

import specent as sp

profiles = sp.open("digits_profiles.nc").sel(estimator=["path"], guidance=["unguided"])
pairs = [name for name in profiles.partition.values if "|" in name and "rest" not in name]
summary = sp.speciation(profiles.sel(partition=pairs), axis="sigma")
figure = sp.plot.pair_matrix(summary)

half = summary.half_entropy.squeeze().to_series().sort_values()
first, last = half.index[-1].replace("|", "and"), half.index[0].replace("|", "and")
highest, lowest = half.iloc[-1], half.iloc[0]
