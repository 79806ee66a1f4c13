"""Everything that a fit lets anybody see, and where two fits differ in it."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from skfusiondp import DataHolderWarning
from skfusiondp.persistence import save
from skfusiondp.privacy import _release
from skfusiondp.privacy._noise import GaussianNoise


class Pinned:
    """Noised sums that are the same whatever was summed: the one thing that neighbours may differ in.

    Each release of a fit gets numbers that depend on how many came before it and on its shape. Two fits on
    neighbouring tables then have nothing left to differ in, if the noised sums are all that reads a cell.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[bytes] = []

    def numbers(self, total: Any, std: float) -> np.ndarray:
        self.count += 1
        self.sums.append(np.asarray(total).tobytes())
        return std * np.random.default_rng(self.count).standard_normal(np.shape(total))

    def noised(self, noise: GaussianNoise, total: torch.Tensor) -> torch.Tensor:
        numbers = self.numbers(total.detach().cpu().numpy(), float(noise.std))
        return torch.as_tensor(numbers).to(dtype=total.dtype, device=total.device)

    def released(self, total: Any, std: float, bits: Any) -> np.ndarray:
        return np.rint(self.numbers(total, std)).astype(np.int64)


@contextlib.contextmanager
def pinned() -> Iterator[Pinned]:
    """Every place that adds noise to a sum gives out pinned numbers."""
    pin = Pinned()
    places: list[tuple[Any, str, Any]] = [
        (GaussianNoise, "add_to", lambda self, total: pin.noised(self, total))
    ]
    for module in [m for name, m in sys.modules.items() if name.startswith("skfusiondp.")]:
        if vars(module).get("release") is _release.release:
            places.append((module, "release", pin.released))
    before = [(where, name, vars(where)[name]) for where, name, _ in places]
    for where, name, own in places:
        setattr(where, name, own)
    try:
        yield pin
    finally:
        for where, name, sound in before:
            setattr(where, name, sound)


class Outcome:
    """What came out of one fit.

    Attributes
    ----------
    released : dict of str to object
        What anybody can see of it: the refusal or the model in each form in which it leaves.
    model : estimator or None
        To say where a difference lies.
    sums : list of bytes
        What was to be noised, to see that a change was felt at all.
    """

    def __init__(self) -> None:
        self.released: dict[str, Any] = {}
        self.model: Any = None
        self.sums: list[bytes] = []


def outcome(
    make: Callable[[], Any],
    X: Any,
    y: Any,
    forget: Callable[[Any], None] | None = None,
    *,
    released: bool = True,
) -> Outcome:
    """Fit what `make` makes with pinned noise; keep all that is released.

    Parameters
    ----------
    make : callable
        Gives an unfitted estimator, the same each time.
    X, y : the table and the target
    forget : callable, optional
        Takes out of the fitted estimator what another library puts there by design.
    released : bool
        Whether the model in each form in which it is released is asked for, which takes as long as the fit.
    """
    found = Outcome()
    out = found.released
    with pinned() as pin, warnings.catch_warnings(record=True) as heard, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        model = make()
        try:
            model.fit(X, y)
        except Exception as error:
            out["refusal"] = f"{type(error).__name__}: {error}"
        else:
            if forget is not None:
                forget(model)
            found.model = model
            if released:
                out |= _forms(model)
        out["ledger after the fit"] = repr(getattr(model, "ledger_", None))
        out["budget"] = repr(_spent(model))
    # When the collector closes a file is no matter of the table's; data holders' warnings are not released.
    aside = (ResourceWarning, DataHolderWarning)
    told = [w for w in heard if not issubclass(w.category, aside)]
    out["warnings"] = [f"{w.category.__name__}: {w.message}" for w in told]
    found.sums = pin.sums
    return found


def _forms(model: Any) -> dict[str, Any]:
    """A fitted model in each form in which it is released."""
    forms: dict[str, Any] = {"pickle": pickled(model), "repr": repr(model)}
    # scikit-learn numbers the diagrams that a process has drawn.
    forms["HTML"] = re.sub(
        r"sk-(container|estimator)-id-\d+", "", getattr(model, "_repr_html_", lambda: "")()
    )
    if callable(getattr(model, "privacy_report", None)):
        report = model.privacy_report()
        forms |= {
            "report": str(report),
            "report's HTML": report._repr_html_(),
            "report's JSON": report.to_json(),
        }
    for name in ("epsilon_", "delta_", "ledger_"):
        forms[name] = repr(getattr(model, name, None))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        try:
            save(model, path)
        except Exception as error:
            forms["file"] = f"{type(error).__name__}: {error}"
        else:
            forms |= {f"file {name}": data for name, data in _parts(path.read_bytes()).items()}
    return forms


def pickled(model: Any) -> bytes:
    """A pickle without addresses, by which torch names parts of tensors: equal models give equal ones."""

    def storage(value: Any) -> tuple:
        file = io.BytesIO()
        torch.save(value, file)
        return torch.storage._load_from_bytes, (file.getvalue(),)

    plain = torch.storage.TypedStorage.__reduce__
    torch.storage.TypedStorage.__reduce__ = storage
    try:
        return pickle.dumps(model)
    finally:
        torch.storage.TypedStorage.__reduce__ = plain


def _parts(archive: bytes) -> dict[str, bytes]:
    """Names and bytes of the parts of a saved model; an archive also says when they were written.

    skops, whose archive is one of the parts, names parts by the addresses at which objects lay: here they
    are counted instead.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    for name in [n for n, data in parts.items() if zipfile.is_zipfile(io.BytesIO(data))]:
        if name.endswith(".skops"):
            parts |= {f"{name}/{inner}": data for inner, data in _parts(parts.pop(name)).items()}
    schema = parts.get("schema.json")
    if schema is None:
        return parts
    addresses = dict.fromkeys(re.findall(r'"__id__": (\d+)', schema.decode()))
    counted = {a: f"object {i}" for i, a in enumerate(addresses)}
    numbers = re.compile(r"\d{9,}")
    replaced = numbers.sub(lambda found: counted.get(found[0], found[0]), schema.decode())
    inside = {
        numbers.sub(lambda f: counted.get(f[0], f[0]), n): d for n, d in parts.items() if n != "schema.json"
    }
    return {"schema.json": replaced.encode(), **dict(sorted(inside.items()))}


def _spent(model: Any) -> Any:
    budget = getattr(model, "budget", None)
    return getattr(budget, "spent", None)


def differences(one: Outcome, other: Outcome) -> list[str]:
    """Which of the released things differ, and at which attributes of the model; empty if none does."""
    names = [n for n in {**one.released, **other.released} if one.released.get(n) != other.released.get(n)]
    if not names:
        return []
    found = [f"{n}: {_short(one.released.get(n))} | {_short(other.released.get(n))}" for n in names]
    if one.model is not None and other.model is not None:
        # What was pickled, not what is in memory: a pickle may leave something out.
        pair = [pickle.loads(o.released["pickle"]) for o in (one, other)]
        found += [f"at {path}" for path in paths(*pair)]
    return found


def paths(one: Any, other: Any, where: str = "model", seen: set | None = None) -> list[str]:
    """Attributes, items and elements in which two objects differ, by the way to them."""
    seen = set() if seen is None else seen
    if id(one) in seen:
        return []
    if type(one) is not type(other):
        return [f"{where}: {type(one).__name__} against {type(other).__name__}"]
    unlike = [f"{where}: {_short(one)} against {_short(other)}"]
    if isinstance(one, torch.Tensor):
        one, other = one.detach().numpy(), other.detach().numpy()
    if isinstance(one, np.ndarray) and one.dtype != object:
        same = one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        return [] if same else unlike
    if isinstance(one, pd.DataFrame | pd.Series | pd.Index):
        return [] if pickle.dumps(one) == pickle.dumps(other) else unlike
    if isinstance(one, set | frozenset):
        return [] if sorted(map(repr, one)) == sorted(map(repr, other)) else unlike
    if isinstance(one, str | bytes | int | float | complex | bool | type(None) | type):
        return [] if repr(one) == repr(other) else unlike
    seen.add(id(one))
    pairs: list[tuple[str, Any, Any]]
    if isinstance(one, Mapping):
        if list(map(repr, one)) != list(map(repr, other)):
            return [f"{where}: keys {_short(list(one))} against {_short(list(other))}"]
        both = zip(one.values(), other.values(), strict=True)
        pairs = [(f"[{k!r}]", a, b) for k, (a, b) in zip(one, both, strict=True)]
    elif isinstance(one, list | tuple | np.ndarray):
        items = [o.ravel().tolist() if isinstance(o, np.ndarray) else o for o in (one, other)]
        if len(items[0]) != len(items[1]):
            return [f"{where}: {len(items[0])} items against {len(items[1])}"]
        pairs = [(f"[{i}]", a, b) for i, (a, b) in enumerate(zip(*items, strict=True))]
    else:
        inside = [vars(o) if hasattr(o, "__dict__") else _slots(o) for o in (one, other)]
        if not inside[0] and _bytes(one) != _bytes(other):
            return unlike
        if list(inside[0]) != list(inside[1]):
            return [f"{where}: attributes {sorted(set(inside[0]) ^ set(inside[1])) or 'in another order'}"]
        pairs = [(f".{name}", a, inside[1][name]) for name, a in inside[0].items()]
    return [p for step, a, b in pairs for p in paths(a, b, f"{where}{step}", seen)]


def _bytes(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception:  # a lock, a file: nothing that is released
        return type(value).__name__.encode()


def _slots(value: Any) -> dict[str, Any]:
    names = [n for kind in type(value).__mro__ for n in getattr(kind, "__slots__", ())]
    return {n: getattr(value, n) for n in names if hasattr(value, n)}


def _short(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 160 else f"{text[:120]} … {text[-30:]}"
