/* number.c - see number.h.
 *
 * The plain cases (integers, floats of up to 15 digits) are done here: powers
 * of ten up to 10^22 and integers up to 2^53 are exact as floats, so that one
 * multiplication or division of them rounds once, as it must. All else is
 * libc's, in the locale "C".
 */
#include "base/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum {
    EXACT_DIGITS = 15,   /* any decimal of so many survives a float */
    EXACT_POWER = 22,    /* 10^22 is a float, 10^23 is not */
    UINT64_DIGITS = 19,  /* any decimal of so many fits into 64 bits */
    TRIED_DECIMALS = 8,  /* before libc is asked */
    EXPONENT_MAX = 9999, /* more digits make no difference */
};

static const double powers[EXACT_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- writing ------------------------------------------------------------- */

/* Writes `v` with at least `least` digits; returns how many. */
static size_t put_digits(char *out, uint64_t v, size_t least)
{
    char text[20];
    size_t at = sizeof text, len;

    do text[--at] = (char)('0' + v % 10);
    while ((v /= 10));
    while (sizeof text - at < least) text[--at] = '0';
    len = sizeof text - at;
    memcpy(out, text + at, len);
    return len;
}

size_t lq_number_put_int(char *out, int64_t v)
{
    if (v >= 0) return put_digits(out, (uint64_t)v, 1);
    *out = '-';
    return 1 + put_digits(out + 1, 0 - (uint64_t)v, 1);
}

/* Writes `scaled` divided by 10^decimals. */
static size_t put_scaled(char *out, uint64_t scaled, size_t decimals)
{
    size_t len = put_digits(out, scaled, decimals + 1);

    memmove(out + len - decimals + 1, out + len - decimals, decimals);
    out[len - decimals] = '.';
    return len + 1;
}

/* Writes `v` (not negative) if a few decimals say it exactly, else
 * returns 0. */
static size_t put_short(char *out, double v)
{
    size_t decimals;

    for (decimals = 0; decimals <= TRIED_DECIMALS; decimals++) {
        double power = powers[decimals], scaled = v * power + 0.5;
        uint64_t whole;

        if (scaled >= powers[EXACT_DIGITS]) return 0;
        whole = (uint64_t)scaled;
        if ((double)whole / power != v) continue;
        if (decimals) return put_scaled(out, whole, decimals);
        return put_scaled(out, whole * 10, 1);
    }
    return 0;
}

/* As libc writes `v`, with as few digits as read back. */
static size_t put_long(char *out, double v)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = uselocale(plain);
    int len = 0, digits;

    for (digits = EXACT_DIGITS; digits <= EXACT_DIGITS + 2; digits++) {
        len = snprintf(out, LQ_NUMBER_MAX, "%.*g", digits, v);
        if (strtod(out, NULL) == v) break;
    }
    uselocale(before);
    if (plain) freelocale(plain);
    return (size_t)len;
}

size_t lq_number_put_float(char *out, double v)
{
    size_t sign = signbit(v) ? 1 : 0;
    size_t len;

    *out = '-';
    len = put_short(out + sign, fabs(v));
    if (!len) len = put_long(out + sign, fabs(v));
    if (!memchr(out + sign, '.', len) && !memchr(out + sign, 'e', len)) {
        memcpy(out + sign + len, ".0", 2);
        len += 2;
    }
    return sign + len;
}

/* ---- reading ------------------------------------------------------------- */

/* What stands in a number: digits * 10^exponent. */
typedef struct decimal {
    bool is_negative, is_integer;
    uint64_t digits; /* the first UINT64_DIGITS that count */
    int count;       /* of the digits that count, also of those left out */
    int exponent;
} decimal;

/* Reads digits from *at on into `d`; returns how many there were. */
static int scan_digits(lq_str s, size_t *at, decimal *d)
{
    size_t start = *at;

    for (; *at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(s.ptr[*at] - '0');

        if (!d->count && !digit) continue;
        if (d->count < UINT64_DIGITS) d->digits = d->digits * 10 + digit;
        if (d->count <= UINT64_DIGITS) d->count++;
    }
    return *at - start < EXPONENT_MAX ? (int)(*at - start) : EXPONENT_MAX;
}

/* The number behind the "e" at `at`. */
static int scan_exponent(lq_str s, size_t at)
{
    bool is_negative = s.ptr[++at] == '-';
    int value = 0;

    if (is_negative || s.ptr[at] == '+') at++;
    for (; at < s.len; at++)
        if (value < EXPONENT_MAX) value = value * 10 + (s.ptr[at] - '0');
    return is_negative ? -value : value;
}

static decimal scan(lq_str s)
{
    decimal d = {.is_integer = true};
    size_t at = 0;

    d.is_negative = s.ptr[0] == '-';
    if (d.is_negative) at++;
    scan_digits(s, &at, &d);
    if (at < s.len && s.ptr[at] == '.') {
        d.is_integer = false;
        at++;
        d.exponent -= scan_digits(s, &at, &d);
    }
    if (at < s.len) {
        d.is_integer = false;
        d.exponent += scan_exponent(s, at);
    }
    return d;
}

static bool fits_int64(const decimal *d)
{
    uint64_t most = (uint64_t)INT64_MAX + (d->is_negative ? 1 : 0);

    return d->is_integer && d->count <= UINT64_DIGITS && d->digits <= most;
}

static bool is_exact(const decimal *d)
{
    return d->count <= EXACT_DIGITS && d->exponent >= -EXACT_POWER &&
           d->exponent <= EXACT_POWER;
}

static double exact_value(const decimal *d)
{
    double v = (double)d->digits;

    v = d->exponent < 0 ? v / powers[-d->exponent] : v * powers[d->exponent];
    return d->is_negative ? -v : v;
}

/* strtod of the locale "C"; it wants a NUL behind the text. */
static int read_long(lq_str text, double *out)
{
    char small[64], *copy = small;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (!plain) return -ENOMEM;
    if (text.len >= sizeof small) {
        copy = lq_mem_alloc(text.len + 1);
        if (!copy) {
            freelocale(plain);
            return -ENOMEM;
        }
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *out = strtod_l(copy, NULL, plain);
    if (copy != small) lq_mem_free(copy);
    freelocale(plain);
    return isinf(*out) ? LQ_ETOOLARGE : 0;
}

int lq_number_read(lq_str text, lq_number *out)
{
    decimal d = scan(text);
    lq_number n = {.is_float = !fits_int64(&d)};
    int err = 0;

    if (!n.is_float)
        n.integer = (int64_t)(d.is_negative ? 0 - d.digits : d.digits);
    else if (is_exact(&d))
        n.real = exact_value(&d);
    else
        err = read_long(text, &n.real);
    if (err == 0) *out = n;
    return err;
}
