"""Names of jobs, and the limit on jobs side by side."""

from __future__ import annotations

import re
import threading

from hypothesis import given
from hypothesis import strategies as st

from tasks.deepar.sagemaker.names import LONGEST_NAME, LONGEST_TUNING_NAME, digest, work_name
from tasks.deepar.sagemaker.requests import plain_number
from tasks.deepar.sagemaker.slots import Slots

ALLOWED = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


@given(
    name=st.text(max_size=80),
    purpose=st.text(alphabet="abcdefgh-123", min_size=1, max_size=40),
    longest=st.sampled_from([LONGEST_NAME, LONGEST_TUNING_NAME]),
    attempt=st.integers(1, 99),
)
def test_any_settings_name_gives_a_name_that_sagemaker_takes(
    name: str, purpose: str, longest: int, attempt: int
) -> None:
    job = work_name(name, purpose, {"seed": 7}, longest).attempt(attempt)
    assert len(job) <= longest
    assert ALLOWED.fullmatch(job)
    assert job.endswith(f"-{digest({'seed': 7})}-{attempt}")


def test_a_long_name_makes_room_for_the_purpose() -> None:
    job = work_name("a very long name of a company with many brands", "original-negative-binomial", {})
    assert re.fullmatch(r"a-very-long-name-of-original-negative-binomial-[0-9a-f]{12}", job.stem)


def test_a_checksum_follows_from_the_content_alone() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1, "b": [2, 3]}) != digest({"a": 1, "b": [3, 2]})


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_a_number_is_text_without_an_exponent_and_the_same_number(value: float) -> None:
    assert "e" not in plain_number(value).lower()
    assert float(plain_number(value)) == value


def test_two_jobs_that_want_all_slots_do_not_block_each_other() -> None:
    slots = Slots(3)
    most = [0, 0]
    lock = threading.Lock()

    def work(wanted: int) -> None:
        for _ in range(50):
            with slots.taken(wanted):
                with lock:
                    most[0] += min(wanted, 3)
                    most[1] = max(most[1], most[0])
                with lock:
                    most[0] -= min(wanted, 3)

    threads = [threading.Thread(target=work, args=(wanted,)) for wanted in (3, 9, 2, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [0, 3]
