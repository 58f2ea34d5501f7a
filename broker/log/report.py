"""What a check of a log found, for people and for programs. Pure."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_FINDINGS = 1_000
_PLURALS = {
    "agency": "agency records",
    "request": "requests",
    "update": "updates",
    "revocation": "revocations",
    "refusals": "counts of refusals",
    "deletions-asked": "counts of asked deletions",
    "bundles": "entry bundles",
    "tiles": "hash tiles",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: a stable code, where (a path or `entry N`), and a sentence.

    Codes: checkpoint, missing, bundle, tile, root, fork, duplicate, backdated, and every code of `intake`.
    """

    code: str
    where: str
    message: str


@dataclass(slots=True)
class LogReport:
    """What was checked and what was found; `ok` if there is nothing to complain about."""

    origin: str = ""
    size: int = 0
    root: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    finding_count: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return self.finding_count == 0

    def add(self, code: str, where: str, message: str) -> None:
        """Note a finding; the first thousand are kept, all are counted."""
        self.finding_count += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, where, message))

    def to_json(self) -> dict[str, Any]:
        """Return the form for programs."""
        return {
            "ok": self.ok,
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "counts": dict(sorted(self.counts.items())),
            "finding_count": self.finding_count,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def to_text(self) -> str:
        """Return the form for people."""
        kinds = ", ".join(f"{count} {_PLURALS[name]}" for name, count in sorted(self.counts.items()))
        lines = [
            f"log {self.origin or '?'}: {self.size} entries, root {self.root or '?'}",
            f"checked: {kinds or 'nothing'}",
        ]
        lines += [f"  {one.code}: {one.where}: {one.message}" for one in self.findings]
        if self.finding_count > len(self.findings):
            lines.append(f"  and {self.finding_count - len(self.findings)} more")
        lines.append("nothing wrong" if self.ok else f"{self.finding_count} findings: do not trust this log")
        return "\n".join(lines)
