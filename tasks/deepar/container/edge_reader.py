"""Answers the requests of a SageMaker endpoint with an exported DeepAR model, without GluonTS and without network.

Copied into the exported folder as ``reader.py``; needs torch and numpy: ``python reader.py < request.json``.
"""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributions import NegativeBinomial, Normal, StudentT


def load(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The network as TorchScript, and what describes it: lags, scaler, likelihood, and the encoding of requests."""
    network = torch.jit.load(str(folder / "network.pt")).eval()
    return network, json.loads((folder / "edge.json").read_text(encoding="utf-8"))


def time_features(start: datetime, count: int, freq: str) -> np.ndarray:
    """Features of the calendar from -0.5 to 0.5 and the age of the series, shape (features, count)."""
    age = np.log10(2.0 + np.arange(count))
    if freq == "M":
        return np.stack([(start.month - 1 + np.arange(count)) % 12 / 11 - 0.5, age])
    days = [start + timedelta(days=number if freq == "D" else 7 * number + 6) for number in range(count)]
    day_of_month = [(day.day - 1) / 30 - 0.5 for day in days]
    if freq == "W":
        return np.stack([day_of_month, [(day.isocalendar().week - 1) / 52 - 0.5 for day in days], age])
    of_week = [day.weekday() / 6 - 0.5 for day in days]
    return np.stack([of_week, day_of_month, [(day.timetuple().tm_yday - 1) / 365 - 0.5 for day in days], age])


def tensors(one: dict[str, Any], about: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    """Categories, past target, observed periods, past and future features of a series, padded at its start."""
    target = np.array([np.nan if value in (None, "NaN") else value for value in one["target"]], dtype=np.float32)
    features = time_features(datetime.fromisoformat(one["start"]), len(target) + about["horizon"], about["freq"])
    if about["dynamic_features"]:
        features = np.concatenate([features, np.array(one["dynamic_feat"])])
    past = about["past"]
    padded = np.zeros((2 + len(features), past), dtype=np.float32)
    kept = min(past, len(target))
    known = ~np.isnan(target[-kept:])
    padded[0, past - kept :] = np.where(known, target[-kept:], 0)
    padded[1, past - kept :] = known
    padded[2:, past - kept :] = features[:, len(target) - kept : len(target)]
    cat = torch.tensor(one["cat"] if about["cardinality"] else [0])
    ahead = torch.from_numpy(features[:, len(target) :].astype(np.float32)).T
    return cat, torch.from_numpy(padded[0]), torch.from_numpy(padded[1]), torch.from_numpy(padded[2:]).T, ahead


def lagged(lags: list[int], earlier: torch.Tensor, current: torch.Tensor) -> torch.Tensor:
    """Values of earlier periods for each current period, shape (N, periods, lags)."""
    whole, length = torch.cat((earlier, current), dim=-1), current.shape[-1]
    parts = [whole[..., -lag - length : -lag if lag else None] for lag in lags]
    return torch.stack(parts, dim=-1)


def sampled(params: torch.Tensor, scale: torch.Tensor, likelihood: str) -> torch.Tensor:
    """One draw per row from the distribution that the network's parameters describe."""
    if likelihood == "negative-binomial":
        return NegativeBinomial(params[0], logits=params[1] + scale.log()).sample()
    return (StudentT(*params) if likelihood == "student-T" else Normal(*params)).sample() * scale


@torch.no_grad()  # type: ignore[untyped-decorator]
def paths(network: Any, about: dict[str, Any], instances: list[dict[str, Any]], count: int) -> np.ndarray:
    """Sample paths, shape (series, count, horizon)."""
    torch.manual_seed(about["seed"])
    parts = [torch.stack(part) for part in zip(*(tensors(one, about) for one in instances), strict=True)]
    cat, past, observed, before, ahead = parts
    context, lags = about["context"], about["lags"]
    seen = observed[:, -context:].sum(-1, keepdim=True)
    total = (past[:, -context:] * observed[:, -context:]).abs().sum(-1, keepdim=True)
    usual = total.sum() / seen.sum().clamp(min=1)
    scale = torch.where(seen > 0, total / seen.clamp(min=1), usual).clamp(min=about["least_scale"])
    static = torch.cat((network.embed(cat), torch.zeros(len(cat), 1), scale.log()), dim=-1)
    calendar = torch.cat((before[:, before.shape[1] - context + 1 :], ahead[:, :1]), dim=1)
    inputs = torch.cat((static.unsqueeze(1).expand(-1, calendar.shape[1], -1), calendar), dim=-1)
    inputs = torch.cat((lagged(lags, past[:, :-context] / scale, past[:, -context:] / scale), inputs), dim=-1)
    state = [torch.zeros(about["layers"], len(cat), about["cells"]) for _ in range(2)]
    params, *state = network.step(inputs, *state)
    scale, static, ahead, past = (part.repeat_interleave(count, 0) for part in (scale, static, ahead, past))
    state = [part.repeat_interleave(count, 1) for part in state]
    past, draw = past / scale, sampled(params[:, :, -1:].repeat_interleave(count, 1), scale, about["likelihood"])
    draws = [draw]
    for number in range(1, about["horizon"]):
        features = torch.cat((static.unsqueeze(1), ahead[:, number : number + 1]), dim=-1)
        params, *state = network.step(torch.cat((lagged(lags, past, draw / scale), features), dim=-1), *state)
        past = torch.cat((past, draw / scale), dim=1)
        draw = sampled(params, scale, about["likelihood"])
        draws.append(draw)
    found = torch.cat(draws, dim=1).reshape(-1, count, about["horizon"]).numpy()
    return np.maximum(found, 0) if about["non_negative"] else found


def answers(network: Any, about: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The answer of an endpoint to a request."""
    asked = request.get("configuration", {})
    levels, predictions = asked.get("quantiles", ["0.1", "0.5", "0.9"]), []
    for draws in paths(network, about, request["instances"], asked.get("num_samples", 100)).astype(np.float64):
        rows = np.quantile(draws, [float(level) for level in levels], axis=0)
        quantiles = {level: row.tolist() for level, row in zip(levels, rows, strict=True)}
        predictions.append({"mean": draws.mean(axis=0).tolist(), "quantiles": quantiles})
    return {"predictions": predictions}


if __name__ == "__main__":
    print(json.dumps(answers(*load(Path(__file__).parent), json.load(sys.stdin))))  # noqa: T201
