"""The tables of the ledger, as data: originals stand in ``linkage`` only, everything else is as released.

Plain types and constraints, so that PostgreSQL can hold the same tables.
"""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

#: Grows with every change of the tables; a ledger with a higher number is of a newer pacsferry.
VERSION = 1

ledger = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _key(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


meta = Table("meta", ledger, Column("key", Text, primary_key=True), _text("value"), sqlite_strict=True)

event = Table(
    "event",
    ledger,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("at"),
    _text("run"),
    _text("actor"),
    _text("action"),
    _text("object"),
    _text("outcome"),
    _text("details"),
    _text("prev"),
    _text("hash"),
    Index("event_run", "run"),
    sqlite_strict=True,
)

run = Table(
    "run",
    ledger,
    Column("id", Text, primary_key=True),
    _text("command"),
    _text("actor"),
    _text("started"),
    _text("ended"),
    _text("status"),
    _text("counts"),
    _text("details"),
    sqlite_strict=True,
)

subject = Table(
    "subject",
    ledger,
    Column("token", Text, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("case_id", Text, nullable=False, unique=True),
    sqlite_strict=True,
)

# The counters are kept up to date with every change, so that a status never has to count instances.
study = Table(
    "study",
    ledger,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    _text("subject"),
    _text("case_id"),
    _text("evidence"),
    Column("announced", Integer),
    Column("expected", Integer),
    _text("status"),
    _count("pending"),
    _count("stored"),
    _count("held"),
    _count("excluded"),
    _count("short"),
    _count("series_count"),
    _text("study_uid"),
    _text("study_date"),
    _text("modality"),
    _text("description"),
    _text("path"),
    _text("transports"),
    _text("reasons"),
    _text("waived"),
    _count("waived_gap"),
    _text("updated"),
    Column("duration_s", REAL, nullable=False, server_default="0"),
    _count("fence"),
    _text("lease_boot"),
    _count("lease_pid"),
    _count("lease_started"),
    _text("lease_host"),
    Column("lease_since", REAL, nullable=False, server_default="0"),
    Column("lease_until", REAL, nullable=False, server_default="0"),
    Index("study_case", "case_id"),
    sqlite_strict=True,
)

series = Table(
    "series",
    ledger,
    Column("study_id", ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    _key("key"),
    _text("modality"),
    Column("expected", Integer),
    _text("barred"),
    _count("pending"),
    _count("stored"),
    _count("held"),
    _count("excluded"),
    PrimaryKeyConstraint("study_id", "key"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

instance = Table(
    "instance",
    ledger,
    Column("study_id", ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    _key("key"),
    _text("series"),
    _text("sop_class"),
    _text("state"),
    _text("code"),
    _text("detail"),
    # Excluded before it was fetched (by the plan), and not after it came (by a gate).
    _count("planned"),
    # No path is NULL, which a unique index does not compare.
    Column("path", Text, unique=True),
    _count("size"),
    _text("sha256"),
    _text("instance_uid"),
    _text("series_uid"),
    PrimaryKeyConstraint("study_id", "key"),
    Index("instance_released", "instance_uid"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# Instances that a stored one refers to, as released: whether the project has them is asked when a report wants to know.
reference = Table(
    "reference",
    ledger,
    Column("study_id", ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    _key("uid"),
    PrimaryKeyConstraint("study_id", "uid"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: The only table with originals. ``kind`` is patient, accession, study or request; ``key`` is keyed or our own.
linkage = Table(
    "linkage",
    ledger,
    _key("kind"),
    _key("key"),
    _text("case_id"),
    _text("patient_id"),
    _text("issuer"),
    _text("accession"),
    _text("study_uid"),
    _text("typed"),
    PrimaryKeyConstraint("kind", "key"),
    Index("linkage_accession", "accession"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

request = Table(
    "request",
    ledger,
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    _text("status"),
    PrimaryKeyConstraint("run", "ordinal"),
    sqlite_strict=True,
)

request_study = Table(
    "request_study",
    ledger,
    Column("run", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("study_id", ForeignKey("study.id"), nullable=False),
    PrimaryKeyConstraint("run", "ordinal", "study_id"),
    ForeignKeyConstraint(["run", "ordinal"], ["request.run", "request.ordinal"]),
    sqlite_strict=True,
)

result = Table(
    "result",
    ledger,
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("study_id", ForeignKey("study.id"), nullable=False),
    _text("status"),
    _count("stored"),
    _count("held"),
    _count("excluded"),
    _count("missing"),
    Column("expected", Integer),
    _text("transports"),
    _text("reasons"),
    Column("duration_s", REAL, nullable=False, server_default="0"),
    PrimaryKeyConstraint("run", "study_id"),
    sqlite_strict=True,
)

#: What the host's own audit trail needs of them.
TRAIL = (meta, event)
