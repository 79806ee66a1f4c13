"""diffprivlib's models, in an environment of their own: it cannot be imported beside scikit-learn 1.9.

Called by the suite as ``PYTHON _diffprivlib.py IN.npz OUT.npy``; imports nothing of this library.
"""

import sys
import warnings

import numpy as np
from diffprivlib.models import LinearRegression, LogisticRegression, RandomForestClassifier

warnings.simplefilter("ignore")


def main(source, out):
    given = np.load(source)
    X, y, test, epsilon, seed = (given[k] for k in ("X", "y", "test", "epsilon", "seed"))
    bounds = (given["low"], given["high"])
    model = str(given["model"])
    common = {"epsilon": float(epsilon), "random_state": int(seed)}
    if model == "forest":
        fitted = RandomForestClassifier(bounds=bounds, classes=[0, 1], **common).fit(X, y)
    elif model == "logistic":
        fitted = LogisticRegression(data_norm=float(given["norm"]), max_iter=1000, **common).fit(X, y)
    else:
        fitted = LinearRegression(bounds_X=bounds, bounds_y=tuple(given["target"]), **common).fit(X, y)
    scores = fitted.predict(test) if model == "linear" else fitted.predict_proba(test)[:, 1]
    np.save(out, scores)


if __name__ == "__main__":
    main(*sys.argv[1:])
