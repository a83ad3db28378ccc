"""Every class and syntax has its turn, at most 127 contexts at a time, and it ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.plugins.dimse.admission import choose, stores
from pacsferry.plugins.dimse.contexts import (
    COMPRESSED,
    SLOTS,
    STANDARD,
    UNCOMPRESSED,
    Answer,
    Negotiation,
    Proposal,
    classes_for,
    may_be_compressed,
)
from support.scripted_scp import CT, ELE, ILE, MR, PRIVATE, RLE

SR = "1.2.840.10008.5.1.4.1.1.88.11"


def test_one_class_gets_a_context_for_each_syntax() -> None:
    proposals = Negotiation([CT]).proposals()
    assert proposals[0] == Proposal(sop_class=CT, syntaxes=UNCOMPRESSED)
    assert [one.syntaxes for one in proposals[1:]] == [(syntax,) for syntax in COMPRESSED]


def test_a_report_is_not_asked_for_in_jpeg() -> None:
    assert [one.syntaxes for one in Negotiation([SR]).proposals()] == [UNCOMPRESSED]
    assert may_be_compressed(PRIVATE)


def test_unknown_classes_are_those_of_the_profile_then_the_standard_ones() -> None:
    classes = classes_for((), (PRIVATE,))
    proposals = Negotiation(classes).proposals()
    assert classes[0] == PRIVATE
    assert len(proposals) == SLOTS
    assert all(one.syntaxes == UNCOMPRESSED for one in proposals)
    assert classes_for({MR, CT}, (PRIVATE,)) == sorted({MR, CT})


def test_the_standard_classes_are_many_and_each_stands_once() -> None:
    assert len(STANDARD) == len(set(STANDARD)) > 160


@settings(deadline=None, max_examples=40)
@given(count=st.integers(1, 200), takes=st.sampled_from(["first", "all", "none", "uncompressed"]))
def test_it_ends_and_no_association_is_too_large(count: int, takes: str) -> None:
    negotiation = Negotiation([f"1.2.3.{n}" for n in range(count)])
    for _ in range(80):
        proposals = negotiation.proposals()
        if not proposals:
            break
        assert len(proposals) <= SLOTS
        assert not any(
            set(one.syntaxes) & set(UNCOMPRESSED) and set(one.syntaxes) - set(UNCOMPRESSED) for one in proposals
        )
        negotiation.learn([answered(one, takes) for one in proposals], ())
    assert negotiation.exhausted


def test_what_the_archive_says_it_has_comes_first_but_others_have_their_turn() -> None:
    jpeg = "1.2.840.10008.1.2.4.50"
    compressed = Negotiation([CT], {(CT, RLE), (MR, jpeg)}).proposals()
    assert [one.syntaxes for one in compressed[:3]] == [(RLE,), UNCOMPRESSED, (COMPRESSED[0],)]
    mixed = Negotiation([CT], {(CT, RLE), (CT, ELE)}).proposals()
    assert [one.syntaxes for one in mixed[:3]] == [UNCOMPRESSED, (RLE,), (COMPRESSED[0],)]
    assert len(compressed) == len(mixed) == len(COMPRESSED) + 1


def test_a_report_that_is_said_to_be_compressed_is_asked_for_so() -> None:
    assert [one.syntaxes for one in Negotiation([SR], {(SR, RLE)}).proposals()[:2]] == [(RLE,), UNCOMPRESSED]


def test_with_little_room_what_is_stored_and_what_can_be_made_of_it_are_asked_for() -> None:
    classes = [f"1.2.3.{n}" for n in range(60)]
    proposals = Negotiation(classes, {(one, RLE) for one in classes}).proposals()
    assert [one.syntaxes for one in proposals] == [(RLE,), UNCOMPRESSED] * 60


def test_more_classes_than_an_association_takes_have_their_turn_in_the_next() -> None:
    negotiation = Negotiation([f"1.2.3.{n}" for n in range(140)])
    first = {one.sop_class for one in negotiation.proposals()}
    assert negotiation.unasked
    second = {one.sop_class for one in negotiation.proposals()}
    assert (len(first), len(second - first), negotiation.unasked) == (127, 13, False)


def test_the_last_resort_is_for_classes_of_which_nothing_came() -> None:
    negotiation = Negotiation([CT, MR])
    plain = negotiation.uncompressed({(CT, RLE)})
    assert plain is not None
    assert plain.proposals() == [Proposal(sop_class=MR, syntaxes=UNCOMPRESSED)]
    assert negotiation.uncompressed({(CT, RLE), (MR, RLE)}) is None
    assert plain.uncompressed() is None


def answered(proposal: Proposal, takes: str) -> Answer:
    taken = takes in {"first", "all"} or (takes == "uncompressed" and proposal.syntaxes == UNCOMPRESSED)
    return Answer(proposal=proposal, accepted=proposal.syntaxes[0] if taken else None)


def test_the_next_association_leaves_out_what_was_first_or_delivered_or_refused() -> None:
    negotiation = Negotiation([MR])
    accepted = {RLE: RLE, "1.2.840.10008.1.2.4.70": "1.2.840.10008.1.2.4.70", ELE: ELE}
    answers = [Answer(proposal=one, accepted=accepted.get(one.syntaxes[0])) for one in negotiation.proposals()]
    negotiation.learn(answers, {(MR, "1.2.840.10008.1.2.4.70")})
    assert negotiation.proposals() == [Proposal(sop_class=MR, syntaxes=(RLE,))]


def test_a_class_that_the_archive_does_not_know_is_not_proposed_again() -> None:
    negotiation = Negotiation([CT, MR])
    answers = [
        Answer(proposal=one, accepted=None, unknown_class=True)
        if one.sop_class == CT
        else Answer(proposal=one, accepted=None)
        for one in negotiation.proposals()
    ]
    negotiation.learn(answers, ())
    assert negotiation.exhausted


def test_the_receiver_takes_the_first_syntax_but_explicit_before_implicit() -> None:
    assert choose([ILE, ELE]) == ELE
    assert choose([RLE, ELE]) == RLE
    assert choose(["1.2.840.10008.1.2.2", ILE]) == ILE
    assert choose(["1.2.840.113619.5.2", ILE]) == ILE
    assert choose(["1.2.840.113619.5.2", "1.2.840.10008.1.2.4.94"]) is None


def test_the_receiver_takes_storage_classes_private_ones_too_and_nothing_else() -> None:
    assert all(stores(one) for one in (CT, PRIVATE, "1.2.840.10008.5.1.4.1.1.6"))
    assert not any(stores(one) for one in ("1.2.840.10008.1.20.1", "1.2.840.10008.5.1.4.1.2.2.1"))
