"""The fourteen rules that a right implementation of PS3.15 annex E follows, as far as the Basic profile has them."""

from __future__ import annotations

import hashlib
import io

import pytest
from pydicom import dcmread

from pacsferry.core.errors import HeldError
from pacsferry.plugins.deid import filemeta, reference
from pacsferry.plugins.deid.rules import resolve
from pacsferry.testing.corpus import CT, KEPT_SEQUENCE, image
from pacsferry.testing.encode import E, file
from support.cleaning import KEYS, PSEUDONYM, clean, cleaned, engine, whole

MR = "1.2.840.10008.5.1.4.1.1.4"
UID = "1.2.826.0.1.3680043.8.498.123"


def down(*elements: E, times: int = 1) -> E:
    item = sorted(elements, key=lambda element: element.tag)
    for _ in range(times):
        item = [E(KEPT_SEQUENCE, "SQ", [item])]
    return item[0]


def test_rule_1_every_depth_and_sequences_that_are_removed_or_kept():
    secret = E(0x00081030, "LO", "Knee of Larry")
    out = cleaned(
        file(
            image(
                down(secret, E(0x00080050, "SH", "ACC1"), E(0x00180050, "DS", "5"), times=40),
                E(0x00400275, "SQ", [[E(0x00180050, "DS", "5")]]),
                secret,
            )
        )
    )
    assert "StudyDescription" not in out
    assert "RequestAttributesSequence" not in out
    item = out
    for _ in range(40):
        (item,) = item.ReferencedSeriesSequence
    assert item.SliceThickness == 5
    assert item.AccessionNumber == ""
    assert "StudyDescription" not in item


@pytest.mark.parametrize(
    ("action", "kind", "expected"),
    [
        ("X/Z", "3", "X"),
        ("X/Z", "2", "Z"),
        ("X/Z", "1", "Z"),
        ("X/D", "3", "X"),
        ("X/D", "2", "D"),
        ("X/D", "1C", "D"),
        ("Z/D", "2", "Z"),
        ("Z/D", "2C", "Z"),
        ("Z/D", "1", "D"),
        ("X/Z/D", "3", "X"),
        ("X/Z/D", "2C", "Z"),
        ("X/Z/D", "1", "D"),
        ("X/Z/D", None, "D"),
        ("X/Z/U*", "3", "X"),
        ("X/Z/U*", "1C", "U*"),
        ("X/Z/U*", None, "U*"),
        ("Z", "1", "Z"),
        ("X", None, "X"),
    ],
)
def test_rule_3_compound_actions_follow_the_type_in_the_iod(action, kind, expected):
    assert resolve(action, kind) == expected


def test_rule_3_the_same_element_is_treated_by_the_class_of_the_object():
    more = [E(0x00180010, "LO", "Iodine 300"), E(0x00080023, "DA", "20200102"), E(0x00080021, "DA", "20200102")]
    assert cleaned(file(image(*more))).ContrastBolusAgent == ""
    assert "SeriesDate" not in cleaned(file(image(*more)))
    unknown = cleaned(file(image(*more, sop_class="1.3.12.2.1107.5.9.1")))
    assert (unknown.ContrastBolusAgent, unknown.ContentDate, unknown.SeriesDate) == ("REMOVED", "19000101", "19000101")


def test_rule_3_references_below_the_top_level_keep_their_shape_with_new_uids():
    reference_item = [E(0x00081150, "UI", CT), E(0x00081155, "UI", UID), E(0x0008114A, "IS", "1")]
    out = cleaned(file(image(down(E(0x00082112, "SQ", [reference_item])), E(0x00082112, "SQ", [reference_item]))))
    assert "SourceImageSequence" not in out
    (item,) = out.ReferencedSeriesSequence[0].SourceImageSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (CT, KEYS.uid(UID))


def test_rule_4_uids_are_replaced_consistently_and_structural_ones_stay():
    roles = [
        E(0x00081150, "UI", CT),
        E(0x00080117, "UI", "1.2.840.10008.6.1.1"),
        E(0x00083002, "UI", "1.2.840.10008.1.2"),
    ]
    others = [E(0x00081155, "UI", UID), E(0x00200052, "UI", f"{UID}\\{CT}"), E(0x00081167, "UI", UID)]
    scheme = E(0x0008010C, "UI", "1.3.6.1.4.1.5962.99")
    out = cleaned(file(image(down(*roles, *others, scheme), E(0x00200052, "UI", UID))))
    new = KEYS.uid(UID)
    assert new.startswith("2.25.")
    assert out.FrameOfReferenceUID == new
    (item,) = out.ReferencedSeriesSequence
    assert item.ReferencedSOPInstanceUID == item.MultiFrameSourceSOPInstanceUID == new
    assert list(item.FrameOfReferenceUID) == [new, CT]
    assert (item.ReferencedSOPClassUID, item.ContextUID) == (CT, "1.2.840.10008.6.1.1")
    assert (item.AvailableTransferSyntaxUID, item.CodingSchemeUID) == ("1.2.840.10008.1.2", "1.3.6.1.4.1.5962.99")


@pytest.mark.parametrize("text", ["not a uid", "1.2.840.10008.Smith", "1.2.3.\xe9"])
def test_rule_4_what_is_no_uid_is_replaced_by_one(text):
    out = cleaned(file(image(E(0x00200052, "UI", text), down(E(0x00081150, "UI", text)))))
    assert out.FrameOfReferenceUID.startswith("2.25.")
    assert out.ReferencedSeriesSequence[0].ReferencedSOPClassUID.startswith("2.25.")


def test_rule_5_it_says_what_was_done():
    out = cleaned(file(image()))
    assert out.PatientIdentityRemoved == "YES"
    assert out.LongitudinalTemporalInformationModified == "REMOVED"
    assert out.DeidentificationMethod == engine().rules.method
    (code,) = out.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert "BurnedInAnnotation" not in out
    assert "RecognizableVisualFeatures" not in out


def test_rule_5_what_earlier_tools_wrote_is_kept_where_it_is_recognised():
    def code(value: str, meaning: str) -> list[E]:
        return [E(0x00080100, "SH", value), E(0x00080102, "SH", "DCM"), E(0x00080104, "LO", meaning)]

    foreign = [E(0x00080100, "SH", "113106"), E(0x00080102, "SH", "99LARRY"), E(0x00080104, "LO", "Larry")]
    earlier = [
        E(0x00120062, "CS", "NO"),
        E(0x00120063, "LO", "CTP 1.0 basic profile\\By hand of Larry Lighthouse"),
        E(0x00120064, "SQ", [code("113105", "Larry"), code("113100", "Basic"), code("999999", "Larry"), foreign]),
    ]
    out = cleaned(file(image(*earlier)))
    assert list(out.DeidentificationMethod) == ["CTP 1.0 basic profile", engine().rules.method]
    meanings = {item.CodeValue: item.CodeMeaning for item in out.DeidentificationMethodCodeSequence}
    assert meanings == {
        "113105": "Clean Descriptors Option",
        "113100": "Basic Application Confidentiality Profile",
    }
    assert out.PatientIdentityRemoved == "YES"


@pytest.mark.parametrize(
    "said",
    [
        "Per DICOM PS 3.15 AnnexE. Details in 0012,0064",
        "{Per DICOM PS 3.15 AnnexE. Details in 0012,0064}",
        "PixelMed DicomCleaner",
        "gdcmanon",
        "CTP Default: based on DICOM-S142-Baseline",
        "option retain-uids, with exceptions",
    ],
)
def test_rule_5_what_well_known_archives_and_tools_write_is_kept(said):
    out = cleaned(file(image(E(0x00120063, "LO", said))))
    assert list(out.DeidentificationMethod) == [said, engine().rules.method]


@pytest.mark.parametrize(
    "said", ["dates of 2020/01/02", "option 044 123 45 67", "deid 12.11.19", "0012 2020 01 02", "deid 08-07-1960"]
)
def test_rule_5_an_earlier_method_with_a_date_or_a_telephone_number_is_not_kept(said):
    assert cleaned(file(image(E(0x00120063, "LO", said)))).DeidentificationMethod == engine().rules.method


def test_rule_6_preamble_and_file_meta_are_made_anew():
    meta = [E(0x00020003, "UI", UID), E(0x00020016, "AE", "SCANNER7"), E(0x00020013, "SH", "VENDOR")]
    data = whole(clean(file(image(), meta=meta, preamble=b"Larry Lighthouse".ljust(128))))
    assert data[:132] == bytes(128) + b"DICM"
    made = dcmread(io.BytesIO(data))
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID == KEYS.uid("1.3.6.1.4.1.99999.2.3.1")
    assert made.file_meta.ImplementationClassUID == filemeta.IMPLEMENTATION_UID
    assert {element.keyword for element in made.file_meta} == {
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    }


def test_rule_6_groups_that_do_not_belong_and_group_lengths_go():
    out = cleaned(
        file(
            image(
                E(0x00000002, "UI", CT),
                E(0x00041511, "UI", UID),
                E(0x00080000, "UL", 99),
                E(0x00280000, "UL", 99),
                down(E(0x00080000, "UL", 8), E(0x00180050, "DS", "1")),
                E(0xFFFCFFFC, "OB", b"Larry "),
            )
        )
    )
    assert not [element.tag for element in out.iterall() if element.tag.group in {0, 2, 4, 0xFFFC}]
    assert not [element.tag for element in out.iterall() if element.tag.element == 0]


def test_rule_6_a_media_directory_is_held():
    directory = file(
        [E(0x00041130, "CS", "SET")], meta=[E(0x00020002, "UI", "1.2.840.10008.1.3.10"), E(0x00020003, "UI", UID)]
    )
    with pytest.raises(HeldError) as caught:
        clean(directory)
    assert caught.value.code == "sop-class"


def test_rule_6_bytes_beyond_the_pixels_are_cut_and_bytes_behind_the_data_set_hold():
    pixels = bytes(range(128))
    assert cleaned(file(image(E(0x7FE00010, "OW", pixels + b"Larry Lighthouse")))).PixelData == pixels
    assert cleaned(file(image(E(0x7FE00010, "OW", pixels))) + bytes(40)).PixelData == pixels
    for garbage in (b"Larry Lighthouse", b"L", b"\0\0\0\0L"):
        with pytest.raises(HeldError) as caught:
            clean(file(image()) + garbage)
        assert caught.value.code == "malformed"


def test_rule_7_private_elements_go_at_every_depth_whatever_their_creator():
    private = [E(0x00190010, "LO", "ACME"), E(0x00191001, "LO", "Larry"), E(0x00192001, "LO", "no creator")]
    sequence = E(0x00191002, "SQ", [[E(0x00180050, "DS", "1")]], undefined=True)
    out = cleaned(
        file(
            image(*private, sequence, E(0x00091001, "PN", "Larry"), down(*private, sequence, E(0x00180050, "DS", "1")))
        )
    )
    assert not [element.tag for element in out.iterall() if element.tag.is_private]
    assert out.ReferencedSeriesSequence[0].SliceThickness == 1


def test_rule_8_signatures_and_earlier_values_go():
    gone = [0x04000561, 0x04000550, 0x04000551, 0x04000500, 0x04000402, 0x4FFE0001, 0xFFFAFFFA, 0x00880200, 0x00080300]
    out = cleaned(file(image(*(E(tag, "SQ", [[E(0x00080070, "LO", "x")]]) for tag in gone))))
    assert not [tag for tag in gone if tag in out]


def test_rule_8_overlays_and_curves_go_as_a_whole():
    planes = [
        E(0x60020010, "US", 8),
        E(0x60020100, "US", 1),
        E(0x60023000, "OW", bytes(8)),
        E(0x60021500, "LO", "Larry"),
    ]
    curves = [E(0x50000005, "US", 2), E(0x50003000, "OW", bytes(8))]
    out = cleaned(file(image(*planes, *curves)))
    assert not [element.tag for element in out if element.tag.group in {0x5000, 0x6002}]


def test_rule_8_an_overlay_in_the_pixels_is_held():
    with pytest.raises(HeldError) as caught:
        clean(file(image(E(0x60000100, "US", 16), E(0x60000102, "US", 12))))
    assert caught.value.code == "burned-in"


def test_rule_9_what_the_table_does_not_list_goes_by_its_vr():
    unlisted = [
        E(0x00142006, "PN", "Larry"),
        E(0x00141020, "DA", "20200102"),
        E(0x00143077, "TM", "1200"),
        E(0x0008041F, "DT", "20200102"),
        E(0x00189433, "LO", "Larry"),
        E(0x00409998, "LO", "no such tag"),
        E(0x00160062, "OB", b"Larry "),
        E(0x00180015, "CS", "CHEST"),
        E(0x00181210, "SH", "B30f"),
    ]
    out = cleaned(file(image(*unlisted)))
    assert not [e.tag for e in unlisted[:7] if e.tag in out]
    assert (out.BodyPartExamined, out.ConvolutionKernel) == ("CHEST", "B30f")


def test_rule_9_codes_keep_their_words_only_in_published_schemes():
    def code(scheme: str) -> list[E]:
        return [E(0x00080100, "SH", "T-1"), E(0x00080102, "SH", scheme), E(0x00080104, "LO", "Larry's knee")]

    loose = [E(0x00080104, "LO", "Larry")]
    out = cleaned(file(image(E(0x00082218, "SQ", [code("SRT"), code("99LOCAL"), loose]), E(0x00080104, "LO", "Larry"))))
    first, second, third = out.AnatomicRegionSequence
    assert (first.CodeValue, first.CodeMeaning) == ("T-1", "Larry's knee")
    assert {second.CodeValue, second.CodingSchemeDesignator, second.CodeMeaning} == {"REMOVED"}
    assert (len(third), third.CodeMeaning) == (1, "REMOVED")
    assert "CodeMeaning" not in out


def test_rule_10_un_follows_its_tag():
    hidden = [[E(0x00081030, "LO", "Larry"), E(0x00180050, "DS", "5")]]
    out = cleaned(
        file(
            image(
                E(0x00100020, "UN", "PAT4711"),
                E(0x00081030, "UN", "Larry"),
                E(0x00280030, "UN", "0.5\\0.5"),
                E(0x00280106, "UN", b"\x00\xfc"),
                E(KEPT_SEQUENCE, "UN", hidden, undefined=True),
                E(0x00082218, "UN", hidden),
            )
        )
    )
    assert (out.PatientID, list(out.PixelSpacing), out.SmallestImagePixelValue) == (PSEUDONYM, [0.5, 0.5], -1024)
    assert [out[0x00280030].VR, out[0x00280106].VR, out[KEPT_SEQUENCE].VR] == ["DS", "SS", "SQ"]
    for sequence in (out.ReferencedSeriesSequence, out.AnatomicRegionSequence):
        assert sequence[0].SliceThickness == 5
        assert "StudyDescription" not in sequence[0]


def test_rule_11_descriptions_are_not_cleaned_but_removed():
    words = [0x00081030, 0x0008103E, 0x00104000, 0x00204000, 0x00181030, 0x00321060]
    out = cleaned(file(image(*(E(tag, "LO", "chest routine") for tag in words))))
    assert not [tag for tag in words if tag in out]


def test_rule_12_nothing_is_a_plain_hash_of_an_identifier():
    data = whole(clean(file(image())))
    for identifier in ("PAT4711", "Lighthouse^Larry", "ACC98765", "1.3.6.1.4.1.99999.2.1"):
        digest = hashlib.sha256(identifier.encode())
        assert digest.hexdigest()[:8].encode() not in data
        assert str(int.from_bytes(digest.digest()[:16], "big")).encode() not in data


def test_rule_13_no_date_or_time_is_left():
    tags = {tag: vr for tag, (vr, _, _) in reference.elements().items() if vr in {"DA", "TM", "DT"}}
    values = {"DA": "20200317", "TM": "101213.5", "DT": "20200317101213"}
    out = cleaned(file(image(*(E(tag, vr, values[vr]) for tag, vr in tags.items()))))
    left = {str(element.value) for element in out if element.VR in values}
    assert left <= {"", "19000101", "000000", "19000101000000"}


def test_rule_14_the_conformance_statement_comes_from_the_rules():
    rows = list(engine().table())
    assert len(rows) > 5000
    assert ("(0010,0020)", "PatientID", "LO", "P", "the pseudonym") in rows
    assert ("(0008,103E)", "SeriesDescription", "LO", "X", "PS3.15 E.1-1") in rows
    text = " ".join(engine().describe())
    technical = [
        row[1] for row in rows if row[4].startswith("technical") and not row[1].startswith(("Cod", "LongC", "URN"))
    ]
    assert technical
    assert not [keyword for keyword in technical if keyword not in text]
    assert engine().digest[:12] in text
