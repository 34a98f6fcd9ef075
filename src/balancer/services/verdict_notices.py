"""What is told of a look at a split: the verdict that it made, and that the sample ratio alarms."""

from datetime import datetime

from balancer.domain.notice import Notice, NoticeKind
from balancer.domain.split import OVER, Split
from balancer.services.report import Report
from balancer.stats.compare import Comparison
from balancer.stats.verdict import VariantVerdict


def verdict_notice(split: Split, report: Report, at: datetime) -> Notice | None:
    """Return what is told where the look of this time is the one that made the verdict; else None."""
    if split.state in OVER or report.decided_at != at.isoformat():
        return None
    verdict = report.verdict
    what = verdict.verdict.value if verdict.variant is None else f"{verdict.verdict.value} {verdict.variant}"
    metric = split.brief.primary
    return Notice(
        kind=NoticeKind.SPLIT_VERDICT,
        app=split.app,
        text=f"{split.app}: the verdict on the split {split.id} is: {what}; {verdict.reason}"
        + (" (a bandit: earning, not knowing)" if split.brief.bandit else ""),
        facts={
            "split": str(split.id),
            "name": split.brief.name,
            "metric": str(metric.name) if metric else None,
            "verdict": verdict.verdict.value,
            "variant": verdict.variant,
            "reason": verdict.reason,
            "bandit": split.brief.bandit,
            "control": report.control,
            "decided_at": report.decided_at,
            "variants": [_figures(each) for each in verdict.variants],
        },
        key=f"split.verdict {split.id} {what}",
    )


def alarm_notice(split: Split, report: Report) -> Notice | None:
    """Return what is told where a split does not get the visitors that its weights intend; else None."""
    ratio = report.sample_ratio
    if split.state in OVER or not ratio.alarm:
        return None
    return Notice(
        kind=NoticeKind.SAMPLE_RATIO_ALARM,
        app=split.app,
        text=f"{split.app}: the split {split.id} is broken: its variants do not get the visitors that the weights "
        f"intend (p = {ratio.p:.2g})",
        facts={
            "split": str(split.id),
            "p": ratio.p,
            "visitors": {each.branch: each.visitors for each in report.variants},
            "weights": {each.branch: each.share * 100 for each in report.variants},
        },
        key=f"sample_ratio.alarm {split.id}",
    )


def _figures(variant: VariantVerdict) -> dict[str, object]:
    look = variant.shown.look
    found = look.comparison if look else None
    figures: dict[str, object] = {"branch": variant.variant, "verdict": variant.verdict.value, "p": variant.shown.p}
    if look and isinstance(found, Comparison):
        figures |= {
            "visitors": look.visitors,
            "control_mean": found.control_mean,
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
        }
    return figures
