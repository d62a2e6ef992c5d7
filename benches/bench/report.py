"""The one table: what was measured, beside its reference of the same run, and whether the target is met."""

from statistics import median


def ratio(ours, theirs):
    """Median of the ratios round by round: the machine's slow minutes slow both."""
    return median(our / their for our, their in zip(ours, theirs))


def number(value):
    """Three figures that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


class Report:
    """Rows gathered part by part."""

    def __init__(self):
        self.rows, self.notes = [], []

    def beside(self, part, what, unit, ours, name, theirs, at_least=None, at_most=None):
        """Values of all rounds beside those of a reference. The target, if any, is for the ratio."""
        quotient = ratio(ours, theirs)
        target, verdict = judged(quotient, at_least, at_most, "")
        their = f"{name}: {number(median(theirs))}"
        self.rows.append((part, what, f"{number(median(ours))} {unit}", their, f"{quotient:.2f}", target, verdict))

    def alone(self, part, what, unit, values, at_least=None, at_most=None):
        """Values of all rounds with no reference. The target, if any, is for the value."""
        target, verdict = judged(median(values), at_least, at_most, f" {unit}")
        self.rows.append((part, what, f"{number(median(values))} {unit}", "–", "–", target, verdict))

    def note(self, text):
        """A line below the table."""
        self.notes.append(text)

    def markdown(self):
        """The table and its notes."""
        head = ("part", "what", "tidings", "reference", "ratio", "target", "met")
        lines = [head, ("---",) * len(head), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return table + "\n\n" + "\n".join(f"- {note}" for note in self.notes) + "\n"


def judged(value, at_least, at_most, unit):
    """The target in words, and whether `value` meets it."""
    if at_least is not None:
        return f"≥ {at_least}{unit}", "yes" if value >= at_least else "**no**"
    if at_most is not None:
        return f"≤ {at_most}{unit}", "yes" if value <= at_most else "**no**"
    return "–", "–"
