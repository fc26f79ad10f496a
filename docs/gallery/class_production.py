"""How do the digits differ in what guidance does?

Guidance of scale 2 decides {moved} of 10 digits at higher noise; the median of their half-entropy noise levels
rises from {unguided:.2f} to {guided:.2f}.

Each digit is put against the rest: median and quartiles of the rate over the ten digits.
"""

import specent as sp

profiles = sp.open("digits_profiles.nc")
profiles = profiles.sel(partition=[name for name in profiles.partition.values if name.endswith("| rest")])
figure = sp.plot.class_production(profiles)

half = sp.speciation(profiles.sel(estimator=["path"]), axis="sigma").half_entropy.squeeze()
moved = int((half.sel(guidance="w=2") > half.sel(guidance="unguided")).sum())
unguided, guided = half.median("partition").values
