"""The cells of a split as `stats/cells.py` says them, one visitor after the other: slow, and plain to check."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from balancer.domain.entry import EXPOSURE, Entry
from balancer.stats.cells import (
    ExposedCell,
    Measure,
    MeasureCell,
    MeasureCells,
    Part,
    QuantileCell,
    SplitCells,
    SplitQuestion,
    What,
)
from balancer.stats.comoments import CoMoments

DAY = 86_400_000
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True)
class Arrived:
    """A row, and when it came, in milliseconds since 1970."""

    at: int
    row: Entry


@dataclass(frozen=True, slots=True)
class _Visitor:
    born: int
    phase: int
    variant: str
    day: int
    bucket: str | None
    events: tuple[Entry, ...]


def cells_by_hand(arrived: Sequence[Arrived], question: SplitQuestion) -> SplitCells:
    """Return what the ledger has to say of `arrived`, in the order of their arrival."""
    known = [each.row for each in _once(arrived) if each.at <= question.as_of and each.row.app == question.app]
    exposures: dict[str, list[Entry]] = {}
    for row in known:
        if row.name == EXPOSURE and row.split == question.split:
            exposures.setdefault(row.visitor, []).append(row)
    multiple = {who for who, rows in exposures.items() if len({row.variant for row in rows}) > 1}
    people: dict[str, _Visitor] = {}
    for who, rows in exposures.items():
        born, phase, variant = min((row.assigned_at, row.phase, row.variant) for row in rows)
        if who not in multiple and phase in question.phases and variant in question.variants:
            ahead = next(by for since, by in reversed(question.offsets) if born >= since or since == 0)
            told = _told(rows, question.dimension)
            events = tuple(row for row in known if row.visitor == who)
            people[who] = _Visitor(born, phase, variant, (born + ahead) // DAY, told, events)
    frequent = sorted(
        Counter(each.bucket for each in people.values() if each.bucket is not None).items(),
        key=lambda found: (-found[1], found[0]),
    )
    kept = {value for value, _ in frequent[:20]} | {None}
    visitors = [
        _Visitor(v.born, v.phase, v.variant, v.day, v.bucket if v.bucket in kept else "other", v.events)
        for v in people.values()
    ]
    counts = Counter((v.phase, v.variant, v.day, v.bucket) for v in visitors)
    return SplitCells(
        exposed=tuple(
            ExposedCell(phase=phase, variant=variant, day=day, bucket=bucket, visitors=n)
            for (phase, variant, day, bucket), n in sorted(counts.items(), key=lambda item: _order(item[0]))
        ),
        measures=tuple(_measured(visitors, measure, question) for measure in question.measures),
        multiple=len(multiple),
    )


def _once(arrived: Sequence[Arrived]) -> list[Arrived]:
    """Leave out what has an id that came within the week before, in its app."""
    seen: dict[tuple[str, str], int] = {}
    kept = []
    for each in sorted(arrived, key=lambda each: each.at):
        if each.row.id is not None:
            last = seen.get((each.row.app, each.row.id))
            if last is not None and each.at - last < WEEK:
                continue
            seen[each.row.app, each.row.id] = each.at
        kept.append(each)
    return kept


def _told(rows: Sequence[Entry], dimension: str | None) -> str | None:
    told = []
    for row in rows:
        if dimension == "release":
            value = str(row.release) if row.release is not None and not row.stood_in else None
        else:
            value = json.loads(row.dims or "{}").get(dimension)
        if value is not None:
            told.append((row.ts, value))
    return min(told)[1] if told else None


def _order(key: tuple[int, str, int, str | None]) -> tuple[int, str, int, bool, str]:
    phase, variant, day, bucket = key
    return phase, variant, day, bucket is not None, bucket or ""


def _measured(visitors: Sequence[_Visitor], measure: Measure, question: SplitQuestion) -> MeasureCells:
    cells: dict[tuple[int, str, int, str | None, bool], list[_Visitor]] = {}
    for v in visitors:
        mature = v.born + measure.until <= question.as_of
        cells.setdefault((v.phase, v.variant, v.day, v.bucket, mature), []).append(v)
    return MeasureCells(
        name=measure.name,
        cells=tuple(
            _cell(key, cells[key], measure) for key in sorted(cells, key=lambda key: (*_order(key[:4]), key[4]))
        ),
        quantiles=_quantiles(visitors, measure),
    )


def _cell(key: tuple[int, str, int, str | None, bool], members: Sequence[_Visitor], measure: Measure) -> MeasureCell:
    phase, variant, day, bucket, mature = key
    names = measure.steps or (measure.y.event,)
    reached = [_reached(v, measure) for v in members]
    if measure.steps:
        ys = [float(steps == len(measure.steps)) for steps in reached]
    else:
        ys = [_capped(_number(_inside(v, measure), measure.y), measure.cap) for v in members]
    xs = [0.0] * len(members)
    if measure.x is not None:
        xs = [_number(_inside(v, measure), measure.x) for v in members]
    elif measure.covariate and not measure.steps:
        xs = [_capped(_number(_inside(v, measure, before=True), measure.y), measure.cap) for v in members]
    return MeasureCell(
        phase=phase,
        variant=variant,
        day=day,
        bucket=bucket,
        mature=mature,
        events=sum(row.name in names for v in members for row in _inside(v, measure)),
        conversions=sum(y != 0 for y in ys),
        moments=CoMoments.of(ys, xs),
        reached=tuple(sum(steps >= step for steps in reached) for step in range(1, len(measure.steps) + 1)),
    )


def _inside(visitor: _Visitor, measure: Measure, *, before: bool = False) -> list[Entry]:
    since, until = (-measure.covariate, 0) if before else (measure.since, measure.until)
    return [
        row
        for row in visitor.events
        if visitor.born + since <= row.ts < visitor.born + until
        and (not measure.sources or row.source.value in measure.sources)
    ]


def _number(rows: Sequence[Entry], part: Part) -> float:
    values = [row.value for row in rows if row.name == part.event]
    valued = [value for value in values if value is not None]
    return float(
        {
            What.HAPPENED: bool(values),
            What.EVENTS: len(values),
            What.VALUES: sum(valued),
            What.VALUED: len(valued),
        }[part.what]
    )


def _capped(number: float, cap: float | None) -> float:
    return number if cap is None else min(max(number, -cap), cap)


def _reached(visitor: _Visitor, measure: Measure) -> int:
    """Return the most steps that some choice of events does in order: the earliest that will do is never worse."""
    rows = sorted(_inside(visitor, measure), key=lambda row: row.ts)
    last, done = None, 0
    for step in measure.steps:
        times = [row.ts for row in rows if row.name == step and (last is None or row.ts >= last)]
        if not times:
            break
        last, done = times[0], done + 1
    return done


def _quantiles(visitors: Sequence[_Visitor], measure: Measure) -> tuple[QuantileCell, ...]:
    if measure.quantile is None:
        return ()
    found = []
    for variant in sorted({v.variant for v in visitors}):
        rows = [row for v in visitors if v.variant == variant for row in _inside(v, measure)]
        values = sorted(row.value for row in rows if row.name == measure.y.event and row.value is not None)
        if values:
            place = measure.quantile * (len(values) - 1)
            low, high = dict(enumerate(pairwise([*values, values[-1]])))[int(place)]
            found.append(
                QuantileCell(variant=variant, events=len(values), value=low + (high - low) * (place - int(place)))
            )
    return tuple(found)
