"""The shipped model of the digits: its null condition does not move as its classes and their posterior would."""

import numpy as np
import xarray as xr

import specent as sp

# noise levels 1.03 and 1.37: phi of the exact data, of the posterior given the path, and of two movers, each measured
# elsewhere on 1000 trajectories, with a standard error of .013
KNOWN = {"data": [0.789, 0.582], "path": [0.765, 0.572], "null": [0.717, 0.544], "mixture": [0.779, 0.594]}
ERROR = 0.013


def standard_error(turned: xr.Dataset, name: str) -> xr.DataArray:
    """From the interval of nominally 95 %."""
    error: xr.DataArray = (turned[f"{name}_upper"] - turned[f"{name}_lower"]) / (2 * 1.96)
    return error


def test_exact_path_null_and_mixture_have_the_phi_and_the_order_that_are_known() -> None:
    images, labels = sp.models.digits_data()
    data = sp.models.finite(images, labels)
    options = {
        "data": data, "schedule": sp.schedules.VE(), "time": sp.schedules.edm_grid(64), "levels": [1.03, 1.37],
        "progress": False,
    }  # fmt: skip
    turned = sp.u_turn(
        sp.models.digits(), start="trunk", samples=25, steps=32, mover=("null", "mixture"), **options
    )  # fmt: skip
    # of this only the prediction is looked at
    exact = sp.u_turn(data, samples=100, steps=2, mover="class", **options)
    found = {
        "data": (exact.posterior_phi, standard_error(exact, "posterior_phi")),
        "path": (turned.posterior_phi, standard_error(turned, "posterior_phi")),
        **{
            name: (turned.phi.sel(mover=name), turned.phi_standard_error.sel(mover=name))
            for name in turned.mover.values
        },
    }
    for name, (phi, error) in found.items():
        assert (abs(phi - KNOWN[name]) < 4 * np.hypot(error, ERROR)).all(), name
    low = {name: float(phi.isel(time=0)) for name, (phi, _) in found.items()}
    assert low["null"] < low["path"] < low["data"]
    assert low["null"] < low["mixture"]
    # who moves by the classes comes back as the posterior says
    gap = turned.sel(mover="mixture")
    assert (abs(gap.disagreement) < 4 * gap.disagreement_standard_error).all()
    assert float(turned.disagreement.sel(mover="null").isel(time=0)) < 0
