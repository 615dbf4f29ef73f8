/* option_value.h - values as a command line writes them.
 *
 * Each returns false, and leaves `out` alone, when the text is not what it
 * reads or is more than `most`.
 *
 * Owns:    nothing.
 * Thread:  none; read_workers - start-up only.
 * Knows:   base, log, cpus, options.
 */
#ifndef LQ_OPTION_VALUE_H
#define LQ_OPTION_VALUE_H

#include "base/str.h"
#include "run/options.h"

/* Digits alone. */
bool lq_option_read_count(lq_str text, uint64_t most, uint64_t *out);

/* Digits, perhaps with K, M or G (powers of 1024) behind. */
bool lq_option_read_size(const char *text, uint64_t most, uint64_t *out);

/* Digits, perhaps with a fraction behind a dot; 0 or at least 0.001. */
bool lq_option_read_seconds(const char *text, uint64_t most, double *out);

/* 1 to `most`, or `auto`: the CPUs there are, `most` of them. */
bool lq_option_read_workers(const char *text, uint64_t most, int *out);

/* The name of a log level, of a format of the log. */
bool lq_option_read_level(const char *text, int *out);
bool lq_option_read_format(const char *text, int *out);

/* N,SIZE: 1 to `most` messages, and 1 byte to 1 GiB. */
bool lq_option_read_hub_queue(const char *text, uint64_t most,
                              lq_hub_limit *out);

/* SIZE[,KEEP]. */
bool lq_option_read_rotation(const char *text, uint64_t most, lq_rotation *out);

#endif
