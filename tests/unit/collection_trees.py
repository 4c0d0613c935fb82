"""Tiny trees in the layouts of public collections, written by our own lines: no real image."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def write_table(file: Path, header: str, *rows: Sequence[object], packed: str = "") -> None:
    """A table whose columns are given in one line; packed as .gz or .zip if asked for."""
    text = io.StringIO(newline="")
    text.write(header + "\n")
    csv.writer(text, lineterminator="\n").writerows(rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    content = text.getvalue().encode()
    if packed == ".gz":
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content))
    elif packed == ".zip":
        with zipfile.ZipFile(file.with_name(f"{file.name}.zip"), "w") as archive:
            archive.writestr(file.name, content)
    else:
        file.write_bytes(content)


# --- ChestX-ray14 ---------------------------------------------------------------------------------

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
NIH_ROWS = [
    ("00000001_000.png", "Cardiomegaly", "1", "058Y", "M", "PA"),
    ("00000001_001.png", "Hernia|Cardiomegaly", "1", "411Y", "M", "AP"),
    ("00000002_000.png", "No Finding", "2", "81", "F", "PA"),
    ("00000003_000.png", "Mass", "3", "414", "F", "PA"),  # its file is missing
]


def nih(root: Path, packed: str = "", rows: Sequence[tuple] = NIH_ROWS) -> Path:
    touch(root, "images_001/images/00000001_000.png", "images_002/images/00000001_001.png")
    touch(root, "images_002/images/00000002_000.png", "images_002/images/00000009_000.png")
    table = [(n, f, 0, p, a, s, v, 2682, 2749, 0.143, 0.143, "") for n, f, p, a, s, v in rows]
    write_table(root / "Data_Entry_2017.csv", NIH_HEADER, *table, packed=packed)
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (root / "test_list.txt").write_text("00000002_000.png\n")
    write_table(
        root / "BBox_List_2017.csv",
        'Image Index,Finding Label,"Bbox [x",y,w,h],,,'.replace('"', ""),
        ("00000001_000.png", "Cardiomegaly", 225.084745762712, 547, 86.7, 79.1, "", "", ""),
        ("00000001_001.png", "Infiltrate", 1, 2, 3, 4, "", "", ""),
    )
    return root


# --- CheXpert -------------------------------------------------------------------------------------

CHEXPERT_HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
BLANK = [""] * 8
TRAIN = "CheXpert-v1.0-small/train/patient00001"
VALID = "CheXpert-v1.0-small/valid/patient64541"


def chexpert(root: Path, packed: str = "") -> Path:
    """With a frontal and a lateral view, a validation image, and a row without image."""
    home = root / "CheXpert-v1.0-small"
    touch(home, "train/patient00001/study1/view1_frontal.jpg")
    touch(home, "train/patient00001/study1/view2_lateral.jpg")
    touch(home, "valid/patient64541/study1/view1_frontal.jpg")
    first = ("", "", "1.0", "-1.0", "0.0", "", *BLANK)
    write_table(
        home / "train.csv",
        CHEXPERT_HEADER,
        (f"{TRAIN}/study1/view1_frontal.jpg", "Female", 68, "Frontal", "AP", *first),
        (f"{TRAIN}/study1/view2_lateral.jpg", "Female", 68, "Lateral", "", *first),
        (f"{TRAIN}/study2/view1_frontal.jpg", "Female", 69, "Frontal", "PA", *first),
        packed=packed,
    )
    zeros = ["0.0"] * 13
    write_table(
        home / "valid.csv",
        CHEXPERT_HEADER,
        (f"{VALID}/study1/view1_frontal.jpg", "Unknown", 0, "Frontal", "PA", "1.0", *zeros),
    )
    return root


# --- MIMIC-CXR-JPG --------------------------------------------------------------------------------


def mimic(root: Path) -> Path:
    """With a view that only the second column tells, an unknown one, and a study without labels."""
    images = [("aa", 50, "PA", ""), ("bb", 50, "", "lateral"), ("cc", 51, "", "antero-posterior")]
    images += [("dd", 51, "", ""), ("ee", 52, "AP", ""), ("ff", 51, "SWIMMERS", "")]
    for name, study, *_ in images:
        touch(root, f"files/p10/p10000032/s{study}/{name}.jpg")
    write_table(
        root / "mimic-cxr-2.0.0-metadata.csv",
        "dicom_id,subject_id,study_id,ViewPosition,Rows,ViewCodeSequence_CodeMeaning",
        *[(name, 10000032, study, view, 3000, told) for name, study, view, told in images],
        packed=".gz",
    )
    write_table(
        root / "mimic-cxr-2.0.0-chexpert.csv",
        "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,"
        "Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,"
        "Pleural Other,Pneumonia,Pneumothorax,Support Devices",
        (10000032, 50, *[""] * 8, "1.0", *[""] * 5),
        (10000032, 51, "1.0", "-1.0", "0.0", *[""] * 6, "1.0", *[""] * 4),
        packed=".gz",
    )
    write_table(
        root / "mimic-cxr-2.0.0-split.csv",
        "dicom_id,study_id,subject_id,split",
        *[("aa", 50, 10000032, "train"), ("cc", 51, 10000032, "validate")],
        packed=".gz",
    )
    return root


# --- VinDr-CXR ------------------------------------------------------------------------------------

VINDR_NAMES = (
    "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,"
    "Edema,Emphysema,Enlarged PA,ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,"
    "Mediastinal shift,Nodule/Mass,Pleural effusion,Pleural thickening,Pneumothorax,"
    "Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,Tuberculosis,"
    "Other diseases,No finding"
)


def vindr_votes(*names: str) -> list[int]:
    return [int(name in names) for name in VINDR_NAMES.split(",")]


def vindr(root: Path) -> Path:
    """Two of three radiologists see a mass in `a1`, one an effusion; `b2` is of the test part."""
    touch(root, "train/a1.dicom", "test/b2.dicom")
    write_table(
        root / "annotations/image_labels_train.csv",
        f"image_id,rad_id,{VINDR_NAMES}",
        ("a1", "R1", *vindr_votes("Nodule/Mass")),
        ("a1", "R2", *vindr_votes("Nodule/Mass", "Pleural effusion")),
        ("a1", "R3", *vindr_votes("No finding")),
    )
    write_table(
        root / "annotations/image_labels_test.csv",
        f"image_id,{VINDR_NAMES}",
        ("b2", *vindr_votes("Tuberculosis", "Other diseases")),
    )
    write_table(
        root / "annotations/annotations_train.csv",
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
        ("a1", "R1", "Nodule/Mass", 100.5, 200, 110.5, 230),
        ("a1", "R2", "Pleural effusion", 1, 1, 2, 2),
        ("a1", "R3", "No finding", "", "", "", ""),
    )
    return root


def vindr_of_kaggle(root: Path) -> Path:
    touch(root, "train/a1.dicom", "train/c3.dicom", "test/zz.dicom")
    write_table(
        root / "train.csv",
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max",
        ("a1", "Nodule/Mass", 8, "R1", 10, 20, 30, 60),
        ("a1", "Nodule/Mass", 8, "R1", 40, 20, 50, 30),
        ("a1", "Nodule/Mass", 8, "R2", 11, 20, 30, 60),
        ("a1", "No finding", 14, "R3", "", "", "", ""),
        *[("c3", "No finding", 14, f"R{k}", "", "", "", "") for k in range(3)],
        packed=".zip",
    )
    return root


# --- challenges on ChestX-ray14 -------------------------------------------------------------------


def rsna(root: Path, with_mapping: bool = False) -> Path:
    """Of three images, one with two boxes; an image of the second stage has no labels."""
    touch(root, *(f"stage_2_train_images/u{k}.dcm" for k in (1, 2, 3)))
    touch(root, "stage_2_test_images/u9.dcm")
    boxes = [("u1", 264.0, 152.0, 213.0, 379.0, 1), ("u1", 562.0, 152.0, 256.0, 453.0, 1)]
    boxes += [("u2", "", "", "", "", 0), ("u3", "", "", "", "", 0)]
    write_table(root / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", *boxes)
    classes = [("u1", "Lung Opacity"), ("u1", "Lung Opacity"), ("u2", "Normal")]
    classes += [("u3", "No Lung Opacity / Not Normal")]
    write_table(root / "stage_2_detailed_class_info.csv", "patientId,class", *classes)
    if with_mapping:
        names = {"u1": "00000013_005.png", "u2": "00000013_006.png"}
        entries = [{"subset_img_id": new, "img_id": old} for new, old in names.items()]
        text = json.dumps(entries)
        (root / "pneumonia-challenge-dataset-mappings_2018.json").write_text(text)
    return root


def siim(root: Path) -> Path:
    """Two outlines in one image, none in the next; the third has no row."""
    for uid in ("1.2.276.1", "1.2.276.2", "1.2.276.3"):
        touch(root, f"dicom-images-train/{uid}.9/{uid}.8/{uid}.dcm")
    write_table(
        root / "train-rle.csv",
        "ImageId, EncodedPixels",
        ("1.2.276.1", " 10 3 1020 4"),
        ("1.2.276.1", " 500000 2"),
        ("1.2.276.2", " -1"),
    )
    return root


# --- PadChest, COVIDx, children -------------------------------------------------------------------

PADCHEST_HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
    "ViewPosition_DICOM,Projection,MethodProjection,Manufacturer_DICOM,Report,MethodLabel,Labels"
)
PADCHEST_ROWS = [
    ("a.png", "1950.0", "PA", "['cardiomegaly', ' pleural effusion', 'pacemaker', 'unchanged']"),
    ("b.png", "1950.0", "L", "['cardiomegaly']"),
    ("c.png", "1600.0", "AP_horizontal", "['normal']"),
    ("d.png", "", "PA", "['pacemaker']"),
    ("e.png", "1950.0", "PA", "['exclude']"),
    ("f.png", "1950.0", "PA", ""),
    ("g.png", "1950.0", "COSTAL", "['rib fracture']"),
    ("h.png", "1950.0", "UNK", "[]"),
]


def padchest(root: Path, rows: Sequence[tuple] = PADCHEST_ROWS) -> Path:
    for k, (name, *_) in enumerate(rows):
        touch(root, f"{k % 3}/{name}")
    write_table(
        root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        PADCHEST_HEADER,
        *[
            (
                *(k, name, k % 3, "20140915", "S", "P1", birth, "M", "", view, "Manual review"),
                *("Agfa", "informe, con coma", "Physician", labels),
            )
            for k, (name, birth, view, labels) in enumerate(rows)
        ],
        packed=".gz",
    )
    return root


def covidx(root: Path) -> Path:
    touch(root, "train/1.jpg", "train/1.png", "test/sub-S1_x.png")
    lines = ["1 1.jpg positive cohen", "ANON 2 1.png negative rsna", "7 gone.png negative rsna"]
    (root / "train.txt").write_text("\n".join(lines) + "\n\n")
    (root / "test.txt").write_text("S1 sub-S1_x.png COVID-19\n")
    return root


def children(root: Path) -> Path:
    home = root / "chest_xray"
    touch(home, "train/NORMAL/IM-0115-0001.jpeg", "train/NORMAL/NORMAL2-IM-0927-0001-0001.jpeg")
    touch(home, "train/PNEUMONIA/person1_bacteria_2.jpeg", "train/PNEUMONIA/.DS_Store")
    touch(home, "test/PNEUMONIA/person1_virus_6.jpeg", "val/NORMAL/other.jpeg")
    # Kaggle's archive holds everything twice.
    touch(home, "chest_xray/train/NORMAL/IM-0115-0001.jpeg", "__MACOSX/train/._x.jpeg")
    return root
