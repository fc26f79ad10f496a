"""In which order do the digits part?

{group} leave the others first, at a noise level of {highest:.2f}; {last}, which look alike, part last, at {lowest:.2f}.
"""

import specent as sp

profiles, runs = sp.open("digits_profiles.nc"), sp.open("digits.nc")
chosen = {"estimator": "path", "guidance": "unguided"}
figure = sp.plot.tree(profiles, runs, **chosen)

forks = sp.plot.tree(profiles, runs, **chosen, data=True).sort_values("sigma")
top, bottom = forks.iloc[-1], forks.iloc[0]
group = ", ".join(min(top["first"], top["second"], key=len))
last = " and ".join(bottom["first"] + bottom["second"])
highest, lowest = top["sigma"], bottom["sigma"]
