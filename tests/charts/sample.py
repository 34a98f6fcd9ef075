"""A page with every chart, to be looked at: `python tests/charts/sample.py PAGE.html`."""

import math
import sys
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from balancer.charts.bars import bars
from balancer.charts.effect import Look, effect
from balancer.charts.forest import Row, forest
from balancer.charts.funnel import Lane, funnel
from balancer.charts.guardrails import Guardrail, Limit, Point, guardrails
from balancer.charts.histogram import histogram
from balancer.charts.numbers import axis_signed_percent, signed_percent
from balancer.charts.panels import Column, Panel
from balancer.charts.ramp import Kind, Mark, Step, ramp
from balancer.charts.shares import Phase, Span, shares
from balancer.charts.sparkline import sparkline
from balancer.charts.svg import NARROW, WIDE
from balancer.charts.tone import Tone

DAY = 86_400_000.0
BEGAN = datetime(2026, 10, 20, 8, tzinfo=UTC).timestamp() * 1000
VIENNA: tzinfo = ZoneInfo("Europe/Vienna")
LOOKS = [
    Look(at=BEGAN + day * DAY, difference=None)
    if day < 2
    else Look(
        at=BEGAN + day * DAY,
        difference=0.009 + 0.004 * math.sin(day) / day,
        low=0.009 + 0.004 * math.sin(day) / day - 0.06 / day**0.8,
        high=0.009 + 0.004 * math.sin(day) / day + 0.06 / day**0.8,
    )
    for day in range(22)
]
PHASES = [
    Phase(number=number, start=BEGAN + day * DAY, intended=(1 - part, part))
    for number, day, part in ((1, 0, 0.01), (2, 1, 0.05), (3, 3, 0.25), (4, 7, 0.5))
]


def charts(width: int) -> list[str]:
    """Return each chart once."""
    visits = [800 + 90 * (day * 7 % 5) for day in range(21)]
    part = [0.01, 0.05, 0.05, *[0.25] * 4, *[0.5] * 14]
    return [
        forest(
            "purchase",
            [
                Row(name="test", difference=0.009, low=0.002, high=0.016, tone=Tone.GOOD),
                Row(name="big-buttons", difference=-0.004, low=-0.0121, high=0.0041),
                Row(name="no-banner", difference=-0.014, low=-0.022, high=-0.006, tone=Tone.BAD),
                Row(name="wild", difference=0.003, low=-0.19, high=0.2),
                Row(name="late", difference=None, note="too few visitors are mature yet"),
            ],
            width,
            control="master",
            written=signed_percent,
            axis=axis_signed_percent,
        ),
        effect(
            "The effect of test over time",
            LOOKS,
            width,
            zone=VIENNA,
            decided=LOOKS[18].at,
            tone=Tone.GOOD,
            written=signed_percent,
            axis=axis_signed_percent,
        ),
        shares(
            "Visitors by variant",
            ["master", "test"],
            [
                Span(
                    start=BEGAN + day * DAY,
                    end=BEGAN + (day + 1) * DAY,
                    visitors=(round(n * (1 - p)), round(n * p * (1 + 0.1 * math.sin(day * 3)))),
                )
                for day, (n, p) in enumerate(zip(visits, part, strict=True))
            ],
            PHASES,
            width,
            zone=VIENNA,
        ),
        ramp(
            "The ramp of test",
            ["master", "test"],
            [
                Step(at=BEGAN + day * DAY, weights=(1 - weight, weight))
                for day, weight in ((0, 0.01), (1, 0.05), (3, 0.25), (7, 0.5))
            ],
            [
                Mark(at=BEGAN, kind=Kind.RELEASE, text="release 12"),
                Mark(at=BEGAN + 2.2 * DAY, kind=Kind.RELEASE, text="release 13"),
                Mark(at=BEGAN + 2.3 * DAY, kind=Kind.RELEASE, text="release 14"),
                Mark(at=BEGAN + 1 * DAY, kind=Kind.DECISION, text="advance"),
                Mark(at=BEGAN + 3 * DAY, kind=Kind.DECISION, text="advance"),
                Mark(at=BEGAN + 7 * DAY, kind=Kind.DECISION, text="advance"),
                Mark(at=BEGAN + 15 * DAY, kind=Kind.DECISION, text="roll back", harm=True),
            ],
            BEGAN + 20 * DAY,
            width,
            zone=VIENNA,
        ),
        guardrails(
            "Guardrails",
            [
                Guardrail(
                    name=name,
                    points=tuple(Point(at=BEGAN + 3_600_000 * h, log_e=rise * h + math.sin(h)) for h in range(30)),
                )
                for name, rise in (("errors", 0.11), ("latency", -0.05), ("refunds", 0.0))
            ],
            [Limit(e=20, text="in doubt"), Limit(e=100, text="roll back")],
            width,
            zone=VIENNA,
        ),
        bars(
            "purchase by day",
            [
                Panel(
                    name=name,
                    columns=tuple(
                        Column(
                            start=BEGAN + day * DAY,
                            end=BEGAN + (day + 1) * DAY,
                            height=scale * (10 + day * 13 % 7),
                            text=f"day {day}",
                        )
                        for day in range(21)
                    ),
                    note=f"{scale * 250} events",
                )
                for name, scale in (("master", 10), ("test", 12))
            ],
            width,
            zone=VIENNA,
        ),
        histogram(
            "Revenue of a visitor",
            [
                Panel(
                    name=name,
                    columns=tuple(
                        Column(start=b, end=b + 1, height=0.2 * math.exp(-b / 5) * (b + k), text=f"bin {b}")
                        for b in range(20)
                    ),
                    note="4,410 of 5,000 gave nothing; median 12.5",
                )
                for name, k in (("master", 1), ("test", 1.4))
            ],
            [str(b) for b in range(1, 10)] + [str(10 * b) for b in range(1, 12)],
            width,
        ),
        funnel(
            "Funnel",
            ["view", "cart", "purchase"],
            [
                Lane(name="master", visitors=10_000, reached=(9_100, 3_200, 500)),
                Lane(name="test", visitors=10_000, reached=(9_150, 3_410, 590)),
            ],
            width,
        ),
        sparkline("requests a second", [3, 4, 6, None, 5, 7, 8, 12, 11, 10]),
        effect("Nothing yet", [], width),
    ]


def page(css: str) -> str:
    """Return the page."""
    figures = "\n".join(
        f"<figure class=card>{wide}{narrow if narrow != wide else ''}</figure>"
        for wide, narrow in zip(charts(WIDE), charts(NARROW), strict=True)
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Charts</title><style>:root{{color-scheme:light dark}}body{{font-family:system-ui;margin:16px auto;"
        f"max-width:720px;padding:0 8px}}figure{{margin:0 0 40px}}{css}</style><body>{figures}</body></html>"
    )


if __name__ == "__main__":
    styles = Path(__file__).parents[2] / "src/balancer/api/pages/static"
    Path(sys.argv[1]).write_text(page("".join((styles / f"{name}.css").read_text() for name in ("balancer", "charts"))))
