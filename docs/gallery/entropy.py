"""When is each digit decided?

Half of "which digit?" is decided at a noise level of {unguided:.2f}, where the data themselves have it at {data:.2f};
guidance of scale 2 decides it at {guided:.2f}.

The curve of the trained network runs along the exact posterior of its data, and that of guided trajectories falls
earlier in generation. Bands are 95 % intervals.
"""

import specent as sp

profiles, exact = sp.open("digits_profiles.nc"), sp.open("digits_exact.nc")
full, exact = profiles.sel(partition=["full"], estimator=["path"]), exact.sel(partition=["full"])
figure = sp.plot.entropy([full, exact], axis="sigma", title="When is each digit decided?")

unguided, guided = sp.speciation(full, axis="sigma").half_entropy.values.flat
data = sp.speciation(exact, axis="sigma").half_entropy.item()
