"""The lines of the spool: what is written is read, and anything else is one line that is none."""

from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.entry import NO_APP, Batch, Entry, Reason
from balancer.domain.event import EventSource
from balancer.domain.sent import SentBatch, SentEvent
from balancer.store.spool_lines import line_of, read_line
from edge_lines import visitor


def read(line: bytes) -> Batch:
    batch = Batch()
    read_line(line, batch)
    return batch


def test_a_batch_is_one_line_and_is_read_as_it_was_written() -> None:
    sent = SentEvent(visitor(1), 17, "purchase", 19.99, "order-17", '{"plan":"a\\"\\nb"}')
    line = line_of(SentBatch("shop", [sent] * 3, {Reason.VALUE: 2, Reason.TIME: 1}))
    assert line.count(b"\n") == 1
    batch = read(line[:-1])
    assert batch.all_entries() == [
        Entry(
            "shop", None, "", 0, visitor(1), 0, 17, "purchase", 19.99, "order-17", EventSource.API, None, False,
            '{"plan":"a\\"\\nb"}',
        )
    ] * 3  # fmt: skip
    assert dict(batch.refused) == {("shop", Reason.VALUE): 2, ("shop", Reason.TIME): 1}


@given(cut=st.integers(0, 100), junk=st.binary(max_size=30))
def test_whatever_the_bytes_are_nothing_is_raised_and_nothing_is_half_in(cut: int, junk: bytes) -> None:
    whole = line_of(SentBatch("shop", [SentEvent(visitor(1), 17, "a", None, None, None)], {}))[:-1]
    line = whole[:cut] + junk + whole[cut:]
    batch = read(line)
    if not batch.all_entries():
        assert dict(batch.refused) in ({(NO_APP, Reason.NOT_A_LINE): 1}, {})
    assert len(batch.all_entries()) <= 1


def test_a_torn_line_is_none() -> None:
    whole = line_of(SentBatch("shop", [SentEvent(visitor(1), 17, "a", 1.5, "x", None)] * 2, {Reason.ID: 1}))[:-1]
    for cut in range(len(whole)):
        assert dict(read(whole[:cut]).refused) == {(NO_APP, Reason.NOT_A_LINE): 1}
        assert read(whole[:cut]).all_entries() == []
