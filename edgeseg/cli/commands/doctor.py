"""`edgeseg doctor`: what this machine can run."""

from __future__ import annotations

from edgeseg.cli.options import JsonFlag, print_json, say

__all__ = ["doctor"]


def doctor(*, json: JsonFlag = False) -> None:
    """Show what this machine can run and what is missing. Installs nothing.

    Example: edgeseg doctor
    """
    from edgeseg.cli.answers.doctor import describe_findings
    from edgeseg.cli.examination import examine

    findings = examine()
    for line in describe_findings(findings):
        say(line)
    say("next: edgeseg export --help")
    if json:
        print_json(findings)
