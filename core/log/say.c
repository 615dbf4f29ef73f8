/* say.c - see say.h. */
#include "log/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "log/sink.h"

enum { SHORT = 1024 }; /* bytes that need no memory */

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static bool goes_on(void *data)
{
    const uint64_t *until_ms = data;

    return now_ms() < *until_ms;
}

static void write_out(const char *text, size_t len)
{
    uint64_t until_ms = now_ms() + LQ_SAY_MS;
    const lq_sink_cfg cfg = {.goes_on = goes_on, .data = &until_ms};
    lq_sink sink;

    if (lq_sink_open(&sink, &cfg, NULL) < 0) return;
    (void)!lq_sink_write(&sink, text, len);
    lq_sink_close(&sink);
}

/* One write, so that a line of somebody else does not stand in the middle.
 * Without memory a long one is cut. */
void lq_say(const char *format, ...)
{
    static const char prefix[] = "luaqueduct: ";
    const size_t before = sizeof prefix - 1;
    char few[SHORT], *text = few;
    size_t cap = sizeof few, len;
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(few + before, cap - before, format, args);
    len = before + (n < 0 ? 0 : (size_t)n);
    if (len + 1 > cap && (text = lq_mem_alloc(len + 1))) {
        cap = len + 1;
        vsnprintf(text + before, cap - before, format, again);
    }
    va_end(again);
    va_end(args);
    if (!text) {
        text = few;
        len = cap - 1;
    }
    memcpy(text, prefix, before);
    text[len] = '\n'; /* for the zero */
    write_out(text, len + 1);
    if (text != few) lq_mem_free(text);
}
