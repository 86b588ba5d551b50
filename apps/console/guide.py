"""What the style guide shows."""

from typing import Any

from apps.console.actions import Action
from apps.console.words import State

STATES = [
    State("healthy", "Running"),
    State("progress", "ContainerCreating"),
    State("pending", "Pending", "0/1 nodes are available"),
    State("failed", "CrashLoopBackOff"),
    State("leaving", "Terminating"),
    State("done", "Completed"),
    State("unknown", "Unknown"),
]


def context() -> dict[str, Any]:
    """States, buttons, and the two themes."""
    return {
        "states": STATES,
        "sample_action": Action("Restart", "GET", "/livez", icon="refresh-cw", done="Done"),
        "refused_action": Action(
            "Restart", "GET", "/livez", icon="refresh-cw", reason="Your role may look at this, not change it."
        ),
        "danger_action": Action(
            "Delete",
            "GET",
            "/livez",
            icon="trash-2",
            confirm="Delete the deployment web?",
            confirm_text="Its replica sets and pods go with it.",
            danger=True,
        ),
    }
