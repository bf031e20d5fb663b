"""Names of Thumb instructions by what they write, and the registers that each one writes."""

import re
from typing import Final

from quantize.c99.loops.thumb import Instruction

REGISTER: Final = re.compile(r"\b(?:r\d|sl|fp|ip|lr|sp)\b")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of one operand, and of two or three: the register named first is written, from nothing but the others.
UNARY: Final = _names("mvn mvns uxtb sxtb uxth sxth uxtb16 sxtb16 clz rbit rev rev16 revsh movw")
PURE: Final = UNARY | _names(
    """lsl lsls lsr lsrs asr asrs ror rors and ands orr orrs eor eors bic bics orn orns uxtab sxtab uxtah
    sxtah ubfx sbfx sdiv udiv smmul smmulr smulbb smulbt smultb smultt mul muls"""
)
# The same, but from flags, from what the register held before, or in ways not followed.
IMPURE: Final = _names(
    """adc adcs sbc sbcs sel bfi bfc movt smlad smladx smlsd smuad smuadx smusd smlabb smlabt smlatb smlatt
    smlawb smlawt smulwb smulwt smmla smmlar smmls smmlsr ssat usat ssat16 usat16 sxtab16 uxtab16 sadd16
    ssub16 sadd8 ssub8 uadd8 usub8 uadd16 usub16 shadd16 shsub16 uhadd8 uqsub8 uqadd8 qadd qsub qadd8
    qsub8 qadd16 qsub16 pkhbt pkhtb csel csinc csinv csneg cset csetm cinc cinv cneg usad8 usada8"""
)
# The first two are written.
TWO: Final = _names(
    """umull smull umlal smlal umaal smlalbb smlalbt smlaltb smlaltt smlald smlaldx smlsld lsll asrl lsrl
    lslll sqshll uqshll srshrl urshrl"""
)
NONE: Final = _names("nop dsb dmb isb b bx cbz cbnz tbb tbh vmsr yield")
SUMS: Final = _names("add addw sub subw rsb neg")
COMPARISONS: Final = _names("cmp cmn tst teq")
FLAG_SETTING: Final = _names(
    "adds subs rsbs negs movs mvns ands orrs eors bics orns lsls lsrs asrs rors muls adcs sbcs"
)
LOADS: Final = _names("ldr ldrb ldrh ldrsb ldrsh")
STORES: Final = _names("str strb strh strd")
# Vector instructions that write general registers name them first; these write their second one.
VECTOR_STEPS: Final = ("vidup", "vddup", "viwdup", "vdwdup")


def registers_written(step: Instruction) -> set[str]:
    """Return the registers that an instruction other than a call writes, or at least names."""
    name, operands = step.name, step.operands
    plain = name.removesuffix("s") if name in FLAG_SETTING else name
    if name in COMPARISONS or name in NONE:
        return set()
    if name in PURE or name in IMPURE or plain in SUMS or plain in ("mov", "mla", "mls"):
        return {operands[0]}
    if name[0] == "v" and name != "vmrs":
        return vector_written(step)
    text = ", ".join(operands)
    if name in STORES or name in LOADS or name == "ldrd":
        address = text[text.index("[") :] if "[" in text else ""
        moved = address if address[-1:] != "]" else ""  # [r3, #4]! and [r3], #4 move r3
        text = moved + ("" if name in STORES else ", ".join(operands[: 2 if name == "ldrd" else 1]))
    lists = re.findall(r"\{([^}]*)\}", text)
    return {*REGISTER.findall(text), *(r for part in lists for r in listed(part))}


def vector_written(step: Instruction) -> set[str]:
    """Return the general registers that a vector or floating-point instruction writes."""
    kind, operands = step.name.partition(".")[0], step.operands
    if kind in ("vpush", "vpop"):
        return {"sp"}
    if kind.startswith(("vldr", "vstr")):
        return set(REGISTER.findall(", ".join(operands[1:]))) if operands[-1][-1:] != "]" else set()
    if kind.startswith(("vldm", "vstm", "vld2", "vld4", "vst2", "vst4")):
        return set(REGISTER.findall(", ".join(operands)))
    if kind.startswith(VECTOR_STEPS):
        return set(operands[1:2]) if REGISTER.fullmatch(operands[1]) else set()
    first = operands and REGISTER.fullmatch(operands[0])
    return {o for o in operands[:2] if REGISTER.fullmatch(o)} if first else set()


def count_listed(text: str) -> int:
    """Return how many registers {r4-r7, lr} or {d8-d9} names."""
    total = 0
    for part in text.strip("{}^").split(","):
        first, _, last = part.strip().partition("-")
        total += 1 + (int(last[1:]) - int(first[1:]) if last else 0)
    return total


def listed(text: str) -> list[str]:
    """Return the registers of {r4-r7, lr}."""
    names: list[str] = []
    for part in text.strip("{}^").split(","):
        first, _, last = part.strip().partition("-")
        names += [f"r{n}" for n in range(int(first[1:]), int(last[1:]) + 1)] if last else [first]
    return names
