"""Ctrl-C that waits for native code: held back, never lost."""

from __future__ import annotations

import signal
import threading

import pytest

from tutor.interrupt import held_back


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - what comes before the interrupt is what is tested
        with held_back():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end of the block")
        reached.append("after it")
    assert reached == ["the end of the block"]


def test_without_an_interrupt_nothing_happens_and_the_handler_is_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with held_back():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_blocks_within_blocks_hand_it_outwards_once() -> None:
    with pytest.raises(KeyboardInterrupt), held_back(), held_back():
        signal.raise_signal(signal.SIGINT)


def test_an_error_in_the_block_is_followed_by_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), held_back():  # noqa: PT012 - two things happen at once
        signal.raise_signal(signal.SIGINT)
        raise ValueError


def test_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
