"""The transformer that makes the hybrid view of a table."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.model_selection import KFold
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._contents import clear_padding
from .._display import ShowsShapes
from .._forked import one_thread_after_fork
from .._keywords import KnownKeywords
from .._parameters import (
    N_JOBS,
    ON_LEAK,
    SENSITIVE,
    VERBOSE,
    Anything,
    Integer,
    OneOf,
    Satisfies,
    check_parameters,
    constraints,
    shown,
)
from .._random_state import RANDOM_STATE, random_generator
from .._refit import all_or_nothing
from ..accounting._called import columns_called
from ..exceptions import InvalidInputError, callers_level
from ..tables._containers import SetOutput, replace_columns
from ..tables._domain import Domain
from ..tables._frames import as_frame, check_table
from ..tables._paired_table import PairedTable
from ..tables._schema import Selector, SensitiveSchema, resolve_schema
from ..tables._table import FrameTable
from ._backend import PREDICTIVES, Predictive
from ._chain import Chain
from ._domain_backend import DomainBackend
from ._draws import uniforms_at
from ._expected_encoding import expected_encoding
from ._imputation_quality import ImputationQuality, quality_of
from ._registry import BACKEND, make_backend


class FoundationImputer(  # type: ignore[call-arg]
    KnownKeywords,
    OneToOneFeatureMixin,
    SetOutput,
    TransformerMixin,
    ShowsShapes,
    BaseEstimator,
    auto_wrap_output_keys=None,
):
    """Impute every sensitive cell from the public columns: the hybrid view.

    Not only missing cells: each one is replaced by what can be guessed from its row's public
    columns, and from them alone (not from the label, nor from other sensitive columns). What
    does the guessing learns from public support rows, or knows beforehand, and never reads a
    sensitive cell of the training table. The hybrid view can therefore be used freely.

    Parameters
    ----------
    sensitive : dict of str to domain, list of str or column selector, default=None (every column)
        {column: domain}, such as ``{"age": Numeric(18, 90)}``, or whatever ColumnTransformer
        takes as columns. Inside an estimator of this library None means those that the estimator protects.
    support : table of shape (n_support, at least n_columns), default=None (no rows)
        Public rows: of other people than the training table's, or of people who agreed to publish theirs.
        What is learnt from them is released without noise; training rows found among them are a leak.
        It has the sensitive columns too; other columns of it are ignored.
    backend : str, backend, estimator or dict of str to estimator, default="ensemble"
        "ensemble" (linear models, trees and a Gaussian process with a pretrained kernel, averaged),
        "conditional" (the trees alone), "sentence-transformers" (a language model reads each row as a
        sentence; needs no `support`), "tabicl", "tabpfn" (tabular foundation models; need their own package
        and weights) or "domain" (no knowledge). Or a backend with parameters, as
        ``SentenceBackend(model="path")``; or a scikit-learn regressor or classifier, or a mapping
        {column: estimator}.
    strategy : {"mean", "median", "sample"}, default="mean"
        Which number of the predictive distribution is taken, column by column: its mean, its median or a
        draw. Draws hang together as in support rows, if this is "sample" in `fit`: each column is drawn given
        those before it. For categories both "mean" and "median" take the most probable one; with "mean",
        training sees the probabilities of all of them.
    output : {"hybrid", "paired"}, default="hybrid"
        A table like the one given, or a `PairedTable` of the original and the hybrid view.
    batch_size : int, default=4096
        Rows that a backend sees at a time.
    on_leak : {"warn", "raise", "ignore"}, default="warn"
        What happens when a domain has to be read off the training cells.
    n_jobs : int, default=None (1, or what the joblib backend in use has to offer)
        Batches imputed at once, through joblib (``with joblib.parallel_config(backend="dask")``).
    verbose : bool or int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState or Generator, default=None (a new one each fit)
        Seed of the backend and of the draws. A fitted imputer draws the same for the same
        table, whatever `batch_size` is.

    Attributes
    ----------
    schema_ : SensitiveSchema
        The sensitive columns and their public domains.
    backend_ : backend
        The fitted backend.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of these columns, where they have names.

    Raises
    ------
    InvalidInputError
        In `fit`, for a parameter that cannot be used or a `support` that lacks columns.
    MissingDependencyError
        In `fit`, if the backend's package or weights are absent. Nothing is downloaded.

    Notes
    -----
    A fitted imputer keeps its backend's models. Its pickle leaves `support` out: an unpickled imputer
    transforms as before, but has ``support=None`` if it is fitted again. Models can hold support rows all the
    same: the Gaussian process of the default compares new rows with them. ``backend="conditional"`` holds
    trees alone.

    References
    ----------
    L. Zeng et al., "FusionDP: Foundation Model-Assisted Differentially Private Learning for
    Partially Sensitive Features", arXiv:2511.03806.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfusiondp import FoundationImputer, Numeric
    >>> support = pd.DataFrame({"ward": ["a", "b"] * 20, "age": [25.0, 65.0, 35.0, 75.0] * 10})
    >>> imputer = FoundationImputer({"age": Numeric(18, 90)}, support=support, random_state=0)
    >>> train = pd.DataFrame({"ward": ["b", "a"], "age": [88.0, None]})
    >>> imputer.fit_transform(train).round()
      ward   age
    0    b  70.0
    1    a  30.0
    """

    _plain_values = True
    _chain: Chain | None = None

    _constraints = constraints(
        sensitive=SENSITIVE,
        support=Anything("public rows, checked when they are read"),
        backend=BACKEND,
        strategy=OneOf(("mean", "median", "sample")),
        output=OneOf(("hybrid", "paired")),
        batch_size=Integer(1),
        on_leak=ON_LEAK,
        n_jobs=N_JOBS,
        verbose=VERBOSE,
        random_state=RANDOM_STATE,
    )

    def __init__(
        self,
        sensitive: Selector = None,
        *,
        support: Any = None,
        backend: Any = "ensemble",
        strategy: str = "mean",
        output: str = "hybrid",
        batch_size: int = 4096,
        on_leak: str = "warn",
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.sensitive = sensitive
        self.support = support
        self.backend = backend
        self.strategy = strategy
        self.output = output
        self.batch_size = batch_size
        self.on_leak = on_leak
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> FoundationImputer:
        """Resolve the schema and fit the backend on the support rows.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            The training table. Its sensitive cells are not read, except where no domain is
            known (then a warning says so).
        y : ignored
            The label is never used.

        Returns
        -------
        self
        """
        check_parameters(self)
        table = FrameTable(check_table(self, X, reset=True), X)
        return self._fit_schema(
            resolve_schema(
                table,
                self.sensitive,
                support=self.support,
                on_leak=self.on_leak,
                lookup=columns_called(self, X),
            )
        )

    @one_thread_after_fork()
    def transform(self, X: Any) -> Any:
        """Replace the sensitive columns.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack sensitive columns: they are added. Those present are not read.

        Returns
        -------
        table of shape (n_rows, n_columns), or PairedTable
            With ``output="hybrid"`` a table of the kind given (or asked for by `set_output`),
            sensitive numbers as floats and categories as declared. With ``output="paired"``
            both views; sensitive columns that `X` lacks are imputed in both.
        """
        check_is_fitted(self, "backend_")
        frame = check_table(self, X, reset=False, optional=self.schema_.sensitive)
        if self.output == "paired":
            return self._pair(frame)
        imputed = self._impute_frame(frame)
        names = list(self.schema_.columns)
        return self._contain(replace_columns(X, frame, imputed, names))

    @one_thread_after_fork()
    def quality(self, n_folds: int = 5) -> ImputationQuality:
        """Judge the guesses on the support rows, each guessed by a backend that has not seen it.

        By the parameters as they are now. It costs no privacy, since support rows are public, and the time of
        `n_folds` fits (`verbose` shows their progress).

        Parameters
        ----------
        n_folds : int, default=5
            Parts of the support rows, of which each is guessed from the others.

        Returns
        -------
        ImputationQuality
            Text when printed, tables and curves in a notebook; ``plot()`` draws calibration curves. It holds
            figures, no rows.

        Raises
        ------
        InvalidInputError
            Without support rows, or with fewer than twice `n_folds`.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from skfusiondp import Categorical, FoundationImputer, Numeric
        >>> rng = np.random.default_rng(0)
        >>> lab, coin = rng.uniform(size=300), rng.choice(["heads", "tails"], 300)
        >>> support = pd.DataFrame({"lab": lab, "age": 20 + 60 * lab + rng.normal(0, 9, 300), "coin": coin})
        >>> domains = {"age": Numeric(20, 80), "coin": Categorical(["heads", "tails"])}
        >>> imputer = FoundationImputer(domains, support=support, random_state=0).fit(support)
        >>> imputer.quality().to_frame()["guessed"].to_dict()
        {'age': True, 'coin': False}
        """
        check_is_fitted(self, "backend_")
        if isinstance(n_folds, bool) or not isinstance(n_folds, numbers.Integral) or n_folds < 2:
            raise InvalidInputError(
                f"n_folds={shown(n_folds)} is no whole number of at least 2; quality judges guesses on the "
                "support rows that the imputer was given, and takes no table."
            )
        if self.support is None:
            raise InvalidInputError(
                "support=None leaves no rows to judge guesses on; fit with support rows first (a pickle of "
                "an imputer leaves the table out)."
            )
        domains = self.schema_.domains
        public, sensitive = self._split_support(self.schema_)
        if len(public) < 2 * n_folds:
            raise InvalidInputError(
                f"support has {len(public)} rows, too few for n_folds={n_folds}; give at least "
                f"{2 * n_folds} rows, or fewer folds (half as many as rows at most)."
            )
        targets = {c: d.target(sensitive[c]) for c, d in domains.items()}
        parts = list(KFold(n_folds, shuffle=True, random_state=self._seed).split(public))
        folds = []
        for some, rest in self._shown(parts, "Judging", "part"):
            backend = self._unfitted_backend()
            backend.fit(public.iloc[some], sensitive.iloc[some], domains)
            found = backend.predict(public.iloc[rest])
            guesses = {c: _checked(found, c, d, len(rest), backend) for c, d in domains.items()}
            known = {c: target[some] for c, target in targets.items()}
            folds.append((guesses, known, {c: target[rest] for c, target in targets.items()}))
        return quality_of(domains, self.schema_.public, folds)

    def _unfitted_backend(self) -> Any:
        """A backend of this imputer's kind and seed."""
        backend = make_backend(self.backend)
        parameters = backend.get_params(deep=False) if hasattr(backend, "get_params") else {}
        if "random_state" in parameters and parameters["random_state"] is None:
            backend.set_params(random_state=self._seed)
        return backend

    def _fit_schema(self, schema: SensitiveSchema, warns: bool = True) -> FoundationImputer:
        """Fit with a schema that the caller has resolved; the training table itself is not needed.

        Without support rows it `warns`, unless a fit of the same estimator has done so.
        """
        check_parameters(self)
        public, sensitive = self._split_support(schema)
        self._seed = int(random_generator(self.random_state).randint(2**31 - 1))
        backend = self._unfitted_backend()
        if self.support is None and backend.needs_support:
            if warns:
                _warn_no_knowledge(self.strategy)
            backend = DomainBackend()
        elif warns and len(public) and not schema.public:
            _warn_no_public_columns()
        self.schema_ = schema
        self.backend_ = backend.fit(public, sensitive, schema.domains)
        self._chain = None
        if self.strategy == "sample" and len(public) and len(schema.domains) > 1:
            self._chain = Chain(schema.domains).fit(self._unfitted_backend, public, sensitive)
        clear_padding([self.backend_, self._chain])
        self.n_features_in_ = len(schema.columns)
        if schema.columns != tuple(f"x{i}" for i in range(len(schema.columns))):
            self.feature_names_in_ = np.array(schema.columns, dtype=object)
        return self

    def _impute_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Impute the sensitive columns from the public columns of `frame`.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, at least n_public)
            Its other columns are not read.

        Returns
        -------
        DataFrame of shape (n_rows, n_sensitive)
            float64 for numeric columns, objects of the declared categories for categorical ones.
        """
        return self._impute(frame)[0]

    def _expected(
        self, public: pd.DataFrame, positions: np.ndarray | None = None
    ) -> Mapping[str, np.ndarray]:
        """Expected encodings of the sensitive columns, as `_impute` gives them."""
        return self._impute(public, positions)[1]

    def _impute(
        self, frame: pd.DataFrame, positions: np.ndarray | None = None
    ) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """Impute the sensitive columns, as cells and as expected encodings.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, at least n_public)
        positions : ndarray of shape (n_rows,), optional
            Where these rows stand in the table that they are part of: draws depend on it. None: they
            are the table.

        Returns
        -------
        values : DataFrame of shape (n_rows, n_sensitive)
        expected : dict of str to ndarray of shape (n_rows, width of the column's encoding)
            With ``strategy="mean"`` the mean of the encoding over the predictive distribution, which no
            cell has: a category's probabilities in place of one category, and for a number how far the
            value has come through each interval on average. Else, and where a backend gives no
            distribution of a number, the encoding of `values`.
        """
        public = frame[list(self.schema_.public)]
        uniforms = {
            c: uniforms_at([self._seed, i], len(frame), positions)
            for i, c in enumerate(self.schema_.sensitive)
        }
        done = Parallel(n_jobs=self.n_jobs)(
            delayed(self._impute_batch)(public.iloc[rows], {c: u[rows] for c, u in uniforms.items()})
            for rows in self._batches(len(frame))
        )
        cells, expected = {}, {}
        for c, domain in self.schema_.domains.items():
            values = np.concatenate([domain.restore(np.empty(0)), *(chosen[c] for chosen, _ in done)])
            cells[c] = pd.Series(values, index=frame.index, dtype=values.dtype)
            none = np.empty((0, domain.width), dtype=np.float32)
            expected[c] = np.concatenate([none, *(encoded[c] for _, encoded in done)])
        return pd.DataFrame(cells, index=frame.index), expected

    def _impute_batch(
        self, public: pd.DataFrame, uniforms: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Chosen cells and expected encodings of one batch."""
        predicted = self.backend_.predict(public)
        drawn = self._drawn_together(public, predicted, uniforms)
        values, expected = {}, {}
        for column, domain in self.schema_.domains.items():
            guess = _checked(predicted, column, domain, len(public), self.backend_)
            chosen = drawn[column] if drawn else guess.choose(self.strategy, uniforms[column])
            values[column] = domain.restore(chosen)
            mean = expected_encoding(guess, domain) if self.strategy == "mean" else None
            expected[column] = domain.encode(values[column]) if mean is None else mean
        return values, expected

    def _drawn_together(
        self, public: pd.DataFrame, predicted: Mapping[str, Predictive], uniforms: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Draws of a chain, if one was fitted and draws are asked for."""
        if self.strategy != "sample" or self._chain is None:
            return {}
        domains = self.schema_.domains

        def check(found: Mapping[str, Predictive], column: str, n: int, backend: Any) -> Predictive:
            return _checked(found, column, domains[column], n, backend or self.backend_)

        return self._chain.draw(public, predicted, uniforms, check)

    def _pair(self, frame: pd.DataFrame, positions: np.ndarray | None = None) -> PairedTable:
        """Both views of a table, of which absent sensitive columns take the imputed values."""
        names = list(self.schema_.columns)
        imputed, expected = self._impute(frame, positions)
        imputed = imputed.infer_objects()
        original = frame.copy(deep=False)
        for column in imputed.columns.difference(frame.columns):
            original[column] = imputed[column]
        hybrid = original.copy(deep=False)
        for column in imputed:
            hybrid[column] = imputed[column]
        return PairedTable(original[names], hybrid[names], self.schema_, expected)

    def _split_support(self, schema: SensitiveSchema) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the support's public and sensitive columns; no rows if there is no support."""
        public, sensitive = list(schema.public), list(schema.sensitive)
        if self.support is None:
            return pd.DataFrame(columns=public), pd.DataFrame(columns=sensitive)
        support = as_frame(self.support, "support")
        schema.require_columns(support)
        if not len(support):
            raise InvalidInputError(
                "support has no rows; give public rows, or support=None to impute without any."
            )
        return support[public], support[sensitive]

    def _batches(self, n: int) -> Any:
        starts = self._shown(range(0, n, self.batch_size), "Imputing", "batch")
        return (slice(start, min(start + self.batch_size, n)) for start in starts)

    def _shown(self, steps: Any, doing: str, unit: str) -> Any:
        """Steps, behind a progress bar if one is wanted."""
        if not self.verbose:
            return steps
        from tqdm.auto import tqdm

        return tqdm(steps, desc=doing, unit=unit)

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        if "backend_" in state:
            # The fitted backend is enough; what it holds of these rows, docs/imputers.md says.
            state["support"] = None
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _warn_no_knowledge(strategy: str) -> None:
    guess = (
        "every sensitive cell is imputed by a uniform draw from its domain"
        if strategy == "sample"
        else "every sensitive number is imputed by the centre of its domain, and every category by the first "
        "declared one"
    )
    warnings.warn(
        f"No support rows, so nothing to impute from: {guess}. Give public rows as support= (of other "
        "people, or of people who agreed to publish theirs), or live with a less accurate model: the privacy "
        "guarantee does not depend on it.",
        UserWarning,
        stacklevel=callers_level(),
    )


def _warn_no_public_columns() -> None:
    warnings.warn(
        "No public column reaches the imputer, so all cells of a sensitive column are imputed alike, as "
        "support rows have it on the whole. Hand the public columns on with the sensitive ones (in a "
        "ColumnTransformer, name all of them for the imputer).",
        UserWarning,
        stacklevel=callers_level(),
    )


def _checked(
    predicted: Mapping[str, Predictive], column: str, domain: Domain, n: int, backend: Any
) -> Predictive:
    """Return a column's predictive distribution, or say what is wrong with the backend."""
    guess = predicted.get(column)
    kind = PREDICTIVES[domain.task]
    if guess is None or not isinstance(guess, kind):
        raise InvalidInputError(
            f"The backend {backend!r} returned {type(guess).__name__} for the sensitive column "
            f"{column!r}; a backend's predict returns {{column: {kind.__name__}}}."
        )
    if len(guess) != n:
        raise InvalidInputError(
            f"The backend {backend!r} returned {len(guess)} predictions for {n} rows of {column!r}; "
            "its predict must return one a row."
        )
    return guess


IMPUTER = Satisfies(
    lambda imputer: isinstance(imputer, FoundationImputer),
    "a FoundationImputer",
    none=True,
    says="is no FoundationImputer",
    remedy="wrap a scikit-learn model as FoundationImputer(backend=model, support=...)",
)
