"""What does a noisy digit tell?

A noisy picture tells {noisy:.2f} bit of its digit at a noise level of 10, and {clear:.2f} of the {every:.2f} bits at
one of 0.5.
"""

import specent as sp

profiles, exact = sp.open("digits_profiles.nc"), sp.open("digits_exact.nc")
full = profiles.sel(partition=["full"], estimator=["path"], guidance=["unguided"])
figure = sp.plot.mutual_information([full, exact.sel(partition=["full"])], title="What does a noisy digit tell?")

told = full.mutual_information.squeeze()
noisy, clear = told.interp(time=[10, 0.5]).values
every = told.max().item()
