"""`make bench-stats`: how often the statistics are wrong, beside the tests that people use instead.

The simulations of tests/stats/test_simulations.py with ten times as many runs; seeds are fixed, so the figures come
out the same again. The last line is JSON.
"""

import argparse
import json
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from simulations.experiments import (
    AA,
    CANARIES,
    CAP,
    HEAVY,
    LARGE,
    POWER,
    UNEVEN_POWER,
    aa,
    canary,
    family,
    fixed_sample,
    heavy_tails,
    power,
    ratio,
    uneven_power,
)
from simulations.guardrails import FAULTY, SOUND, judged
from simulations.judged import RAMPS, ramp
from simulations.ramps import BETTER

# 20,000: a share of 5 % is then known to 0.3 points.
RUNS = 20_000
console = Console(width=120)


@dataclass(slots=True)
class Printed:
    """The tables, as they come, and the figures for the line of JSON."""

    runs: int
    figures: dict[str, object] = field(default_factory=dict)

    def table(self, title: str, *columns: str) -> Table:
        """Begin a table."""
        made = Table(title=title, title_justify="left", show_edge=False)
        for place, column in enumerate(columns):
            made.add_column(column, justify="right" if place else "left")
        return made

    def always_valid(self) -> None:
        """Arms that do not differ, looked at all the time."""
        table = self.table("Nothing differs: a difference shown at any look", "", "ours", "ordinary", "relative scale")
        false, naive = {}, {}
        for name, make in AA.items():
            found = aa(make, runs=self.runs, seed=1)
            false[name], naive[name] = found.ours, found.z_test
            table.add_row(name, share(found.ours), share(found.z_test), share(found.relative))
        arms = family(4, runs=self.runs, seed=2)
        table.add_row("four arms, rate 5 %, any", share(arms.ours), share(arms.z_test), "–")
        table.add_row("  each comparison at 5 %", share(arms.uncorrected), "–", "–")
        canaries = {rate: canary(rate, runs=self.runs, seed=3) for rate in CANARIES}
        for rate, beside in canaries.items():
            table.add_row(f"99 : 1, rate {rate:.1%}", share(beside.ours), share(beside.z_test), "–")
            table.add_row("  own variances only", share(beside.own_variances), "–", "–")
            table.add_row("  nor the smaller arm's gates", share(beside.unguarded), "–", "–")
        console.print(table, "")
        self.figures |= {
            "aa_false": false,
            "naive_false": naive,
            "family_false": arms.ours,
            "canary_false": {f"{rate:.1%}": found.ours for rate, found in canaries.items()},
        }

    def ramps(self) -> None:
        """Weights that change, late purchases, late visitors, rates that drift."""
        table = self.table(
            "Ramps, looked at daily", "", "gain", "loss", "estimate", "… at any look", "truth missed", "ratio alarm"
        )
        self.figures |= {"ramp_false": {}, "ramp_bias": {}, "ramp_srm_false": {}}
        for steps in RAMPS:
            name = named(steps)
            for effect in (0.0, BETTER):
                found = ramp(steps, effect, runs=self.runs, seed=4)
                table.add_row(f"[bold]{name}, {effect:+.3f}[/]")
                for label, way in (
                    ("  mature, by phases (ours)", found.ours),
                    ("  young too, by phases", found.young_too),
                    ("  thrown together", found.thrown_together),
                ):
                    extremes = f"{way.lowest:+.4f} … {way.highest:+.4f}"
                    ours = way is found.ours
                    more = (share(found.missed), share(found.ratio)) if ours else ("", "")
                    table.add_row(label, share(way.gain), share(way.loss), f"{way.estimate:+.5f}", extremes, *more)
                table.add_row("  ordinary test, all together", f"± {share(found.z_test)}")
                table.add_row("  by the phase of return", *[""] * 5, share(found.ratio_by_return))
                if effect == 0:
                    self._note("ramp_false", name, found.ours.either)
                    self._note("ramp_bias", name, found.ours.estimate)
                self._note("ramp_srm_false", f"{name}, {effect:+.3f}", found.ratio)
        console.print(table, "")

    def powers(self) -> None:
        """Gains that are there."""
        table = self.table("A gain shown", "rates", "fixed sample an arm", "fixed", "ours, × 1.8", "N*")
        self.figures["power_1_8"] = {}
        for rate, better in (*POWER, LARGE):
            needed = fixed_sample(rate, better)
            for expected in (5000, 2 * needed) if (rate, better) == LARGE else (5000,):
                found = power(rate, better, expected_visitors=expected, runs=self.runs, seed=6)
                name = f"{rate:.1%} → {better:.1%}"
                table.add_row(name, f"{needed:,}", share(found.fixed), share(found.ours), f"{expected:,}")
                self._note("power_1_8", f"{name}, N* {expected}", found.ours)
        console.print(table, "")

    def uneven_powers(self) -> None:
        """Differences that are there, at uneven weights."""
        table = self.table(
            "The true sign shown, 28 looks",
            "share, visitors, rates",
            "ours",
            "own variances only",
            "wrong sign",
        )
        self.figures["power_uneven"] = {}
        for part, visitors, rate, other in UNEVEN_POWER:
            found = uneven_power(part, visitors, rate, other, runs=self.runs, seed=9)
            name = f"{part:.0%}, {visitors:,}, {rate:.1%} → {other:.1%}"
            table.add_row(name, share(found.ours), share(found.own_variances), share(found.wrong))
            self._note("power_uneven", name, found.ours)
        console.print(table, "")

    def ratios(self) -> None:
        """Splits that give the visitors that the weights intend, and one that does not."""
        table = self.table("Sample ratio, 25,000 visitors, looked at 500 times: an alarm", "", "ours", "chi-square")
        sound, leaking = (ratio(each, runs=self.runs, seed=7) for each in (0.50, 0.48))
        table.add_row("50 : 50", share(sound.ours, 3), share(sound.chi_square))
        table.add_row("52 : 48 instead of 50 : 50", share(leaking.ours), share(leaking.chi_square))
        console.print(table, "")
        self.figures |= {"srm_false": sound.ours, "srm_found": leaking.ours, "srm_naive_false": sound.chi_square}

    def tails(self) -> None:
        """A few visitors who spend most of it."""
        table = self.table(
            "Revenue with heavy tails, a look a day: nothing differs, and a difference is shown",
            "weeks at, sigma, visitors a day",
            *("ours", "own variances only", f"… and capped at {CAP:g} %", "ordinary"),
        )
        self.figures["heavy_false"] = {}
        for steps, sigma, a_day in HEAVY:
            found = heavy_tails(steps, sigma, a_day, runs=self.runs, seed=8)
            name = f"{named(steps)}, {sigma:g}, {a_day:,}"
            shares = (found.ours, found.own_variances, found.own_capped, found.z_test)
            table.add_row(name, *(share(each) for each in shares))
            self._note("heavy_false", name, found.ours)
        console.print(table, "")

    def guardrails(self) -> None:
        """Canaries with which nothing is wrong, and some with errors."""
        self.figures |= {"guardrail_false": {}, "guardrail_found": {}, "guardrail_naive_false": {}}
        for title, canaries in (("Guardrails: nothing is wrong", SOUND), ("Guardrails: errors", FAULTY)):
            table = self.table(
                f"{title}, looked at every 50 visitors",
                "share of the canary, visitors in error",
                *("rolled back", "watched", "… by errors, 5 each", "… thrown together"),
            )
            for name, each in canaries.items():
                found = judged(each, runs=self.runs, seed=10)
                together = share(found.thrown_together) if len(each.steps) > 1 else "–"
                table.add_row(name, share(found.breached), share(found.watched), share(found.by_errors), together)
                self._note("guardrail_false" if canaries is SOUND else "guardrail_found", name, found.breached)
                if canaries is SOUND:
                    self._note("guardrail_naive_false", name, found.by_errors)
            console.print(table, "")

    def _note(self, name: str, case: str, figure: object) -> None:
        cases = self.figures[name]
        assert isinstance(cases, dict)
        cases[case] = figure


def share(part: float, digits: int = 2) -> str:
    """Return a part of 1 in percent."""
    return f"{100 * part:.{digits}f} %"


def named(steps: tuple[float, ...]) -> str:
    """Return the shares of a ramp as people write them."""
    return " → ".join(f"{100 * step:g}" for step in steps) + " %"


def main() -> None:
    """Run them all, and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=RUNS, help="of each experiment")
    printed = Printed(asked.parse_args().runs)
    began = time.monotonic()
    console.print(f"{printed.runs:,} runs each\n")
    printed.always_valid()
    printed.ramps()
    printed.powers()
    printed.uneven_powers()
    printed.ratios()
    printed.tails()
    printed.guardrails()
    print(json.dumps(printed.figures | {"runs": printed.runs, "seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    main()
