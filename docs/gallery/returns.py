"""Does a trajectory do as its posterior says?

At a noise level of {level:.2f}, {counted:.2f} [{low:.2f}, {high:.2f}] of the continuations that the null condition
moves return to their digit; the posterior predicts {predicted:.2f}.

Trajectories of the model stop, forget their class, and go on with fresh noise. The lowest line is how often a guess is
right.
"""

import specent as sp

turned = sp.u_turn(
    sp.models.digits(),
    schedule=sp.schedules.VE(),
    time=sp.schedules.edm_grid(32, 0.05, 20.0),
    levels=[0.6, 0.8, 1.03, 1.37, 1.8],
    samples=40,
    start="trunk",
    mover=("null", "mixture", "class"),
    steps=(8, 16),
    progress=False,
)
figure = sp.plot.returns(turned)

there = turned.sel(mover="null").sel(time=1.03, method="nearest")
level, predicted = float(there.sigma), float(there.posterior_phi)
counted, low, high = (float(there[name]) for name in ("phi", "phi_lower", "phi_upper"))
