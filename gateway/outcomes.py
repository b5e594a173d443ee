"""What an operation comes to, put together from what the services answer. Pure: no I/O, no user data."""

from datetime import UTC, datetime
from typing import Any, Final

from chassis.parts import MOST_WARNINGS, Refusals
from chassis.problems import FieldError, Problem, unavailable
from gateway.operations import Operation

Answers = dict[str, dict[str, Any]]  # service: what it answered

PARTS: Final = ("settings", "history", "runs", "api_keys")
NOTHING: Final = {"added": 0, "changed": 0, "unchanged": 0, "refused": 0}


def found_in(document: Refusals, plans: Answers) -> dict[str, Any]:
    """What could not be used, told once the document is read: kept with the decision, for whoever finishes it."""
    first: list[FieldError] = [{"pointer": each.pointer, "message": each.message} for each in document.first]
    told = [*first, *(warning for plan in plans.values() for warning in plan["warnings"])][:MOST_WARNINGS]
    left_out = document.counts.total() + sum(plan["warning_count"] for plan in plans.values()) - len(told)
    more: list[FieldError] = [{"pointer": "", "message": f"and {left_out} more like these"}] if left_out else []
    return {"warnings": told + more, "refused": {part: document.counts[part] for part in PARTS}}


def preview(operation: Operation, plans: Answers, found: dict[str, Any]) -> dict[str, Any]:
    """The answer to a dry run: the plan, and nothing in place."""
    return _answer(operation, plans, found) | {"restored_at": None}


def restored(operation: Operation, answers: Answers) -> dict[str, Any]:
    """What came in, in numbers, and what could not be used."""
    in_place = _gathered(answers, "restored")
    return _answer(operation, answers, operation.outcome or {}) | {
        "restored_runs": in_place["runs"],
        "restored_history": in_place["history"],
        "restored_keys": in_place["api_keys"],
        "restored_at": _now(),
        "settings": _left(answers),
    }


def undone(operation: Operation, answers: Answers) -> dict[str, Any]:
    """What is as it was before the restore, in numbers of objects, and what was written since and stays."""
    of_restore = operation.outcome or {}
    return {
        "restore_id": of_restore.get("restore_id", operation.undoes),
        "undone": _gathered(answers, "undone"),
        "stayed": _gathered(answers, "stayed"),
        "undone_at": _now(),
        "settings": _left(answers),
    }


def adopted(answers: Answers) -> dict[str, Any]:
    """What of a guest's things is the user's now, in numbers; what goes by another name there, and what stayed."""
    told = {name: [item for answer in answers.values() for item in answer[name]] for name in ("renamed", "stayed")}
    left_out = {f"{name}_count": sum(answer[f"{name}_count"] for answer in answers.values()) for name in told}
    return _gathered(answers, "moved") | told | left_out


def nothing_adopted() -> dict[str, Any]:
    return adopted({})


def failed(failure: BaseException) -> dict[str, Any]:
    """What is told of an operation that was aborted."""
    problem = failure if isinstance(failure, Problem) else given_up()
    return {"problem": {"status": problem.status, "code": problem.code, "detail": problem.detail}}


def given_up() -> Problem:
    return unavailable("restore_given_up", "This was given up before it was decided. Nothing was changed; try again.")


def without_content(outcome: dict[str, Any]) -> dict[str, Any]:
    """What may be kept of an outcome in the journal, which holds no user data: of the settings only the version."""
    return outcome | {"settings": {name: value for name, value in outcome["settings"].items() if name != "settings"}}


def refuse_empty(plans: Answers, found: dict[str, Any], forms: str) -> None:
    """Raises Problem 400 where nothing in the document is of any use."""
    counts = [counts for plan in plans.values() for counts in plan["plan"].values()]
    if not any(each["added"] + each["changed"] + each["unchanged"] for each in counts):
        detail = f"There is nothing to restore in this document. What can be restored: {forms}"
        raise Problem(400, "nothing_to_restore", detail, errors=found["warnings"])


def refuse_refusals(document: Refusals, plans: Answers, found: dict[str, Any]) -> None:
    """Raises Problem 400 where anything cannot be used: in place of what was there, a part of it is not enough."""
    number = sum(document.counts[part] for part in PARTS) + sum(plan["warning_count"] for plan in plans.values())
    if number:
        detail = f"Not all of this document can be used ({number} refused); what replaces a profile has to be whole."
        advice = "Nothing was changed. Mend it, or use mode=merge."
        raise Problem(400, "refused", f"{detail} {advice}", errors=found["warnings"])


def _answer(operation: Operation, answers: Answers, found: dict[str, Any]) -> dict[str, Any]:
    plan = {part: dict(NOTHING) for part in PARTS}
    for answer in answers.values():
        plan |= answer["plan"]
    for part, number in found.get("refused", {}).items():
        plan[part] = plan[part] | {"refused": plan[part]["refused"] + number}
    return {
        "restore_id": operation.name,
        "restored_runs": 0,
        "restored_history": 0,
        "restored_keys": 0,
        "plan": plan,
        "removed": _gathered(answers, "removed"),
        "warnings": found.get("warnings", []),
    }


def _gathered(answers: Answers, name: str) -> dict[str, int]:
    """One number for each part; a service that took no part has none."""
    return dict.fromkeys(PARTS, 0) | {
        part: number for answer in answers.values() for part, number in answer[name].items()
    }


def _left(answers: Answers) -> dict[str, Any] | None:
    """Version and times of the settings as they were left; None where they had no part in it."""
    state: dict[str, Any] | None = answers.get("settings", {}).get("state")
    return state


def _now() -> str:
    return datetime.now(UTC).isoformat()
