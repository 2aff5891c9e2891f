"""What is known of objects by identity: for as long as they live, hashable or not."""

from __future__ import annotations

from placeaudit.record.identity import ByIdentity


class Thing:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


def test_objects_that_are_equal_are_told_apart() -> None:
    known: ByIdentity[str] = ByIdentity()
    one, other = Thing(), Thing()
    known.put(one, "one")
    assert (known.get(one), known.get(other)) == ("one", None)
    known.put(one, "changed")
    assert known.get(one) == "changed"


def test_nothing_is_kept_alive() -> None:
    known: ByIdentity[int] = ByIdentity()
    for number in range(1000):
        known.put(Thing(), number)
    assert len(known) == 0


def test_what_cannot_be_referred_to_weakly_is_not_kept() -> None:
    known: ByIdentity[str] = ByIdentity()
    known.put(0.5, "number")
    assert known.get(0.5) is None
    thing = Thing()
    known.put(thing, "thing")
    known.clear()
    assert known.get(thing) is None
