"""Classes of ARM instructions, by the tables of Arm's manuals."""

import pytest

from edgesmith.emulate.thumb import CLASSES, classify


@pytest.mark.parametrize(
    ("mnemonics", "kind"),
    [
        ("adds sub.w movw mvn lsls asr rsb cmp it ite ssat usat sxtb16 sxtab16 pkhbt rev16 bic bics bfi", "alu"),
        ("mul muls", "mul"),
        ("mla mls", "mac"),
        ("smull umlal smlal umaal smlald", "mul_long"),
        ("smlad smlabb smmul smmulr smmla smuad smulwb smulbb", "dsp"),
        ("sdiv udiv", "div"),
        ("ldr ldrb.w ldrsh ldrex", "load"),
        ("str strb.w strh strex", "store"),
        ("pop pop.w ldm ldmia.w ldrd vldmia vpop", "load_multiple"),
        ("push push.w stm stmdb strd vstmia vpush", "store_multiple"),
        ("b b.w bl blx bx bne beq.w bgt ble bls bhs blo cbz cbnz tbb bxeq", "branch"),
        ("vadd.f32 vmov vcvt.s32.f32 vcmp.f32 vmrs vabs.f32", "float"),
        ("vmla.f32 vfma.f32 vfnms.f32 vnmls.f32", "float_mac"),
        ("vdiv.f32 vsqrt.f32", "float_div"),
        ("vldr", "float_load"),
        ("vstr", "float_store"),
        ("dsb isb msr mrs wfi", "other"),
    ],
)
def test_each_mnemonic_has_its_class(mnemonics, kind):
    assert kind in CLASSES
    wrong = {m: classify(m) for m in mnemonics.split() if classify(m) != kind}
    assert not wrong
