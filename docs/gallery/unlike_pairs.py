"""Do unlike classes part before like ones?

Half of the bit between 0 and 1 is decided at a noise level of {unlike:.2f}, between 3 and 8 at {like:.2f}: unlike
digits part at higher noise.

Thin dashed curves are the exact posterior of the data.
"""

import specent as sp

pairs = ["0 | 1", "3 | 8"]
profiles = sp.open("digits_profiles.nc").sel(partition=pairs, estimator=["path"], guidance=["unguided"])
exact = sp.open("digits_exact.nc").sel(partition=pairs)
figure = sp.plot.entropy([profiles, exact], axis="sigma", title="An unlike pair and a like one")

unlike, like = sp.speciation(profiles, axis="sigma").half_entropy.values.flat
