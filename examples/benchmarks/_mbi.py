"""The interpreter that has mbi runs this: noised marginals, a graphical model of them, rows drawn from it.

    python _mbi.py in.npz out.npy

`codes` has a column for the public facts of a row (label and public score, as one code), then the sensitive
ones. Shares of the public code are measured without noise. Each sensitive column's table with the public
code and that of neighbouring sensitive columns (`cliques`) have Gaussian noise of deviation `std`. Sensitive
codes are then drawn for each row, given its public code.
"""

from __future__ import annotations

import sys

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)  # as mbi asks, before it is imported
from mbi import Dataset, Domain, LinearMeasurement, estimation  # noqa: E402

# Rows drawn from the model for each row that is to get some of them.
_SURPLUS = 20
# Deviation in place of 0: shorter ones make its descent diverge.
_KNOWN = 1.0


def main(source: str, out: str) -> None:
    given = np.load(source)
    codes, sizes, std = given["codes"], given["sizes"].tolist(), float(given["std"])
    rng = np.random.default_rng(int(given["seed"]))
    names = [str(i) for i in range(len(sizes))]
    table = Dataset({n: codes[:, i] for i, n in enumerate(names)}, Domain(names, sizes))
    measured = [LinearMeasurement(table.project(("0",)).datavector(), ("0",), _KNOWN)]
    for columns in given["cliques"].tolist():
        clique = tuple(names[i] for i in columns)
        counts = np.asarray(table.project(clique).datavector())
        measured.append(LinearMeasurement(counts + rng.normal(scale=std, size=counts.shape), clique, std))
    model = estimation.MirrorDescent().estimate(table.domain, measured, known_total=len(codes), iters=1000)
    drawn = []
    for _ in range(int(given["n_draws"])):
        made = model.synthetic_data(rows=_SURPLUS * len(codes)).to_dict()
        cells = np.column_stack([made[n] for n in names])
        part = codes[:, 1:].copy()
        for value in range(sizes[0]):
            own, like = np.flatnonzero(codes[:, 0] == value), np.flatnonzero(cells[:, 0] == value)
            if len(own):
                part[own] = cells[rng.choice(like if len(like) else np.arange(len(cells)), len(own)), 1:]
        drawn.append(part)
    np.save(out, np.stack(drawn))


if __name__ == "__main__":
    main(*sys.argv[1:])
