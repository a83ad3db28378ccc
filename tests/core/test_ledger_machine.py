"""Two processes and a model of what they should see, in any order of steps."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pacsferry.core.ledger import LeaseLost, Ledger, UndefinedStep
from pacsferry.core.ledger_model import InstanceState, Lease
from pacsferry.core.model import Evidence, Status
from support.ledgers import STUDY, instance, outcome, plan, somebody_else

SIZE = 6
#: Thousands of transactions that need not outlive a power cut.
MEMORY = Path("/dev/shm")
numbers = st.integers(0, SIZE + 1)
states = st.sampled_from([InstanceState.STORED, InstanceState.HELD, InstanceState.EXCLUDED])
who = st.sampled_from(["left", "right"])
EXPECTED, STORED = InstanceState.EXPECTED, InstanceState.STORED


class TwoProcesses(RuleBasedStateMachine):
    """The model: a dict of states, who holds the lease, and what each believes to hold."""

    @initialize()
    def start(self):
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        path = Path(self.folder.name) / "ledger.db"
        self.ledgers = {"left": Ledger.open(path), "right": Ledger.open(path, owner=somebody_else())}
        self.run = self.ledgers["left"].start_run("load")
        self.leases: dict[str, Lease | None] = {"left": None, "right": None}
        self.holder: str | None = None
        self.fence = 0
        self.listed: set[str] = set()
        self.known: dict[str, InstanceState] = {}
        self.by_plan: set[str] = set()

    def teardown(self):
        for one in getattr(self, "ledgers", {}).values():
            one.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(who=who, count=st.integers(0, SIZE), left_out=st.frozensets(numbers, max_size=2), again=st.booleans())
    def expect(self, who, count, left_out, again):
        self.ledgers[who].expect(self.run, plan(count, excluded=left_out), again=again)
        busy = self.holder not in {None, who}
        self.listed = {instance(n) for n in range(count)}
        wanted = {instance(n): InstanceState.EXCLUDED if n in left_out else EXPECTED for n in range(count)}
        for key, state in wanted.items():
            now = self.known.get(key)
            settled = now is InstanceState.HELD or (now is InstanceState.EXCLUDED and key not in self.by_plan)
            if now is STORED or (busy and now) or (settled and state is EXPECTED and not again):
                continue
            self.known[key] = state
            self.by_plan.discard(key)
            if state is InstanceState.EXCLUDED:
                self.by_plan.add(key)
        if not busy:
            self.known = {key: one for key, one in self.known.items() if key in wanted or one is STORED}

    @precondition(lambda self: self.listed or self.known)
    @rule(who=who)
    def lease(self, who):
        lease = self.ledgers[who].lease(STUDY)
        if self.holder not in {None, who}:
            assert lease is None
            return
        assert lease is not None
        assert lease.fence > self.fence
        self.leases[who], self.holder, self.fence = lease, who, lease.fence

    @precondition(lambda self: self.holder)
    @rule()
    def expire(self):
        self.ledgers[self.holder].renew(self.leases[self.holder], seconds=-1)
        self.holder = None

    @rule(who=who)
    def release(self, who):
        if self.leases[who] is not None:
            self.ledgers[who].release(self.leases[who])
            if self.leases[who].fence == self.fence:
                self.holder = None
                self.leases[who] = None

    @rule(who=who, wanted=st.dictionaries(numbers, states, min_size=1, max_size=4))
    def record(self, who, wanted):
        lease = self.leases[who]
        if lease is None:
            return
        outcomes = [outcome(n, state) for n, state in wanted.items()]
        if lease.fence != self.fence:
            with pytest.raises(LeaseLost):
                self.ledgers[who].record(self.run, lease, outcomes)
            with pytest.raises(LeaseLost):
                self.ledgers[who].check(lease)
            return
        if any(self.known.get(one.key) is STORED and one.state is not STORED for one in outcomes):
            with pytest.raises(UndefinedStep):
                self.ledgers[who].record(self.run, lease, outcomes)
            return
        self.ledgers[who].check(lease)
        self.ledgers[who].record(self.run, lease, outcomes)
        self.holder = who  # an expired lease that nobody took counts again
        for one in outcomes:
            self.known[one.key] = one.state
            self.by_plan.discard(one.key)

    @rule(who=who)
    def withdraw(self, who):
        lease = self.leases[who]
        if lease is not None and lease.fence == self.fence:
            paths = self.ledgers[who].withdraw(self.run, lease, "mixed-patients")
            stored = [key for key, state in self.known.items() if state is STORED]
            assert len(paths) == len(stored)
            self.known |= dict.fromkeys(stored, InstanceState.HELD)

    @rule(who=who)
    def conclude(self, who):
        lease = self.leases[who]
        if lease is not None and lease.fence == self.fence:
            self.ledgers[who].conclude(self.run, lease, status=Status.OK, reasons={}, transports=[])

    @invariant()
    def both_see_what_the_model_says(self):
        for ledger in getattr(self, "ledgers", {}).values():
            assert ledger.instance_states(STUDY) == self.known
            one = ledger.study(STUDY)
            if one is None:
                assert not self.known
                continue
            count = {state: list(self.known.values()).count(state) for state in InstanceState}
            assert (one.stored, one.held, one.excluded) == (
                count[STORED],
                count[InstanceState.HELD],
                count[InstanceState.EXCLUDED],
            )
            assert one.missing == count[EXPECTED]
            assert one.evidence is Evidence.INSTANCE_UIDS
            assert len(list(ledger.stored(STUDY))) == count[STORED]

    @invariant()
    def the_trail_is_whole(self):
        for ledger in getattr(self, "ledgers", {}).values():
            assert ledger.check_chain().ok


TwoProcesses.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTwoProcesses = TwoProcesses.TestCase
