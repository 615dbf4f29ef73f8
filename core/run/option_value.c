/* option_value.c - see option_value.h. */
#include "run/option_value.h"

#include <string.h>

#include "log/log.h"
#include "run/cpus.h"

#define DIGITS "0123456789"

enum { KEEP_FILES = 5, KEEP_MOST = 999, HUB_MOST = 1024 * 1024 * 1024 };

bool lq_option_read_count(lq_str text, uint64_t most, uint64_t *out)
{
    uint64_t value = 0, digit;
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        digit = (uint64_t)(text.ptr[i] - '0');
        if (digit > most || value > (most - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return text.len > 0;
}

bool lq_option_read_size(const char *text, uint64_t most, uint64_t *out)
{
    lq_str digits = {text, strspn(text, DIGITS)};
    const char *unit = text + digits.len;
    int shift = 0;

    switch (*unit) {
    case '\0': break;
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    default: return false;
    }
    if (*unit && unit[1]) return false;
    if (!lq_option_read_count(digits, most >> shift, out)) return false;
    *out <<= shift;
    return true;
}

/* Own code, as strtod follows the locale and takes "0x1p3" and "inf". What is
 * not 0 stays so when it becomes ms. */
bool lq_option_read_seconds(const char *text, uint64_t most, double *out)
{
    lq_str whole = {text, strspn(text, DIGITS)}, part = {NULL, 0};
    uint64_t seconds, fraction = 0;
    double value, scale = 1;
    size_t i;

    if (!lq_option_read_count(whole, most, &seconds)) return false;
    if (text[whole.len] == '.') {
        part.ptr = text + whole.len + 1;
        part.len = strspn(part.ptr, DIGITS);
        if (part.len == 0 || part.ptr[part.len]) return false;
    } else if (text[whole.len]) {
        return false;
    }
    for (i = 0; i < part.len && i < 9; i++, scale *= 10)
        fraction = fraction * 10 + (uint64_t)(part.ptr[i] - '0');
    value = (double)seconds + (double)fraction / scale;
    if (value > (double)most) return false;
    *out = value > 0 && value < 0.001 ? 0.001 : value;
    return true;
}

bool lq_option_read_workers(const char *text, uint64_t most, int *out)
{
    uint64_t n;
    int cpus;

    if (strcmp(text, "auto") == 0) {
        cpus = lq_cpus();
        *out = cpus < (int)most ? cpus : (int)most;
        return true;
    }
    if (!lq_option_read_count((lq_str){text, strlen(text)}, most, &n))
        return false;
    *out = (int)n;
    return n > 0;
}

bool lq_option_read_level(const char *text, int *out)
{
    int level = lq_log_level_from(text);

    if (level >= 0) *out = level;
    return level >= 0;
}

bool lq_option_read_format(const char *text, int *out)
{
    int format = lq_log_format_from(text);

    if (format >= 0) *out = format;
    return format >= 0;
}

bool lq_option_read_hub_queue(const char *text, uint64_t most,
                              lq_hub_limit *out)
{
    const char *comma = strchr(text, ',');
    lq_hub_limit limit;

    if (!comma) return false;
    if (!lq_option_read_count((lq_str){text, (size_t)(comma - text)}, most,
                              &limit.messages) ||
        !lq_option_read_size(comma + 1, HUB_MOST, &limit.bytes) ||
        limit.messages == 0 || limit.bytes == 0)
        return false;
    *out = limit;
    return true;
}

bool lq_option_read_rotation(const char *text, uint64_t most, lq_rotation *out)
{
    const char *comma = strchr(text, ',');
    lq_rotation r = {0, KEEP_FILES};
    char size[32] = "";
    size_t len = comma ? (size_t)(comma - text) : strlen(text);

    if (len >= sizeof size) return false;
    memcpy(size, text, len);
    if (!lq_option_read_size(size, most, &r.size)) return false;
    if (comma && !lq_option_read_count((lq_str){comma + 1, strlen(comma + 1)},
                                       KEEP_MOST, &r.keep))
        return false;
    if (r.keep == 0) return false;
    *out = r;
    return true;
}
