"""Which digits are taken for which?

At a noise level of {level:.2f}, a {origin} that forgets its class ends as a {end} in {share:.0f} % of cases, more often
than any other digit ends as another one.

A row is the digit of the origin, a column that of the end; the null condition moves.
"""

import numpy as np

import specent as sp

turned = sp.u_turn(
    sp.models.digits(),
    schedule=sp.schedules.VE(),
    time=sp.schedules.edm_grid(32, 0.05, 20.0),
    levels=[1.37],
    samples=60,
    start="trunk",
    mover="null",
    steps=32,
    progress=False,
)
figure = sp.plot.transition_matrix(turned)

kernel = turned.kernel.squeeze()
apart = kernel.values * (1 - np.eye(kernel.sizes["side"]))
i, j = np.unravel_index(apart.argmax(), apart.shape)
level, origin, end = float(turned.sigma[0]), kernel.side.values[i], kernel.end_side.values[j]
share = 100 * apart[i, j]
