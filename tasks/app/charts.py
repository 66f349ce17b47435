"""Charts in the colors of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc

from tasks.app.language import AppLanguage
from tasks.report.drawing import COLORS

__all__ = ["COLORS", "figure", "graph", "level_band"]

HEIGHT = 330
_MARKS = {"en": ".,", "es": ",."}


def figure(say: AppLanguage, axis: str) -> Any:
    """Return an empty figure with a title of the vertical axis."""
    import plotly.graph_objects as go

    return go.Figure(
        layout={
            "margin": {"l": 50, "r": 10, "t": 10, "b": 30},
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": COLORS["ink"]},
            "plot_bgcolor": "#fff",
            "paper_bgcolor": "#fff",
            "hovermode": "x unified",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {"gridcolor": COLORS["line"], "zeroline": False},
            "yaxis": {"gridcolor": COLORS["line"], "rangemode": "tozero", "title": axis, "zeroline": False},
            "separators": _MARKS[say.code],
        }
    )


def graph(drawn: Any, height: int = HEIGHT) -> Any:
    """Return a figure as a part of a page."""
    drawn.update_layout(height=height)
    return dcc.Graph(
        figure=drawn, config={"displayModeBar": False, "responsive": True}, style={"height": f"{height}px"}
    )


def level_band(columns: Sequence[str]) -> tuple[str, str]:
    """Return the outermost quantile columns; empty texts if fewer than two.

    >>> level_band(["date", "mean", "q0.5", "q0.1", "q0.9"])
    ('q0.1', 'q0.9')
    """
    levels = sorted((float(name[1:]), name) for name in columns if name.startswith("q0."))
    return (levels[0][1], levels[-1][1]) if len(levels) > 1 else ("", "")
