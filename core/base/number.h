/* number.h - numbers as JSON writes them, whatever the locale is.
 *
 * Owns:    nothing.
 * Thread:  any thread.
 * Knows:   str, err, mem.
 */
#ifndef LQ_NUMBER_H
#define LQ_NUMBER_H

#include "base/defs.h"
#include "base/str.h"

/* Room for the text of any number. */
enum { LQ_NUMBER_MAX = 32 };

/* A number that was read: exactly one of the two counts. */
typedef struct lq_number {
    bool is_float;
    int64_t integer;
    double real;
} lq_number;

/* Write the text to `out`, which has room for LQ_NUMBER_MAX bytes; return its
 * length. No NUL is put behind it. The text of a float is the shortest that
 * reads back as the same float, and has a point or an exponent; `v` is
 * finite. */
size_t lq_number_put_int(char *out, int64_t v);
size_t lq_number_put_float(char *out, double v);

/* Reads `text`, which follows the grammar of JSON. Without point and exponent
 * it is an integer where 64 bits hold it, else a float. LQ_ETOOLARGE: beyond
 * the largest float; -ENOMEM. */
int lq_number_read(lq_str text, lq_number *out) LQ_MUST_CHECK;

#endif
