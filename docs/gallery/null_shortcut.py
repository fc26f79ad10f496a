"""How good is the null condition in place of all other classes?

With 3 classes the shortcut leaves {three:.2f} bit at the clean end, with 10 classes {ten:.2f} bit, and with 100 classes
{hundred:.2f} bit.

The null condition contains the class, so that a class against it is never decided for certain. The states are those of
mixtures, where everything else is exact.
"""

import specent as sp

profiles = sp.open("null_study.nc").sel(estimator=["exact", "shortcut"])
figure = sp.plot.entropy(profiles, axis="sigma", title="One class against the null condition")

three, ten, hundred = profiles.entropy.sel(estimator="shortcut").isel(time=0).values.flat
