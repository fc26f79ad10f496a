"""Can the posterior of a trajectory be believed?

Where a digit is given a probability of {stated:.0%}, it is the right one in {observed:.0%} of the cases, with an
interval from {lower:.0%} to {upper:.0%}.

The posterior given the path is exact for the chain that was sampled, so what lies off the diagonal is chance.
"""

import specent as sp

judged = sp.analysis.reliability(sp.open("digits.nc"), "full")
figure = sp.plot.reliability(judged, guidance="unguided")

row = sp.plot.reliability(judged, guidance="unguided", data=True).iloc[7]
stated, observed, lower, upper = row[["stated", "observed", "lower", "upper"]]
