"""The floor as pictures: time and status frozen, a moment after something happened."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult

from gridbot.tui.factory.widget import FactoryView
from tests.tui.pictures import status

from .scenes import happen, scene


class Hall(App[None]):
    """Nothing but a floor."""

    CSS = "FactoryView { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(ansi_color=True)
        self.time = 10.0
        self.floor = FactoryView(depth="truecolor", clock=lambda: self.time)

    def compose(self) -> ComposeResult:
        yield self.floor


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("count", [12, 84])
def test_the_factory_looks_as_drawn(
    size: tuple[int, int], count: int, snap_compare: Callable[..., bool]
) -> None:
    async def moment(pilot: Any) -> None:
        hall = pilot.app
        hall.floor.show(scene(status(count)))
        told = happen("cycle_closed", "exit_filled", "orphaned", number=8, net="0.61", side="sell")
        hall.floor.show(scene(status(count), selected=8, drawer=count == 12), told)
        for _ in range(20):
            hall.time += 0.05
            hall.floor.step()
        hall.floor.refresh()
        await pilot.pause()

    assert snap_compare(Hall(), terminal_size=size, run_before=moment)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("count", [12, 84])
def test_bauhaus_looks_as_drawn(
    size: tuple[int, int], count: int, snap_compare: Callable[..., bool]
) -> None:
    async def moment(pilot: Any) -> None:
        hall = pilot.app
        hall.floor.toggle()
        hall.floor.show(scene(status(count)))
        told = happen("cycle_closed", number=8, net="0.61")
        hall.floor.show(scene(status(count), selected=8), told)
        for _ in range(14):
            hall.time += 0.05
            hall.floor.step()
        hall.floor.refresh()
        await pilot.pause()

    assert snap_compare(Hall(), terminal_size=size, run_before=moment)


@pytest.mark.parametrize("state", ["paused", "halted", "gone", "waiting"])
def test_a_stopped_factory_looks_as_drawn(state: str, snap_compare: Callable[..., bool]) -> None:
    async def moment(pilot: Any) -> None:
        picture = None if state == "waiting" else status(24)
        pilot.app.floor.show(scene(picture, state=state))
        pilot.app.floor.refresh()
        await pilot.pause()

    assert snap_compare(Hall(), terminal_size=(100, 30), run_before=moment)
