"""Which digits are decided first?

{first} is told from the rest at the highest noise, half of the bit at a level of {highest:.2f}, and {last} at the
lowest, {lowest:.2f}.

Bars reach from 60 % to 40 % of the first entropy.
"""

import specent as sp

profiles = sp.open("digits_profiles.nc").sel(estimator=["path"], guidance=["unguided"])
rest = [name for name in profiles.partition.values if name.endswith("| rest")]
summary = sp.speciation(profiles.sel(partition=rest), axis="sigma")
figure = sp.plot.windows(summary, title="Which digits are decided first?")

half = summary.half_entropy.squeeze().to_series().sort_values()
first, last = half.index[-1].split()[0], half.index[0].split()[0]
highest, lowest = half.iloc[-1], half.iloc[0]
