"""Elementary functions on lanes: polynomials, in place of a scalar call to libm for each sample.

Over the whole range, errors are at most 1 ulp for ``exp``, 1.5 ulp for ``sine_and_cosine`` and 2 ulp for the
others, except 4 ulp for ``erfc`` and those that ``power`` states (tests/test_maths.py). NaN stays NaN.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.jit import inlined
from fastnn.kernels.simd import (
    absolute,
    copy_sign,
    exponent,
    fma,
    is_double,
    looks_up,
    magic,
    maximum,
    minimum,
    polynomial,
    power_of_two,
    select,
    significand,
    sixteenth_power,
)

INFINITY, NAN = float("inf"), float("nan")
LOG2_E = 1.4426950408889634
SQRT_2 = 1.4142135623730951
# ln 2 in two parts; the first ends in enough zeros for n·LN2[0] to be exact.
LN2 = (0.693147180559663, 2.8235290563031577e-13)
LN2_SINGLE = (0.693145751953125, 1.428606765330187e-06)

# Coefficients are Chebyshev fits, computed with 60 digits on the interval in each comment, of the lowest degree
# whose error is well under half an ulp of the result. The constant term comes first.

# (e**r - 1 - r)/r² for |r| <= ln(2)/2
EXP = (
    0.5000000000000001,
    0.16666666666666669,
    0.04166666666662413,
    0.008333333333330062,
    0.0013888888917213717,
    0.00019841269863053618,
    2.4801521295954376e-05,
    2.7557268459997064e-06,
    2.7620088445409746e-07,
    2.510038549551032e-08,
)
EXP_SINGLE = (
    0.5,
    0.16666576266288757,
    0.041666556149721146,
    0.008363178931176662,
    0.0013926184037700295,
)
# (ln((1 + s)/(1 - s)) - 2s)/s³ as a function of s², for s² <= (3 - 2·sqrt(2))²
LOG = (
    0.666666666666667,
    0.3999999999989889,
    0.28571428626253836,
    0.22222211089379496,
    0.1818289243253687,
    0.15331611722055008,
    0.14617807153417325,
)
LOG_SINGLE = (0.6666666865348816, 0.4000012278556824, 0.28550779819488525, 0.23331613838672638)
# pi/2 in four parts; n times one of the first three is exact for |n| <= 2**20 (2**10 in float32).
HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
HALF_PI_SINGLE = (1.5706787109375, 0.00011761486530303955, 9.920313459588215e-10, 6.223371969669989e-14)
TWO_OVER_PI = 0.6366197723675814
SINE_LIMIT, SINE_LIMIT_SINGLE = 1.6e6, 1600.0  # n stays within that
# (sin(r) - r)/r³ and (cos(r) - 1 + r²/2)/r⁴ as functions of r², for |r| <= pi/4
SINE = (
    -0.16666666666666666,
    0.008333333333330946,
    -0.000198412698367539,
    2.7557316100128336e-06,
    -2.5051131339848143e-08,
    1.5918092905114907e-10,
)
SINE_SINGLE = (-0.166666641831398, 0.008332747966051102, -0.0001958782522706315)
COSINE = (
    0.041666666666666664,
    -0.0013888888888887395,
    2.4801587298762765e-05,
    -2.755731727021332e-07,
    2.0876145952384525e-09,
    -1.1382609660408365e-11,
)
COSINE_SINGLE = (0.0416666641831398, -0.001388830249197781, 2.454787681926973e-05)
# k·r·coth(r/2) as a function of r², for |r| <= ln(2)/2. With this k, k·(r·coth(r/2) ± r) lies in the upper part
# of [1, 2), where rounding costs least.
COTH_K = 0.84375
COTH = tuple(
    COTH_K * c
    for c in (
        2.0,
        0.1666666666666666,
        -0.0027777777777562864,
        6.613756470855508e-05,
        -1.6534058842837582e-06,
        4.1437096880780196e-08,
    )
)
COTH_SINGLE = tuple(COTH_K * c for c in (2.0, 0.16666655242443085, -0.002769838785752654))
# The same for |r| <= ln(2)/32.
COTH_16 = tuple(COTH_K * c for c in (2.0, 0.16666666665847601, -0.0027777312286863184))
COTH_16_SINGLE = tuple(COTH_K * c for c in (2.0, 0.16666536033153534))
# ln(2)/16, in two parts as above
LN2_16 = (0.04332169878489367, 1.0291218489310676e-13)
LN2_16_SINGLE = (0.0433197021484375, 1.9966364561696537e-06)
# 2**(j/16)·e**t. This t is such that all sixteen are near to numbers that can be stored, those nearest where an
# error of theirs would add most to that of the sigmoid.
ROOTS_T = -4.195084102320834e-08
ROOTS = (
    0.9999999580491599,
    1.0442737386192513,
    1.090507686917542,
    1.1387885869835517,
    1.1892070651144835,
    1.2418577599765055,
    1.2968395002475008,
    1.3542554901247348,
    1.414213503045648,
    1.4768260839854017,
    1.542210760710901,
    1.6104902643878318,
    1.6817927599548068,
    1.756252086697046,
    1.8340080094711624,
    1.915206481052623,
)
ROOTS_T_SINGLE = -1.1456664651632309e-05
ROOTS_SINGLE = (
    0.9999885559082031,
    1.0442618131637573,
    1.090495228767395,
    1.1387755870819092,
    1.1891934871673584,
    1.241843581199646,
    1.2968246936798096,
    1.3542400598526,
    1.414197325706482,
    1.4768092632293701,
    1.5421931743621826,
    1.6104718446731567,
    1.6817735433578491,
    1.7562320232391357,
    1.8339871168136597,
    1.9151846170425415,
)
# r·coth(r) as a function of r², for |r| <= ln(2)/2
TANH = (
    1.0,
    0.33333333333332577,
    -0.02222222222121579,
    0.0021164020660641098,
    -0.00021163901157178407,
    2.1363086171150458e-05,
    -2.0745642822622213e-06,
)
TANH_SINGLE = (1.0, 0.33333325386047363, -0.0222184881567955, 0.0020663966424763203)
# erf(x)/x as a function of x², for |x| <= 1/2
ERF = (
    1.1283791670955126,
    -0.3761263890318347,
    0.1128379167092494,
    -0.02686617063274272,
    0.005223977370536392,
    -0.0008548297524306294,
    0.00012053323464878919,
    -1.4845542196757478e-05,
    1.4722594647900666e-06,
)
ERF_SINGLE = (
    1.1283791065216064,
    -0.37612608075141907,
    0.11282825469970703,
    -0.026757314801216125,
    0.0047181290574371815,
)
# e**x²·erfc(x)·(x + k) as a function of (x - k)/(x + k), for 1/2 <= x while erfc is not 0
ERFC_K, ERFC_K_SINGLE = 3.0, 2.0
ERFC = (
    1.0740069070883398,
    -0.8833944531698836,
    0.5902283571041016,
    -0.31046726190056434,
    0.1195277612873082,
    -0.02682723462460238,
    -0.0012124166276588676,
    0.0030340620033119815,
    -0.0005483096864154523,
    -0.00027677786509682574,
    0.00010756145428869185,
    3.0398256015894017e-05,
    -1.7470472501548816e-05,
    -4.749473533946196e-06,
    2.765344613532611e-06,
    9.99151998122805e-07,
    -4.0844983398405065e-07,
    -2.3314452450233176e-07,
    4.7498062355068144e-08,
    4.9095326461210534e-08,
    -2.7512264871827214e-09,
    -6.576328963023536e-09,
)
ERFC_SINGLE = (
    1.0215827226638794,
    -0.6871606707572937,
    0.27947181463241577,
    -0.03644316643476486,
    -0.021504949778318405,
    0.006489384453743696,
    0.0030493370722979307,
    -0.0008796979091130197,
    -0.0005374627071432769,
    0.00010256841051159427,
)


@inlined
def reduce(x: Any) -> Any:
    """x = n·ln 2 + high - low with n whole, |high| <= ln(2)/2 and low tiny: (n + magic, high, low).

    high is exact; for |x| up to 745 (float32: 104).
    """
    raised = fma(x, LOG2_E, magic(x))
    n = raised - magic(x)
    if is_double(x):
        return raised, fma(n, -LN2[0], x), n * LN2[1]
    return raised, fma(n, -LN2_SINGLE[0], x), n * LN2_SINGLE[1]


@inlined
def expm1_rest(high: Any, low: Any) -> Any:
    """exp(r) - 1 - high with r = high - low: r²·q(r) - low."""
    r = high - low
    q = polynomial(r, EXP) if is_double(r) else polynomial(r, EXP_SINGLE)
    return fma(r * r, q, -low)


@inlined
def expm1_reduced(high: Any, low: Any) -> Any:
    """exp(r) - 1 with r = high - low, as r + r²·q(r)."""
    return high + expm1_rest(high, low)  # high is added last, so that the rounding of r matters little


@inlined
def times_power_of_two(y: Any, raised: Any) -> Any:
    """y·2**n for raised = n + magic, where 2**n itself may not be a normal number."""
    n = raised - magic(y)
    half = fma(n, 0.5, magic(y))
    rest = raised - (half - magic(y))
    return y * power_of_two(half) * power_of_two(rest)


@inlined
def exp(x: Any) -> Any:
    """e**x, through subnormal numbers to 0 and to infinity."""
    # Beyond these bounds, the result is 0 or infinity anyway.
    lowest = -746.0 if is_double(x) else -104.0
    highest = 710.0 if is_double(x) else 89.0
    raised, high, low = reduce(minimum(highest, maximum(lowest, x)))
    return times_power_of_two(1.0 + expm1_reduced(high, low), raised)


@inlined
def exp_of_negative(x: Any) -> Any:
    """e**x for x <= 0, 0 where it would be subnormal."""
    lowest = -708.0 if is_double(x) else -87.0
    raised, high, low = reduce(maximum(lowest, x))
    scale = power_of_two(raised)
    return select(x < lowest, 0.0, fma(scale, expm1_reduced(high, low), scale))


@inlined
def expm1(x: Any) -> Any:
    """e**x - 1 for |x| <= 80."""
    raised, high, low = reduce(x)
    scale = power_of_two(raised)
    return fma(scale, expm1_reduced(high, low), scale - 1.0)


@inlined
def log_positive(x: Any) -> Any:
    """ln x for normal x > 0.

    x = 2**e·(1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), s = f/(2 + f), and
    ln(1 + f) = f - (f²/2 - s·(f²/2 + s²·p(s²))).
    """
    e = exponent(x)
    m = significand(x)
    high = m > SQRT_2
    m = select(high, m * 0.5, m)
    e = select(high, e + 1.0, e)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    if is_double(x):
        p = polynomial(z, LOG)
        e_high, e_low = e * LN2[0], e * LN2[1]
    else:
        p = polynomial(z, LOG_SINGLE)
        e_high, e_low = e * LN2_SINGLE[0], e * LN2_SINGLE[1]
    half_square = 0.5 * f * f
    return e_high - ((half_square - fma(s, fma(z, p, half_square), e_low)) - f)


@inlined
def log(x: Any) -> Any:
    """ln x; -infinity at 0, NaN below."""
    smallest = 2.2250738585072014e-308 if is_double(x) else 1.1754943508222875e-38
    lift = 18014398509481984.0 if is_double(x) else 16777216.0  # 2**54, 2**24
    lift_log = 37.42994775023705 if is_double(x) else 16.635532333438686
    subnormal = x < smallest
    y = log_positive(select(subnormal, x * lift, x))
    y = select(subnormal, y - lift_log, y)
    y = select(x == 0.0, -INFINITY, y)
    # Infinity has no significand, and NaN must not be lost among the bits.
    y = select(absolute(x) < INFINITY, y, x)
    return select(x < 0.0, NAN, y)


@inlined
def log1p(x: Any) -> Any:
    """ln(1 + x) for finite x >= 0."""
    u = 1.0 + x
    return log_positive(u) + (x - (u - 1.0)) / u


@inlined
def power(x: Any, k: float) -> Any:
    """x**k for 0 <= x <= 1 and a plain number k > 0; the error is about 2 + |ln x**k| ulp."""
    return exp_of_negative(k * log(x))


@inlined
def sigmoid(x: Any) -> Any:
    """1/(1 + e**-x); never less than e**-708 (e**-87 in float32).

    With -x = n·ln 2 + r, s = 2**n and c = k·r·coth(r/2), e**-x = s·(c + k·r)/(c - k·r). As a division is needed
    anyway, this halves the polynomial: c is even in r. If s can be looked up, n is a number of sixteenths.
    """
    limit = 708.0 if is_double(x) else 87.0
    x = minimum(limit, maximum(-limit, x))
    if looks_up(x):
        raised = fma(x, -16.0 * LOG2_E, magic(x))
        n = raised - magic(x)
        if is_double(x):
            minus_r = fma(n, LN2_16[0], x) + fma(n, LN2_16[1], ROOTS_T)
            c = polynomial(minus_r * minus_r, COTH_16)
            s = sixteenth_power(raised, ROOTS)
        else:
            minus_r = fma(n, LN2_16_SINGLE[0], x) + fma(n, LN2_16_SINGLE[1], ROOTS_T_SINGLE)
            c = polynomial(minus_r * minus_r, COTH_16_SINGLE)
            s = sixteenth_power(raised, ROOTS_SINGLE)
    else:
        raised = fma(x, -LOG2_E, magic(x))
        n, s = raised - magic(x), power_of_two(raised)
        if is_double(x):
            minus_r = fma(n, LN2[1], fma(n, LN2[0], x))
            c = polynomial(minus_r * minus_r, COTH)
        else:
            minus_r = fma(n, LN2_SINGLE[1], fma(n, LN2_SINGLE[0], x))
            c = polynomial(minus_r * minus_r, COTH_SINGLE)
    near = fma(minus_r, COTH_K, c)
    # Not c + k·r: the rounding error of near then acts like an error of c, which hardly matters.
    far = fma(minus_r, -2.0 * COTH_K, near)
    return near / fma(s, far, near)


@inlined
def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    With |x| = n·ln(2)/2 + r, s = 2**n and c = r·coth(r) it is u/(u + c - r), where u = (s - 1)/2·(c + r) + r. So u
    is r if n is 0, and the rounding error of u matters little near 1.
    """
    a = minimum(22.0, absolute(x))  # from here on the result rounds to 1
    # n is rounded down, almost always: a negative r would take digits from u.
    raised = fma(a, 2.0 * LOG2_E, -1.4375) + magic(x)
    half, n = power_of_two(raised), raised - (magic(x) - 1.0)
    if is_double(x):
        r = fma(n, -0.5 * LN2[1], fma(n, -0.5 * LN2[0], a))
        c = polynomial(r * r, TANH)
    else:
        r = fma(n, -0.5 * LN2_SINGLE[1], fma(n, -0.5 * LN2_SINGLE[0], a))
        c = polynomial(r * r, TANH_SINGLE)
    u = fma(half - 0.5, c + r, r)
    return copy_sign(u / (u + (c - r)), x)


@inlined
def softplus_above_relu(x: Any) -> Any:
    """ln(1 + e**x) - max(x, 0) = ln(1 + e**-|x|)."""
    return log1p(exp_of_negative(-absolute(x)))


@inlined
def softplus(x: Any) -> Any:
    """ln(1 + e**x)."""
    return maximum(0.0, x) + softplus_above_relu(x)


@inlined
def erfc(x: Any) -> Any:
    """1 - erf(x), without loss of digits for large x.

    Up to |x| = 1/2, 1 - x·p(x²); beyond, e**-x²·p(t)/(|x| + k) with t = (|x| - k)/(|x| + k), and 2 minus
    that for negative x (the substitution of M. Shepherd and J. Laframboise, 1981).
    """
    a = minimum(28.0, absolute(x))  # from here on the result is 0 or 2
    square = a * a
    rest = fma(a, a, -square)  # what the square lost in rounding
    if is_double(x):
        small = polynomial(square, ERF)
        far = a + ERFC_K
        large = polynomial((a - ERFC_K) / far, ERFC) / far
    else:
        small = polynomial(square, ERF_SINGLE)
        far = a + ERFC_K_SINGLE
        large = polynomial((a - ERFC_K_SINGLE) / far, ERFC_SINGLE) / far
    raised, high, low = reduce(maximum(-746.0 if is_double(x) else -104.0, -square))
    p = expm1_reduced(high, low)
    p = p - fma(rest, p, rest)
    tail = times_power_of_two(fma(large, p, large), raised)
    return select(a < 0.5, fma(-x, small, 1.0), select(x < 0.0, 2.0 - tail, tail))


@inlined
def beyond_sine(x: Any) -> Any:
    """The lanes where x is too large for ``sine_and_cosine``."""
    return absolute(x) > (SINE_LIMIT if is_double(x) else SINE_LIMIT_SINGLE)


@inlined
def sine_and_cosine(x: Any) -> Any:
    """(sin x, cos x), where x is not ``beyond_sine``.

    x = n·pi/2 + r + rest with n whole, |r| <= pi/4 and rest tiny (W. Cody and W. Waite, 1980); then n mod 4, the
    quadrant, chooses between the sine and the cosine of r + rest, and the sign.
    """
    n = fma(x, TWO_OVER_PI, magic(x)) - magic(x)
    if is_double(x):
        first, second, third, fourth = HALF_PI
    else:
        first, second, third, fourth = HALF_PI_SINGLE
    # These three products and the first difference are exact. The rounding errors of the other two go to the
    # rest: near a multiple of pi/2, nothing else is left of x.
    near = fma(n, -first, x)
    part, last = n * second, n * third
    nearer = near - part
    r = nearer - last
    rest = fma(n, -fourth, ((near - nearer) - part) + ((nearer - r) - last))

    square = r * r
    if is_double(x):
        p, q = polynomial(square, SINE), polynomial(square, COSINE)
    else:
        p, q = polynomial(square, SINE_SINGLE), polynomial(square, COSINE_SINGLE)
    sine = copy_sign(r + fma(r * square, p, rest), r)  # the sign is for -0
    cosine = 1.0 + fma(square, fma(square, q, -0.5), -(r * rest))

    rounds = fma(n, 0.25, -0.375) + magic(x) - magic(x)  # n/4 downwards
    quadrant = fma(rounds, -4.0, n)
    odd = absolute(quadrant - 2.0) == 1.0
    s, c = select(odd, cosine, sine), select(odd, sine, cosine)
    return select(quadrant > 1.5, -s, s), select(absolute(quadrant - 1.5) < 1.0, -c, c)
