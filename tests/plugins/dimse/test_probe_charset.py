"""Whether answers are in the character set that they declare, by their bytes alone."""

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from pacsferry.core.doctor import learnt
from pacsferry.core.ports import Standing
from pacsferry.plugins.dimse.probe_charset import charset_finding


def answer(name, declared=None):
    elements = {"PatientName": name} | ({} if declared is None else {"SpecificCharacterSet": declared})
    made = Dataset()
    for keyword, value in elements.items():
        tag = Tag(keyword)
        made._dict[tag] = RawDataElement(
            tag, "PN" if keyword == "PatientName" else "CS", len(value), value, 0, True, True
        )
    return made


@pytest.mark.parametrize(
    ("name", "declared", "status", "charset"),
    [
        (b"Meier", b"ISO_IR 100", Standing.OK, None),
        (b"Meier", None, Standing.OK, None),
        ("Müller".encode("latin-1"), b"ISO_IR 100", Standing.OK, None),
        ("Müller".encode(), b"ISO_IR 192", Standing.OK, None),
        ("Müller".encode("latin-1"), None, Standing.WARNING, "ISO_IR 100"),
        ("Müller".encode(), None, Standing.WARNING, "ISO_IR 192"),
        ("Müller".encode(), b"ISO_IR 100", Standing.WARNING, "ISO_IR 192"),
        ("Müller".encode("latin-1"), b"ISO_IR 192", Standing.WARNING, "ISO_IR 100"),
        (b"Yamada^\x1b$B;3ED\x1b(B", b"\\ISO 2022 IR 87", Standing.OK, None),
        (b"M\xfcller", b"NONSENSE", Standing.WARNING, "ISO_IR 100"),
    ],
)
def test_declared_undeclared_and_lying(name, declared, status, charset):
    told = charset_finding([answer(name, declared)])
    assert told.status is status
    assert told.profile == ({} if charset is None else {"archive.charset": charset})
    assert "ller" not in repr(told)
    assert "NONSENSE" not in repr(told)
    learnt([told])


def test_without_answers_nothing_is_said():
    assert charset_finding([]) is None
