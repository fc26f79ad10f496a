"""A font for formulas, made of the one that matplotlib brings, so that MathML looks alike on every machine.

Browsers place indices, roots and fractions by the table MATH of a font. Fonts with such a table are not installed
everywhere, and without one indices stand on the line. The STIX font of matplotlib has the signs but not the table;
a table with the usual proportions is added here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from fontTools.otlLib.builder import buildMathTable
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
STATIC = Path(__file__).resolve().parents[1] / "generated" / "static"

# in thousandths of the size of the letters; the proportions are those of the default rules of MathML Core
PROPORTIONS = {
    "ScriptPercentScaleDown": 70,
    "ScriptScriptPercentScaleDown": 55,
    "AxisHeight": 250,
    "AccentBaseHeight": 450,
    "SubscriptShiftDown": 200,
    "SubscriptTopMax": 360,
    "SubscriptBaselineDropMin": 160,
    "SuperscriptShiftUp": 360,
    "SuperscriptShiftUpCramped": 250,
    "SuperscriptBottomMin": 120,
    "SuperscriptBaselineDropMax": 230,
    "SubSuperscriptGapMin": 150,
    "SuperscriptBottomMaxWithSubscript": 380,
    "SpaceAfterScript": 40,
    "UpperLimitGapMin": 110,
    "UpperLimitBaselineRiseMin": 300,
    "LowerLimitGapMin": 150,
    "LowerLimitBaselineDropMin": 600,
    "StackTopShiftUp": 470,
    "StackBottomShiftDown": 390,
    "StackGapMin": 220,
    "FractionNumeratorShiftUp": 480,
    "FractionNumeratorDisplayStyleShiftUp": 680,
    "FractionDenominatorShiftDown": 480,
    "FractionDenominatorDisplayStyleShiftDown": 690,
    "FractionNumeratorGapMin": 70,
    "FractionNumDisplayStyleGapMin": 150,
    "FractionRuleThickness": 60,
    "FractionDenominatorGapMin": 70,
    "FractionDenomDisplayStyleGapMin": 150,
    "OverbarVerticalGap": 150,
    "OverbarRuleThickness": 55,
    "OverbarExtraAscender": 55,
    "UnderbarVerticalGap": 150,
    "UnderbarRuleThickness": 55,
    "UnderbarExtraDescender": 55,
    "RadicalVerticalGap": 80,
    "RadicalDisplayStyleVerticalGap": 160,
    "RadicalRuleThickness": 55,
    "RadicalExtraAscender": 55,
    "RadicalKernBeforeDegree": 280,
    "RadicalKernAfterDegree": -550,
    "RadicalDegreeBottomRaisePercent": 60,
    "DisplayOperatorMinHeight": 1300,
    "DelimitedSubFormulaMinHeight": 1300,
}
# signs that grow, of which matplotlib has fonts of larger sizes
_GROWING = "()[]{}\u2211\u220f\u222b\u221a"
_SIZES = ("One", "Two", "Three", "Four")
_PERCENT = {"ScriptPercentScaleDown", "ScriptScriptPercentScaleDown", "RadicalDegreeBottomRaisePercent"}
# Latin and Greek letters, signs and arrows, and the slanted letters of formulas
_CHARACTERS = [
    *range(0x20, 0x250),
    *range(0x300, 0x400),
    *range(0x2000, 0x2400),
    *range(0x27E0, 0x2A80),
    *range(0x1D400, 0x1D7FF),
]


def _larger(font: Any) -> dict[str, Any]:
    """Take the larger forms of signs that grow into the font; returns the forms of each with their heights."""
    names, forms = font.getBestCmap(), {}
    for sign in _GROWING:
        own = names[ord(sign)]
        forms[own] = [(own, _height(font, own))]
    for size in _SIZES:
        other = TTFont(FONTS / f"STIXSiz{size}SymReg.ttf")
        scale = font["head"].unitsPerEm / other["head"].unitsPerEm
        if scale != 1:
            raise ValueError(f"the fonts of matplotlib have different units: {scale}")
        for sign in _GROWING:
            name = other.getBestCmap().get(ord(sign))
            own = names[ord(sign)]
            if name and _height(other, name) > forms[own][-1][1]:
                larger = f"{own}.size{size}"
                font["glyf"][larger] = other["glyf"][name]
                font["hmtx"][larger] = other["hmtx"][name]
                forms[own].append((larger, _height(font, larger)))
    return forms


def _height(font: Any, name: str) -> int:
    outline = font["glyf"][name]
    return int(outline.yMax - outline.yMin)


def write(path: Path) -> None:
    """Write the font."""
    font = TTFont(FONTS / "STIXGeneral.ttf")
    options = Options()
    options.drop_tables += ["FFTM"]
    subset = Subsetter(options)
    subset.populate(unicodes=_CHARACTERS)
    subset.subset(font)
    unit = font["head"].unitsPerEm / 1000
    constants = {name: value if name in _PERCENT else round(value * unit) for name, value in PROPORTIONS.items()}
    buildMathTable(font, constants=constants, vertGlyphVariants=_larger(font), minConnectorOverlap=round(20 * unit))
    font.flavor = "woff"
    path.parent.mkdir(parents=True, exist_ok=True)
    font.save(path)


def make(app: Any) -> None:
    """Write the font before the pages."""
    write(STATIC / "formulas.woff")


def setup(app: Any) -> dict[str, bool]:
    """Make the font first."""
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
